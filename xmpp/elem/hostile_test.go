package elem

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// hostile is what must end the stream, on a stream that was opened with
// testHeader, and with which condition.
var hostile = []struct{ name, in, condition string }{
	{"DOCTYPE", "<!DOCTYPE x>", "restricted-xml"},
	{"DOCTYPE with entities", "<!DOCTYPE x [<!ENTITY a 'aaaa'>]>", "restricted-xml"},
	{"DOCTYPE in a stanza", "<message><!DOCTYPE x></message>", "restricted-xml"},
	{"entity", "<message><body>&lol;</body></message>", "restricted-xml"},
	{"entity in an attribute", "<message id='&lol;'/>", "restricted-xml"},
	{"entity with a long name", "<message>&" + strings.Repeat("a", 100), "restricted-xml"},
	{"entity beyond ASCII", "<message>&ä;</message>", "restricted-xml"},
	{"entity of another case", "<message>&AMP;</message>", "restricted-xml"},
	{"processing instruction", "<message><?php x?></message>", "restricted-xml"},
	{"processing instruction between stanzas", "<?x y?>", "restricted-xml"},
	{"second XML declaration", "<?xml version='1.0'?>", "restricted-xml"},
	{"comment", "<message><!-- x --></message>", "restricted-xml"},
	{"comment between stanzas", "<!-- x -->", "restricted-xml"},

	{"mismatched end tag", "<message><a></b></message>", "not-well-formed"},
	{"end tag is longer", "<message><a></ab></message>", "not-well-formed"},
	{"end tag is shorter", "<message><ab></a></message>", "not-well-formed"},
	{"end tag with another prefix", "<message xmlns:p='urn:p' xmlns:q='urn:p'><p:a></q:a></message>", "not-well-formed"},
	{"end tag of the stream within a stanza", "<message></stream:stream>", "not-well-formed"},
	{"end tag with attributes", "<message></message a='b'>", "not-well-formed"},
	{"end tag with nothing", "<message></>", "not-well-formed"},
	{"end tag of another stream", "</stream:strom>", "not-well-formed"},
	{"space before the name", "< message/>", "not-well-formed"},
	{"space in the end tag", "<message>< /message>", "not-well-formed"},
	{"slash without end", "<message/ >", "not-well-formed"},
	{"tag in a tag", "<message <a/>", "not-well-formed"},
	{"no quotes", "<message id=1/>", "not-well-formed"},
	{"no value", "<message id/>", "not-well-formed"},
	{"no space between attributes", "<message id='1'to='a'/>", "not-well-formed"},
	{"tag in an attribute", "<message id='<'/>", "not-well-formed"},
	{"lone ampersand", "<message>a & b</message>", "not-well-formed"},
	{"empty reference", "<message>&;</message>", "not-well-formed"},
	{"empty character reference", "<message>&#;</message>", "not-well-formed"},
	{"empty hexadecimal reference", "<message>&#x;</message>", "not-well-formed"},
	{"capital X in a reference", "<message>&#X41;</message>", "not-well-formed"},
	{"reference without semicolon", "<message>&#65 </message>", "not-well-formed"},
	{"reference with a sign", "<message>&#-65;</message>", "not-well-formed"},
	{"end of CDATA in text", "<message>]]></message>", "not-well-formed"},
	{"CDATA in lower case", "<message><![cdata[x]]></message>", "not-well-formed"},
	{"CDATA in a tag", "<message <![CDATA[x]]>/>", "not-well-formed"},
	{"bad markup", "<message><!x></message>", "not-well-formed"},
	{"name begins with a digit", "<message><1a/></message>", "not-well-formed"},
	{"name begins with a hyphen", "<message><-a/></message>", "not-well-formed"},
	{"name begins with a combining character", "<message><\u0301a/></message>", "not-well-formed"},
	{"name that only the fifth edition knows", "<message><\U00010000/></message>", "not-well-formed"},
	{"attribute begins with a dot", "<message .a=''/>", "not-well-formed"},

	{"bytes that are not UTF-8", "<message>\xff</message>", "not-well-formed"},
	{"overlong UTF-8", "<message>\xc0\xaf</message>", "not-well-formed"},
	{"overlong UTF-8 of three bytes", "<message>\xe0\x80\xaf</message>", "not-well-formed"},
	{"UTF-8 that is cut off", "<message>\xe2\x82</message>", "not-well-formed"},
	{"UTF-8 beyond Unicode", "<message>\xf4\x90\x80\x80</message>", "not-well-formed"},
	{"surrogate in UTF-8", "<message>\xed\xa0\x80</message>", "not-well-formed"},
	{"surrogate pair in UTF-8", "<message>\xed\xa0\xbd\xed\xb8\x80</message>", "not-well-formed"},
	{"surrogate as a reference", "<message>&#xD800;</message>", "not-well-formed"},
	{"surrogate in an attribute", "<message id='&#55357;'/>", "not-well-formed"},
	{"U+FFFE", "<message>\uFFFE</message>", "not-well-formed"},
	{"U+FFFF in an attribute", "<message id='\uFFFF'/>", "not-well-formed"},
	{"U+FFFE as a reference", "<message>&#xFFFE;</message>", "not-well-formed"},
	{"U+FFFF in CDATA", "<message><![CDATA[\uFFFF]]></message>", "not-well-formed"},
	{"reference beyond Unicode", "<message>&#x110000;</message>", "not-well-formed"},
	{"reference with many digits", "<message>&#x" + strings.Repeat("0", 40) + "41;</message>", "not-well-formed"},
	{"NUL", "<message>\x00</message>", "not-well-formed"},
	{"NUL between stanzas", "\x00", "bad-format"},
	{"NUL as a reference", "<message>&#0;</message>", "not-well-formed"},
	{"control character", "<message>\x08</message>", "not-well-formed"},
	{"control character in an attribute", "<message id='\x1b'/>", "not-well-formed"},
	{"control character in CDATA", "<message><![CDATA[\x0c]]></message>", "not-well-formed"},
	{"control character in a name", "<mess\x01age/>", "not-well-formed"},
	{"control character as a reference", "<message>&#27;</message>", "not-well-formed"},
	{"bad UTF-8 in a name", "<message><a\xff/></message>", "not-well-formed"},

	{"prefix that is not declared", "<message><p:a/></message>", "not-well-formed"},
	{"prefix of an attribute that is not declared", "<message><a p:b=''/></message>", "not-well-formed"},
	{"prefix of a top-level element that is not declared", "<p:message/>", "not-well-formed"},
	{"prefix used after its element", "<message><a xmlns:p='urn:p'/><p:b/></message>", "not-well-formed"},
	{"prefix of the stanza before", "<message xmlns:p='urn:p'/><message><p:b/></message>", "not-well-formed"},
	{"prefix without a namespace", "<message><a xmlns:p=''/></message>", "not-well-formed"},
	{"xml rebound", "<message xmlns:xml='urn:x'/>", "not-well-formed"},
	{"prefix for the namespace of XML", "<message xmlns:x='http://www.w3.org/XML/1998/namespace'/>", "not-well-formed"},
	{"default namespace of XML", "<message><a xmlns='http://www.w3.org/XML/1998/namespace'/></message>", "not-well-formed"},
	{"xmlns declared", "<message xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", "not-well-formed"},
	{"prefix for the namespace of declarations", "<message xmlns:x='http://www.w3.org/2000/xmlns/'/>", "not-well-formed"},
	{"default namespace of declarations", "<message><a xmlns='http://www.w3.org/2000/xmlns/'/></message>", "not-well-formed"},
	{"element with the prefix xmlns", "<message><xmlns:a/></message>", "not-well-formed"},
	{"element with the prefix xml", "<message><xml:a/></message>", "not-well-formed"},
	{"two colons", "<message xmlns:a='urn:a'><a:b:c/></message>", "not-well-formed"},
	{"colon first", "<message><:a/></message>", "not-well-formed"},
	{"colon last", "<message xmlns:a='urn:a'><a:/></message>", "not-well-formed"},
	{"digit after the colon", "<message xmlns:a='urn:a'><a:1/></message>", "not-well-formed"},
	{"declaration without a name", "<message xmlns:='urn:a'/>", "not-well-formed"},
	{"attribute twice", "<message id='1' id='2'/>", "not-well-formed"},
	{"attribute twice in a child", "<message><a b='' c='' b=''/></message>", "not-well-formed"},
	{"attribute twice after expansion", "<message xmlns:p='urn:x' xmlns:q='urn:x'><a p:b='' q:b=''/></message>", "not-well-formed"},
	{"attribute twice after expansion and normalisation", "<message><a xmlns:p='urn:&amp;' xmlns:q='urn:&#38;' p:b='' q:b=''/></message>", "not-well-formed"},
	{"default namespace twice", "<message xmlns='jabber:client' xmlns='jabber:client'/>", "not-well-formed"},
	{"prefix twice", "<message xmlns:p='urn:a' xmlns:p='urn:b'/>", "not-well-formed"},

	{"text between stanzas", "hello", "bad-format"},
	{"CDATA between stanzas", "<![CDATA[ ]]>", "bad-format"},
	{"byte order mark between stanzas", "\uFEFF", "bad-format"},
	{"second header", "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>", "bad-format"},
	{"stanza of servers", "<message xmlns='jabber:server'/>", "invalid-namespace"},

	{"too deep", strings.Repeat("<a>", 17), "policy-violation"},
	{"too many attributes", "<message>" + manyAttrs("<a", 33), "policy-violation"},
	{"too many attributes on the stanza", manyAttrs("<message", 33), "policy-violation"},
	{"too many namespaces on one element", "<message>" + manyPrefixes("<a", 31) + ">", "policy-violation"},
	{"too many namespaces in scope", manyPrefixes("<message", 20) + "><a>" + manyPrefixes("<b", 11) + ">", "policy-violation"},
	{"too many children", "<message>" + strings.Repeat("<a/>", maxParts+1), "policy-violation"},
	{"too many elements", "<message><a>" + strings.Repeat("<a/>", 1025), "policy-violation"},
	{"too much text", "<message>" + strings.Repeat("x", 16<<10), "policy-violation"},
	{"too long an attribute", "<message id='" + strings.Repeat("x", 16<<10), "policy-violation"},
	{"too long a name", "<" + strings.Repeat("x", 16<<10), "policy-violation"},
	{"too long a namespace", "<message xmlns:p='" + strings.Repeat("x", 16<<10), "policy-violation"},
	{"too much white space in a tag", "<message" + strings.Repeat(" ", 16<<10), "policy-violation"},
	{"too much white space in an end tag", "<message></message" + strings.Repeat(" ", 16<<10), "policy-violation"},
	{"too much CDATA", "<message><![CDATA[" + strings.Repeat("x", 16<<10), "policy-violation"},
	{"long namespace used often", "<message xmlns:p='" + strings.Repeat("x", 2000) + "'><a>" + strings.Repeat("<p:b/>", 500), "policy-violation"},
	{"long namespace used often in attributes", "<message xmlns:p='" + strings.Repeat("x", 2000) + "'><a>" + strings.Repeat("<b p:c=''/>", 500), "policy-violation"},
	{"attributes that differ by their prefixes alone", manyPrefixes("<message", 20) + "><a>" + strings.Repeat("<b"+manyUses(20)+"/>", 50), "policy-violation"},
	{"CDATA that must be escaped", "<message><![CDATA[" + strings.Repeat("&", 10000), "policy-violation"},
}

