package elem

import (
	"strings"
	"testing"
)

func TestTreesAreWritten(t *testing.T) {
	for _, c := range []struct {
		node         *Node
		parent, want string
	}{
		{New("urn:x", "a"), "urn:x", "<a/>"},
		{New("urn:x", "a"), "", "<a xmlns='urn:x'/>"},
		{New("", "a"), "urn:x", "<a xmlns=''/>"},
		{New("", "a"), "", "<a/>"},
		{New("urn:x", "a").With("b", "").WithAttr("c", "").With("xml:lang", "en").With("d", "<&'\">\t\n\r"), "urn:x", "<a c='' xml:lang='en' d='&lt;&amp;&apos;\">&#x9;&#xA;&#xD;'/>"},
		{New("urn:x", "a").With("b", "1").With("b", "2"), "urn:x", "<a b='2'/>"},
		{New("urn:x", "a").SetText("<&>'\"\t\n\r]]>"), "urn:x", "<a>&lt;&amp;&gt;'\"\t\n&#xD;]]&gt;</a>"},
		{New("urn:x", "a").SetText("\x00\xff\uFFFE\xed\xa0\x80é"), "urn:x", "<a>\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDé</a>"},
		{New("urn:x", "a").Add(New("urn:x", "b"), nil, New("urn:y", "c").Add(New("urn:y", "d"), New("urn:x", "e"))), NSClient,
			"<a xmlns='urn:x'><b/><c xmlns='urn:y'><d/><e xmlns='urn:x'/></c></a>"},
		{New("urn:x", "a").SetText("t").Add(New("urn:x", "b")), "urn:x", "<a>t<b/></a>"},
		{New("urn:x", "a").Add(&Node{Text: "s"}, New("urn:x", "b"), &Node{Text: "<"}), "urn:x", "<a>s<b/>&lt;</a>"},
		{New("urn:x", "a").Add(Raw(N("urn:r", "r"), []byte("<r xmlns='urn:r'>&#x41;</r>"))), "urn:x", "<a><r xmlns='urn:r'>&#x41;</r></a>"},
		{&Node{Name: N("urn:x", "a"), Attrs: []Attr{{N("urn:p", "b"), "1"}, {N("urn:q", "b"), "2"}}}, "urn:x", "<a xmlns:aa='urn:p' aa:b='1' xmlns:ab='urn:q' ab:b='2'/>"},
	} {
		if got := string(c.node.Append(nil, c.parent)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestTreesAreRead(t *testing.T) {
	n, err := Parse([]byte(`<a xmlns='urn:x' b="1&amp;2" xmlns:p='urn:p' p:b='3' xml:lang='de' >
		<b>t&#x31;</b>
		<c xmlns='urn:y'/><b c='&#xA;x'> </b>
	</a >`), NSClient)
	if err != nil {
		t.Fatal(err)
	}
	if n.Name != N("urn:x", "a") || n.Text != "" || len(n.Children) != 3 {
		t.Errorf("%+v", n)
	}
	if n.Attr("b") != "1&2" || n.Attr("xml:lang") != "de" || n.Has("lang") || n.Has("xmlns") || len(n.Attrs) != 3 || n.Attrs[1] != (Attr{N("urn:p", "b"), "3"}) {
		t.Errorf("%+v", n.Attrs)
	}
	if b := n.Child("urn:x", "b"); b == nil || b.Text != "t1" {
		t.Errorf("%+v", b)
	}
	if all := n.ChildrenNamed("urn:x", "b"); len(all) != 2 || all[1].Text != " " || all[1].Attr("c") != "\nx" {
		t.Errorf("%+v", all)
	}
	if n.Child("urn:x", "c") != nil || n.Child("urn:y", "c") == nil || (*Node)(nil).Child("", "") != nil || (*Node)(nil).ChildrenNamed("", "") != nil {
		t.Error("children are found in the wrong namespace")
	}
}

func TestMixedTextKeepsItsPlace(t *testing.T) {
	const in = "<p xmlns='urn:x'>Hello <b>you</b>, <i/>world</p>"
	n, err := Parse([]byte(in), NSClient)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(n.Append(nil, NSClient)); got != in {
		t.Errorf("got  %s\nwant %s", got, in)
	}
	if n.Text != "Hello , world" || n.Child("urn:x", "b").Text != "you" {
		t.Errorf("%+v", n)
	}
}

func TestWhatIsNotCanonicalIsNoTree(t *testing.T) {
	for _, in := range []string{
		"", " ", "text", "<", "<a", "<a>", "<a><b></a></b>", "<a></b>", "<a></a", "<a/><b/>", "<a/>x", "<p:a/>", "<a p:b=''/>",
		"<a><p:b xmlns:p='urn:p'/></a>", "<a><![CDATA[]]></a>", "<a><!----></a>", "<?a?>", "<a b=c/>", "<a b='1' b='2'/>", "<a b='&x;'/>",
		strings.Repeat("<a>", 300) + strings.Repeat("</a>", 300),
	} {
		if n, err := Parse([]byte(in), NSClient); err == nil {
			t.Errorf("%q: %+v", in, n)
		}
	}
}

// TestAppendAttrAndText: values are escaped for where they stand.
func TestAppendAttrAndText(t *testing.T) {
	if got := string(AppendAttr([]byte("<a"), "b", "it's <1> & \"2\"")); got != "<a b='it&apos;s &lt;1> &amp; \"2\"'" {
		t.Error(got)
	}
	if got := string(AppendText(nil, "it's <1> & \"2\"")); got != "it's &lt;1&gt; &amp; \"2\"" {
		t.Error(got)
	}
}

func TestOneElementAlone(t *testing.T) {
	e, err := ParseElement([]byte(" <message to='a' xml:lang='en'><body>x</body></message>\n"), NSClient, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	to, _ := e.Attr("to")
	if e.Name != N(NSClient, "message") || string(to) != "a" || string(e.Inner) != "<body>x</body>" || len(e.Parts) != 1 {
		t.Errorf("%+v", e)
	}
	n := e.Node()
	if n.Attr("to") != "a" || n.Attr("xml:lang") != "en" || n.Child(NSClient, "body").Text != "x" {
		t.Errorf("%+v", n)
	}
	for _, in := range []string{"", " ", "<a>", "<a/><b/>", "<a/>x", "x<a/>", "</a>", "<?xml version='1.0'?><a/>", "<!----><a/>", "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>"} {
		if e, err := ParseElement([]byte(in), NSClient, Limits{}); err == nil || condition(err) == "" || err == ErrMore {
			t.Errorf("%q: %+v %v", in, e, err)
		}
	}
}

// TestNodeOfAnElement is about what is negotiated: children are in the
// namespace of the element, not in that of the stream.
func TestNodeOfAnElement(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGE=</auth>", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGE=</auth>"},
		{"<s:auth xmlns:s='urn:s' a='1'><s:b>t</s:b><c/></s:auth>", "<auth xmlns='urn:s' a='1'><b>t</b><c xmlns='jabber:client'/></auth>"},
		{"<r xmlns='urn:xmpp:sm:3'/>", "<r xmlns='urn:xmpp:sm:3'/>"},
		{"<iq><query xmlns='urn:q'/><b/>x</iq>", "<iq><query xmlns='urn:q'/><b/>x</iq>"},
		{"<presence> <show>a</show> </presence>", "<presence><show>a</show></presence>"},
	} {
		e, err := ParseElement([]byte(c.in), NSClient, Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got := string(e.Node().Append(nil, NSClient)); got != c.want {
			t.Errorf("%s:\n got  %s\n want %s", c.in, got, c.want)
		}
	}
}
