package node

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Namespaces that clients and scripts need by name.
const (
	NSClient = "jabber:client"
	NSStream = "http://etherx.jabber.org/streams"
	NSTLS    = "urn:ietf:params:xml:ns:xmpp-tls"
	NSSASL   = "urn:ietf:params:xml:ns:xmpp-sasl"
	NSBind   = "urn:ietf:params:xml:ns:xmpp-bind"
	NSSM     = "urn:xmpp:sm:3"

	nsXML = "http://www.w3.org/XML/1998/namespace"
)

// Element is one element as a client understands it: names are expanded, prefixes and namespace declarations are gone,
// attributes are sorted. It is read with encoding/xml on purpose: the server has a tokenizer of its own, and two readers
// that disagree are a bug that only a second reader can see.
type Element struct {
	Space, Local string
	Attrs        []Attr
	Content      []Content
}

// Attr is an attribute. Space is "" for all but xml:lang and the like.
type Attr struct{ Space, Local, Value string }

// Content is a piece of an element's content: an element, or text where Elem is nil.
type Content struct {
	Elem *Element
	Text string
}

// Attr is the value of the attribute without a namespace; "" when absent.
func (e *Element) Attr(local string) string {
	v, _ := e.Lookup("", local)
	return v
}

// Lookup finds an attribute.
func (e *Element) Lookup(space, local string) (string, bool) {
	for _, a := range e.Attrs {
		if a.Local == local && a.Space == space {
			return a.Value, true
		}
	}
	return "", false
}

// Is tells whether the element has that name.
func (e *Element) Is(space, local string) bool { return e.Space == space && e.Local == local }

// Children are the child elements.
func (e *Element) Children() []*Element {
	var out []*Element
	for _, c := range e.Content {
		if c.Elem != nil {
			out = append(out, c.Elem)
		}
	}
	return out
}

// Child is the first child with that name; nil when there is none.
func (e *Element) Child(space, local string) *Element {
	for _, c := range e.Content {
		if c.Elem != nil && c.Elem.Is(space, local) {
			return c.Elem
		}
	}
	return nil
}

// Text is the character data directly inside the element.
func (e *Element) Text() string {
	var b strings.Builder
	for _, c := range e.Content {
		if c.Elem == nil {
			b.WriteString(c.Text)
		}
	}
	return b.String()
}

// String is the canonical form: single quotes, sorted attributes, a namespace only where it changes.
func (e *Element) String() string {
	var b strings.Builder
	e.write(&b, NSClient)
	return b.String()
}

func (e *Element) write(b *strings.Builder, space string) {
	name := e.Local
	if e.Space == NSStream {
		name = "stream:" + name
	}
	b.WriteByte('<')
	b.WriteString(name)
	if e.Space != space && e.Space != NSStream {
		fmt.Fprintf(b, " xmlns='%s'", e.Space)
		space = e.Space
	}
	for _, a := range e.Attrs {
		prefix := ""
		switch a.Space {
		case "":
		case nsXML:
			prefix = "xml:"
		default:
			prefix = "{" + a.Space + "}"
		}
		fmt.Fprintf(b, " %s%s='%s'", prefix, a.Local, attrEscaper.Replace(a.Value))
	}
	if len(e.Content) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	for _, c := range e.Content {
		if c.Elem != nil {
			c.Elem.write(b, space)
		} else {
			b.WriteString(textEscaper.Replace(c.Text))
		}
	}
	fmt.Fprintf(b, "</%s>", name)
}

var (
	attrEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", "'", "&apos;", "\r", "&#13;", "\n", "&#10;", "\t", "&#9;")
	textEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")
)