func manyAttrs(tag string, n int) string {
	for i := range n {
		tag += fmt.Sprintf(" a%d=''", i)
	}
	return tag + ">"
}

func manyUses(n int) (attrs string) {
	for i := range n {
		attrs += fmt.Sprintf(" p%d:a=''", i)
	}
	return attrs
}

func manyPrefixes(tag string, n int) string {
	for i := range n {
		tag += fmt.Sprintf(" xmlns:p%d='urn:%d'", i, i)
	}
	return tag
}

// TestHostileInputEndsTheStream gives each case whole and byte by byte. What
// comes after it does not matter, and the decoder does not recover.
func TestHostileInputEndsTheStream(t *testing.T) {
	for _, c := range hostile {
		for _, step := range []int{1, 5, 1 << 20} {
			d := NewDecoder(NSClient, Limits{})
			_, err := feed(d, testHeader+c.in, step)
			if err == nil && step < len(c.in) {
				// A tag that is not complete is judged when there is more of it.
				_, err = feed(d, strings.Repeat(" ", 64), 64)
			}
			if got := condition(err); got != c.condition {
				t.Errorf("%s (%d at a time): %s (%v), want %s", c.name, step, got, err, c.condition)
				continue
			}
			if _, again := feed(d, "<message/>", 100); again != err {
				t.Errorf("%s: the decoder recovered: %v", c.name, again)
			}
		}
	}
}

