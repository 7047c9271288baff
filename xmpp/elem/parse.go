package elem

import (
	"errors"
	"slices"
	"strings"
)

// maxTree bounds the recursion of Parse; streams are bounded well below.
const maxTree = 256

var errCanonical = errors.New("not a canonical element")

// Parse reads one canonical element that stands where the namespace is ns:
// bytes of a payload, or rows written from it. It checks what it needs in
// order to read, not what the decoder has checked already.
func Parse(b []byte, ns string) (*Node, error) {
	var few [6]attr
	p := parser{s: b, tag: tag{attrs: few[:0]}}
	n, err := p.element(ns, 0)
	if err == nil && skipSpace(b, p.i) != len(b) {
		err = errCanonical
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

type parser struct {
	s   []byte
	i   int
	tag tag
}

// element reads the element whose '<' is at p.i.
func (p *parser) element(ns string, depth int) (*Node, error) {
	if depth == maxTree || p.i >= len(p.s) || p.s[p.i] != '<' {
		return nil, errCanonical
	}
	colon, end, err := qname(p.s, p.i+1)
	if err != nil || colon >= 0 {
		return nil, errCanonical
	}
	name := p.s[p.i+1 : end]
	p.i = end
	n := &Node{Name: Name{ns, intern(name)}}
	empty, err := p.attrs(n)
	if err != nil || empty {
		return n, err
	}
	if err := p.content(n, depth); err != nil {
		return nil, err
	}
	// The end tag.
	end = p.i + 2 + len(name)
	if end > len(p.s) || string(p.s[p.i+2:end]) != string(name) {
		return nil, errCanonical
	}
	if end = skipSpace(p.s, end); end == len(p.s) || p.s[end] != '>' {
		return nil, errCanonical
	}
	p.i = end + 1
	return n, nil
}

// attrs reads to the end of the start tag.
func (p *parser) attrs(n *Node) (empty bool, err error) {
	t := &p.tag
	t.limit = 1 << 16
	end, err := t.scanAttrs(p.s, p.i)
	if err != nil {
		return false, errCanonical
	}
	p.i = end
	var prefixes []binding
	for i := range t.attrs {
		switch a := &t.attrs[i]; a.kind {
		case bindsAll:
			n.Name.Space = intern(a.value(p.s))
		case binds:
			prefixes = append(prefixes, binding{string(a.local(p.s)), intern(a.value(p.s))})
		}
	}
	for i := range t.attrs {
		a := &t.attrs[i]
		if a.kind == bindsAll || a.kind == binds {
			continue
		}
		name := Name{Local: intern(a.local(p.s))}
		if a.colon >= 0 {
			var ok bool
			if name.Space, ok = resolve(prefixes, a.prefix(p.s)); !ok {
				return false, errCanonical
			}
		}
		if n.Attrs == nil {
			n.Attrs = make([]Attr, 0, len(t.attrs)-i)
		}
		n.Attrs = append(n.Attrs, Attr{name, string(a.value(p.s))})
	}
	return t.empty, nil
}

// resolve finds what a prefix is bound to.
func resolve(scope []binding, prefix []byte) (string, bool) {
	if string(prefix) == "xml" {
		return NSXML, true
	}
	for i := len(scope) - 1; i >= 0; i-- {
		if scope[i].prefix == string(prefix) {
			return scope[i].uri, true
		}
	}
	return "", false
}

// content reads up to the '<' of the end tag.
func (p *parser) content(n *Node, depth int) error {
	for {
		piece, err := p.text()
		if err != nil {
			return err
		}
		last := p.s[p.i+1] == '/'
		switch {
		case last && len(n.Children) == 0:
			n.Text = piece
			return nil
		case piece != "":
			n.Children = append(n.Children, &Node{Text: piece})
		}
		if last {
			n.settle()
			return nil
		}
		c, err := p.element(n.Name.Space, depth+1)
		if err != nil {
			return err
		}
		n.Children = append(n.Children, c)
	}
}

// text reads up to the next tag, which begins with two bytes at least.
func (p *parser) text() (string, error) {
	start, verbatim := p.i, true
	for p.i < len(p.s) && p.s[p.i] != '<' {
		if c := p.s[p.i]; c == '&' || c == '\r' {
			verbatim = false
		}
		p.i++
	}
	if p.i+1 >= len(p.s) {
		return "", errCanonical
	}
	if verbatim {
		return string(p.s[start:p.i]), nil
	}
	return string(unescape(nil, p.s[start:p.i], false)), nil
}

// settle keeps the pieces of text among the children only where an element
// really mixes them: white space between elements is layout.
func (n *Node) settle() {
	if !slices.ContainsFunc(n.Children, func(c *Node) bool { return c.Name.Local == "" }) {
		return
	}
	var all strings.Builder
	mixed := false
	elements := make([]*Node, 0, len(n.Children))
	for _, c := range n.Children {
		if c.Name.Local != "" {
			elements = append(elements, c)
			continue
		}
		all.WriteString(c.Text)
		mixed = mixed || strings.Trim(c.Text, " \t\r\n") != ""
	}
	if mixed {
		n.Text = all.String()
		return
	}
	n.Children = elements
}

// parseContent adds the content of an element whose start tag is known
// already. The bytes came from the decoder, so there are no errors to expect.
func (n *Node) parseContent(inner []byte, space string) *Node {
	if len(inner) == 0 {
		return n
	}
	own := n.Name.Space
	n.Name.Space = space
	p := parser{s: append(append(make([]byte, 0, len(inner)+2), inner...), "</"...)}
	_ = p.content(n, 0)
	n.Name.Space = own
	return n
}
