package transcript

import (
	"strings"
	"testing"

	"chancery/test/node"
)

func elementOf(t *testing.T, text string) *node.Element {
	t.Helper()
	e, err := node.ParseElements(text)
	if err != nil || len(e) != 1 {
		t.Fatalf("%s: %v, %v", text, e, err)
	}
	return e[0]
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct{ want, got, diff string }{
		{`<message to='a'><body>x</body></message>`, `<message to="a" xmlns:q='jabber:client'><q:body>x</q:body></message>`, ""},
		{`<message><body>x</body></message>`, `<message><body>y</body></message>`, `text "y", wanted "x"`},
		{`<message id='{any}'/>`, `<message id='7'/>`, ""},
		{`<message id='{any}'/>`, `<message/>`, "has no id"},
		{`<message id='{maybe}'/>`, `<message/>`, ""},
		{`<message/>`, `<message id='7'/>`, "an attribute too many"},
		{`<message from='{x}' id='{x}'/>`, `<message from='1' id='1'/>`, ""},
		{`<message from='{x}' id='{x}'/>`, `<message from='1' id='2'/>`, `id="2", wanted "1"`},
		{`<message from='romeo@a.example/{r}'/>`, `<message from='romeo@a.example/x/y'/>`, ""},
		{`<a xmlns='u:1'><b/><c/></a>`, `<a xmlns='u:1'><c/><b/></a>`, "<c/>"},
		{`<a xmlns='u:1'>{unordered}<b/><c/></a>`, `<a xmlns='u:1'><c/><b/></a>`, ""},
		{`<a xmlns='u:1'>{unordered}<b/></a>`, `<a xmlns='u:1'><c/><b/></a>`, "too much"},
		{`<a xmlns='u:1'>{more}<b/></a>`, `<a xmlns='u:1'><c/><b/>text</a>`, ""},
		{`<a xmlns='u:1'>{more}<d/></a>`, `<a xmlns='u:1'><c/><b/></a>`, "missing"},
		{`<a xmlns='u:1'>{unordered}<b i='{i}'/><b i='2' j='{i}'/></a>`, `<a xmlns='u:1'><b i='2' j='1'/><b i='1'/></a>`, ""},
		{`<a xmlns='u:1'><b/></a>`, `<a xmlns='u:1'><b xmlns='u:2'/></a>`, `of "u:2"`},
		{`<a xmlns='u:1'/>`, `<a xmlns='u:1'>x</a>`, `text "x"`},
		{`<delay xmlns='urn:xmpp:delay' stamp='{datetime}'/>`, `<delay xmlns='urn:xmpp:delay' stamp='2000-01-01T00:00:00.5Z'/>`, ""},
		{`<delay xmlns='urn:xmpp:delay' stamp='{datetime}'/>`, `<delay xmlns='urn:xmpp:delay' stamp='20000101T00:00:00'/>`, "stamp"},
	} {
		_, diff := values{}.match(elementOf(t, c.want), elementOf(t, c.got))
		if (diff == "") != (c.diff == "") || !strings.Contains(diff, c.diff) {
			t.Errorf("%s\nagainst %s\ngives %q, wanted %q", c.want, c.got, diff, c.diff)
		}
	}
}

func TestWhatIsForgiven(t *testing.T) {
	const bare, full = "romeo@a.example", "romeo@a.example/phone"
	for _, c := range []struct {
		name, want, got string
		agree           bool
	}{
		{"own full address as to", `<message/>`, `<message to='romeo@a.example/phone'/>`, true},
		{"own bare address as to", `<message/>`, `<message to='romeo@a.example'/>`, true},
		{"somebody else's address as to", `<message/>`, `<message to='juliet@a.example'/>`, false},
		{"own account as from", `<iq id='1'/>`, `<iq id='1' from='romeo@a.example'/>`, true},
		{"own session as from", `<iq id='1'/>`, `<iq id='1' from='romeo@a.example/phone'/>`, false},
		{"own stanza-id", `<message/>`, `<message><stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.example' id='1'/></message>`, true},
		{"another's stanza-id", `<message/>`, `<message><stanza-id xmlns='urn:xmpp:sid:0' by='juliet@a.example' id='1'/></message>`, false},
		{"asked stanza-id", `<message><stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.example' id='2'/></message>`, `<message><stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.example' id='1'/></message>`, false},
		{"text of an error", `<iq type='error'>` + errorElement("cancel conflict") + `</iq>`, `<iq type='error'><query xmlns='u:1'/><error type='cancel' by='a.example'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no</text></error></iq>`, true},
		{"condition of an error", `<iq type='error'>` + errorElement("cancel conflict") + `</iq>`, `<iq type='error'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`, false},
		{"second condition", `<iq type='error'>` + errorElement("cancel conflict") + `</iq>`, `<iq type='error'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><too-many xmlns='urn:xmpp:errors'/></error></iq>`, false},
	} {
		want := elementOf(t, c.want)
		_, diff := values{}.match(want, forgive(want, elementOf(t, c.got), bare, full))
		if (diff == "") != c.agree {
			t.Errorf("%s: %q", c.name, diff)
		}
	}
}

func TestScriptsAreParsedWithTheirLines(t *testing.T) {
	s, err := Parse("x.txt", "# Title (RFC 1)\n# more\n\nclients romeo/phone\nromeo/phone sends\n  <message/>\n  <presence/>\nnobody gets anything\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{{4, "", "clients", "romeo/phone"}, {5, "romeo/phone", "sends", "<message/>\n<presence/>"}, {8, "", "nobody gets anything", ""}}
	if s.Title != "Title (RFC 1)" || len(s.Steps) != len(want) {
		t.Fatalf("%q %v", s.Title, s.Steps)
	}
	for i, st := range s.Steps {
		if st != want[i] {
			t.Errorf("step %d is %#v, wanted %#v", i, st, want[i])
		}
	}
	for _, bad := range []string{"romeo/phone sends <a/>\n", "# t\n  <a/>\n", "# t\nromeo/phone dances\n", "# t\n<a/> sends\n"} {
		if _, err := Parse("x.txt", bad); err == nil || !strings.HasPrefix(err.Error(), "x.txt:") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