// TestBadHeadersEndTheStream is about what comes before the first stanza.
func TestBadHeadersEndTheStream(t *testing.T) {
	const ns = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
	for _, c := range []struct{ name, in, condition string }{
		{"text", "GET / HTTP/1.1\r\n", "not-well-formed"},
		{"TLS", "\x16\x03\x01\x02\x00\x01", "not-well-formed"},
		{"byte order mark", "\uFEFF<stream:stream " + ns + ">", "not-well-formed"},
		{"UTF-16", "<\x00s\x00", "not-well-formed"},
		{"end tag", "</stream:stream>", "not-well-formed"},
		{"end tag that is cut off", "</", "not-well-formed"},
		{"CDATA", "<![CDATA[x]]>", "not-well-formed"},
		{"DOCTYPE", "<!DOCTYPE stream>", "restricted-xml"},
		{"comment", "<!---->", "restricted-xml"},
		{"declaration after white space", " <?xml version='1.0'?>", "restricted-xml"},
		{"two declarations", "<?xml version='1.0'?><?xml version='1.0'?>", "restricted-xml"},
		{"XML 1.1", "<?xml version='1.1'?>", "not-well-formed"},
		{"no version", "<?xml encoding='UTF-8'?>", "not-well-formed"},
		{"declaration without anything", "<?xml ?>", "not-well-formed"},
		{"declaration in disorder", "<?xml version='1.0' standalone='yes' encoding='UTF-8'?>", "not-well-formed"},
		{"declaration with something else", "<?xml version='1.0' lang='en'?>", "not-well-formed"},
		{"declaration that does not end", "<?xml version='1.0'" + strings.Repeat(" ", 300), "not-well-formed"},
		{"standalone perhaps", "<?xml version='1.0' standalone='perhaps'?>", "not-well-formed"},
		{"Latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?>", "unsupported-encoding"},
		{"other processing instruction", "<?xml-stylesheet href='x'?>", "restricted-xml"},
		{"stanza without a header", "<message xmlns='jabber:client'/>", "invalid-namespace"},
		{"wrong stream namespace", "<stream:stream xmlns='jabber:client' xmlns:stream='urn:x'>", "invalid-namespace"},
		{"no stream namespace", "<stream xmlns='jabber:client'>", "invalid-namespace"},
		{"undeclared prefix", "<stream:stream xmlns='jabber:client'>", "not-well-formed"},
		{"other element", "<stream:strom " + ns + ">", "bad-format"},
		{"content of servers", "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>", "invalid-namespace"},
		{"other content", "<stream:stream xmlns='urn:x' xmlns:stream='http://etherx.jabber.org/streams'>", "invalid-namespace"},
		{"header that does not end", "<stream:stream " + ns + " to='" + strings.Repeat("a", 16<<10), "policy-violation"},
		{"header with many namespaces", manyPrefixes("<stream:stream "+ns, 31) + ">", "policy-violation"},
		{"header with many attributes", manyAttrs("<stream:stream "+ns, 31), "policy-violation"},
	} {
		for _, step := range []int{1, 1 << 20} {
			d := NewDecoder(NSClient, Limits{})
			_, err := feed(d, c.in+strings.Repeat(" ", 64), step)
			if got := condition(err); got != c.condition {
				t.Errorf("%s (%d at a time): %s (%v), want %s", c.name, step, got, err, c.condition)
			}
		}
	}
}

