package elem

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const testHeader = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0'>"

// found is what a test compares: an event, written out.
func found(d *Decoder, ev Event) string {
	e := d.Element()
	switch ev {
	case StreamOpen:
		return "open"
	case StreamClose:
		return "close"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{%s}%s[%s]", e.Name.Space, e.Name.Local, e.Inner)
	for _, p := range e.Parts {
		fmt.Fprintf(&b, " {%s}%s=%s", p.Name.Space, p.Name.Local, e.Inner[p.Start:p.End])
	}
	return b.String()
}

// feed gives the decoder text in pieces of at most step bytes and collects
// what it finds; an error comes last.
func feed(d *Decoder, text string, step int) (out []string, err error) {
	for len(text) > 0 {
		n := min(step, len(text))
		n = copy(d.Space(), text[:n])
		d.Filled(n)
		text = text[n:]
		for {
			ev, err := d.Next()
			if errors.Is(err, ErrMore) {
				break
			}
			if err != nil {
				return out, err
			}
			out = append(out, found(d, ev))
			if ev == StreamClose {
				return out, nil
			}
		}
	}
	return out, nil
}

func condition(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Condition
	}
	return fmt.Sprint(err)
}

// canonical is what becomes of the content of stanzas.
var canonical = []struct{ name, in, inner string }{
	{"plain", `<message to='b@x'><body>hi</body></message>`, `<body>hi</body>`},
	{"empty", `<message/>`, ``},
	{"quotes and white space stay", "<message ><body\n lang = \"x\" >h'\"i</body ></message >", "<body\n lang = \"x\" >h'\"i</body >"},
	{"references stay", `<message><body a="&#x41;&quot;">&lt;&#13;&amp;</body></message>`, `<body a="&#x41;&quot;">&lt;&#13;&amp;</body>`},
	{"own namespace stays", `<message><x xmlns='urn:x'><y/><z xmlns=''/></x></message>`, `<x xmlns='urn:x'><y/><z xmlns=''/></x>`},
	{"no namespace", `<message><x xmlns=''><y/></x></message>`, `<x xmlns=''><y/></x>`},
	{"xml:lang stays", `<message xml:lang='de'><body xml:lang='en'>x</body></message>`, `<body xml:lang='en'>x</body>`},
	{"content namespace is not repeated", `<message><body xmlns='jabber:client'>x<a xmlns="jabber:client"/></body></message>`, `<body>x<a/></body>`},
	{"nor that of servers", `<message><body xmlns='jabber:server'>x</body></message>`, `<body>x</body>`},
	{"but within others it stays", `<message><f xmlns='urn:f'><message xmlns='jabber:client'><body/></message></f></message>`, `<f xmlns='urn:f'><message xmlns='jabber:client'><body/></message></f>`},
	{"prefix for the content namespace", `<c:message xmlns:c='jabber:client'><c:body>x</c:body><c:a><c:b/></c:a></c:message>`, `<body>x</body><a><b/></a>`},
	{"prefix of the stanza", `<message xmlns:p='urn:p'><p:x a='1'><p:y/>t</p:x></message>`, `<x xmlns='urn:p' a='1'><y/>t</x>`},
	{"prefix of the child", `<message><p:x xmlns:p='urn:p'><p:y xmlns:p='urn:q'/><z/></p:x></message>`, `<x xmlns='urn:p'><y xmlns='urn:q'/><z xmlns='jabber:client'/></x>`},
	{"prefix of the header", `<message><stream:x><y/></stream:x></message>`, `<x xmlns='http://etherx.jabber.org/streams'><y xmlns='jabber:client'/></x>`},
	{"prefixed attribute of the child's own", `<message><x xmlns='urn:x' xmlns:p='urn:p' p:a='1'/></message>`, `<x xmlns='urn:x' xmlns:p='urn:p' p:a='1'/>`},
	{"prefixed attribute from outside", `<message xmlns:p='urn:p'><x xmlns='urn:x' p:a='1' p:b='2' c="3"/></message>`, `<x xmlns='urn:x' xmlns:p='urn:p' p:a='1' p:b='2' c='3'/>`},
	{"prefixed attribute of an inner element", `<message><x xmlns='urn:x' xmlns:p='urn:p'><y p:a='1'/></x></message>`, `<x xmlns='urn:x' xmlns:p='urn:p'><y xmlns:p='urn:p' p:a='1'/></x>`},
	{"rebound prefix", `<message xmlns:p='urn:p'><p:x><p:y xmlns:p='urn:q' p:a=''/><p:z/></p:x></message>`, `<x xmlns='urn:p'><y xmlns='urn:q' xmlns:p='urn:q' p:a=''/><z/></x>`},
	{"default namespace of the stanza is another", `<c:message xmlns='urn:d' xmlns:c='jabber:client'><x/><c:body><y/></c:body></c:message>`, `<x xmlns='urn:d'/><body><y xmlns='urn:d'/></body>`},
	{"CDATA becomes text", `<message><body>a<![CDATA[<b>&]] >]]>c</body></message>`, `<body>a&lt;b&gt;&amp;]] &gt;c</body>`},
	{"CDATA makes no ]]>", `<message><body><![CDATA[]]]]><![CDATA[>]]>]<![CDATA[]]]>></body></message>`, `<body>]&#x5D;&gt;]&#x5D;></body>`},
	{"empty CDATA", `<message><body><![CDATA[]]></body></message>`, `<body></body>`},
	{"line ends", "<message>\r\n<body>a\rb\r\n\r\rc&#xD;</body>\r</message>", "\n<body>a\nb\n\n\nc&#xD;</body>\n"},
	{"white space in attributes", "<message><body a='x\r\ny\tz' b=\"'&#xA;&lt;\"/></message>", "<body a='x y z' b='&apos;&#xA;&lt;'/>"},
	{"namespace with a reference", `<message><body xmlns='jabber&#58;client'/><x xmlns='urn:&amp;'><y xmlns='urn:&#38;'/></x></message>`, `<body/><x xmlns='urn:&amp;'><y xmlns='urn:&#38;'/></x>`},
	{"text beside children", `<message>a<b/>c</message>`, `a<b/>c`},
	{"beyond ASCII", `<message><körper>ü€😀` + "\u0085\u2028\uFFFD" + `</körper></message>`, `<körper>ü€😀` + "\u0085\u2028\uFFFD" + `</körper>`},
	{"greater-than in text", `<message><body>a>b ]> ]] ></body></message>`, `<body>a>b ]> ]] ></body>`},
}

// TestContentIsCanonical feeds each case whole, in pieces and byte by byte.
func TestContentIsCanonical(t *testing.T) {
	for _, c := range canonical {
		for _, step := range []int{1, 3, 7, 1 << 20} {
			d := NewDecoder(NSClient, Limits{})
			got, err := feed(d, testHeader+c.in+"<end/></stream:stream>", step)
			if err != nil || len(got) != 4 {
				t.Errorf("%s (%d at a time): %q, %v", c.name, step, got, err)
				continue
			}
			inner := got[1][strings.Index(got[1], "["):]
			if !strings.HasPrefix(inner, "["+c.inner+"]") {
				t.Errorf("%s (%d at a time):\n got  %s\n want [%s]", c.name, step, inner, c.inner)
			}
		}
	}
}