// ParseElements reads a sequence of elements as they would stand inside a client's stream: the default namespace is
// jabber:client and the prefix 'stream' is declared.
func ParseElements(text string) ([]*Element, error) {
	d := xml.NewDecoder(strings.NewReader("<stream:stream xmlns='" + NSClient + "' xmlns:stream='" + NSStream + "'>" + text + "</stream:stream>"))
	_, scope, err := readHeader(d)
	if err != nil {
		return nil, err
	}
	var out []*Element
	for {
		e, err := readElement(d, scope)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
}

// scope is the namespaces that are declared at a place. encoding/xml leaves an undeclared prefix where the namespace
// should be, so whoever wants to know must keep account.
type scope struct {
	space string
	next  *scope
}

func (s *scope) has(space string) bool {
	for ; s != nil; s = s.next {
		if s.space == space {
			return true
		}
	}
	return space == "" || space == nsXML
}

// readHeader reads up to and including the stream's opening tag.
func readHeader(d *xml.Decoder) (*Element, *scope, error) {
	for {
		t, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return newElement(t, nil)
		case xml.ProcInst, xml.CharData:
		default:
			return nil, nil, fmt.Errorf("%T before the stream header", t)
		}
	}
}

// readElement reads one child of the stream. io.EOF says that the stream was closed with its closing tag; a connection
// that just ends gives io.ErrUnexpectedEOF.
func readElement(d *xml.Decoder, in *scope) (*Element, error) {
	for {
		t, err := d.Token()
		if err != nil {
			return nil, unexpected(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			return readInside(d, t, in)
		case xml.EndElement:
			return nil, io.EOF
		case xml.CharData:
			if s := strings.TrimSpace(string(t)); s != "" {
				return nil, fmt.Errorf("text between stanzas: %q", s)
			}
		default:
			return nil, fmt.Errorf("%T on the stream", t)
		}
	}
}

func readInside(d *xml.Decoder, start xml.StartElement, in *scope) (*Element, error) {
	e, in, err := newElement(start, in)
	if err != nil {
		return nil, err
	}
	for {
		t, err := d.Token()
		if err != nil {
			return nil, unexpected(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			c, err := readInside(d, t, in)
			if err != nil {
				return nil, err
			}
			e.Content = append(e.Content, Content{Elem: c})
		case xml.EndElement:
			return e, nil
		case xml.CharData:
			if n := len(e.Content); n > 0 && e.Content[n-1].Elem == nil {
				e.Content[n-1].Text += string(t)
			} else {
				e.Content = append(e.Content, Content{Text: string(t)})
			}
		default:
			return nil, fmt.Errorf("%T inside an element", t)
		}
	}
}

// unexpected turns every end that came too early into io.ErrUnexpectedEOF.
func unexpected(err error) error {
	var syntax *xml.SyntaxError
	if errors.Is(err, io.EOF) || (errors.As(err, &syntax) && syntax.Msg == "unexpected EOF") {
		return io.ErrUnexpectedEOF
	}
	return err
}

// newElement takes the name and the attributes, and what they declare.
func newElement(t xml.StartElement, in *scope) (*Element, *scope, error) {
	e := &Element{Space: t.Name.Space, Local: t.Name.Local}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "xmlns" || (a.Name.Space == "" && a.Name.Local == "xmlns"):
			in = &scope{a.Value, in}
			continue
		case a.Name.Space == "xml":
			a.Name.Space = nsXML
		}
		e.Attrs = append(e.Attrs, Attr{a.Name.Space, a.Name.Local, a.Value})
	}
	if !in.has(e.Space) {
		return nil, nil, fmt.Errorf("undeclared prefix %q on <%s/>", e.Space, e.Local)
	}
	for _, a := range e.Attrs {
		if !in.has(a.Space) {
			return nil, nil, fmt.Errorf("undeclared prefix %q on an attribute of <%s/>", a.Space, e.Local)
		}
	}
	slices.SortFunc(e.Attrs, func(a, b Attr) int {
		return strings.Compare(a.Space+" "+a.Local, b.Space+" "+b.Local)
	})
	for i := 1; i < len(e.Attrs); i++ {
		if e.Attrs[i-1].Space == e.Attrs[i].Space && e.Attrs[i-1].Local == e.Attrs[i].Local {
			return nil, nil, fmt.Errorf("attribute %q twice on <%s/>", e.Attrs[i].Local, e.Local)
		}
	}
	return e, in, nil
}