// TestHeadersThatAreUnusualButRight obey RFC 6120 §4.8.
func TestHeadersThatAreUnusualButRight(t *testing.T) {
	for _, c := range []struct{ in, prefix, def string }{
		{"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "stream", NSClient},
		{"<?xml version=\"1.0\" encoding=\"utf-8\" standalone='yes' ?>\r\n<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' >", "s", NSClient},
		{"\n <stream:stream xmlns:stream='http://etherx.jabber.org/streams'>", "stream", ""},
		{"<stream xmlns='http://etherx.jabber.org/streams'>", "", NSStream},
		{"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns=''>", "stream", ""},
	} {
		d := NewDecoder(NSClient, Limits{})
		d.Filled(copy(d.Space(), c.in))
		ev, err := d.Next()
		if err != nil || ev != StreamOpen || d.Element().Prefix != c.prefix || d.Element().Default != c.def {
			t.Errorf("%s: %v %v %+v", c.in, ev, err, d.Element())
		}
		got, err := feed(d, "<message xmlns='jabber:client'><body/></message>", 100)
		if want := "{jabber:client}message[<body/>] {jabber:client}body=<body/>"; err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q %v", c.in, got, err)
		}
	}
}

// TestMemoryIsBounded: whatever a peer sends without ever ending an element,
// the buffer stays near the limit.
func TestMemoryIsBounded(t *testing.T) {
	limits := Limits{Bytes: 64 << 10, Depth: 64, Attrs: 64, Namespaces: 64}
	for _, c := range []struct{ name, begin, more string }{
		{"text", "<message>", "x"},
		{"attribute", "<message id='", "x"},
		{"white space in a tag", "<message ", " "},
		{"name", "<m", "m"},
		{"CDATA", "<message><![CDATA[", "x"},
		{"elements", "<message><a>", "<bbbbbbbbbbbbbbbbbbbbbbbbb/>"},
		{"'>' in an attribute", "<message id='", ">"},
	} {
		d := NewDecoder(NSClient, limits)
		_, err := feed(d, testHeader+c.begin, 1<<20)
		sent := 0
		for err == nil && sent < 1<<20 {
			_, err = feed(d, c.more, 1<<20)
			sent += len(c.more)
			if n := len(d.w.buf) + cap(d.w.out); n > 2*limits.Bytes {
				t.Fatalf("%s: %d bytes are kept", c.name, n)
			}
		}
		if condition(err) != "policy-violation" || sent > limits.Bytes+len(c.more) {
			t.Errorf("%s: %v after %d bytes", c.name, err, sent)
		}
	}
}

// TestWhiteSpaceBetweenStanzasIsNotKept: keep-alives cost nothing.
func TestWhiteSpaceBetweenStanzasIsNotKept(t *testing.T) {
	d := NewDecoder(NSClient, Limits{Bytes: 200})
	if _, err := feed(d, testHeader, 1<<20); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if _, err := feed(d, " \n\r\t                                  ", 100); err != nil || d.Partial() || d.Buffered() != 0 {
			t.Fatal(err, d.Partial(), d.Buffered())
		}
	}
	if d.Release(); d.w != nil {
		t.Error("an idle decoder keeps a buffer")
	}
}

// TestDrippedTagIsNotReadAgainAndAgain: the work for a tag of n bytes, sent
// one by one, is a small multiple of n. It is counted, not timed: each attempt
// to read the tag sets anew when the next one is due.
func TestDrippedTagIsNotReadAgainAndAgain(t *testing.T) {
	for _, begin := range []string{"<message id='", "<message id=\"'>", "<message "} {
		d := NewDecoder(NSClient, Limits{Bytes: 256 << 10})
		if _, err := feed(d, testHeader+begin, 1<<20); err != nil {
			t.Fatal(err)
		}
		again, last := 0, d.w.again
		for range 100 << 10 {
			c := " "
			if begin != "<message " {
				c = ">"
			}
			if _, err := feed(d, c, 1); err != nil {
				t.Fatal(err)
			}
			if d.w.again != last {
				last = d.w.again
				again++
			}
		}
		if again > 20 {
			t.Errorf("%s…: read %d times", begin, again)
		}
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	d := NewDecoder(NSClient, Limits{})
	_, err := feed(d, "<!-- -->", 100)
	var e *Error
	if !errors.As(err, &e) || e.Text != "comment" || e.Error() != "restricted-xml: comment" {
		t.Error(err)
	}
}
