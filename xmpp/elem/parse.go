package elem

import "errors"

// maxTree bounds the recursion of Parse; streams are bounded well below.
const maxTree = 256

var errCanonical = errors.New("not a canonical element")

// Parse reads one canonical element that stands where the namespace is ns:
// bytes of a payload, or rows written from it. It checks what it needs in
// order to read, not what the decoder has checked already.
func Parse(b []byte, ns string) (*Node, error) {
	p := parser{s: b}
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
	s     []byte
	i     int
	names nameCache
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
	n := &Node{Name: Name{ns, p.names.get(name)}}
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
	t := tag{limit: 1 << 16}
	end, err := t.scanAttrs(p.s, p.i)
	if err != nil {
		return false, errCanonical
	}
	p.i = end
	var prefixes []binding
	for i := range t.attrs {
		switch a := &t.attrs[i]; {
		case a.isDefault(p.s):
			n.Name.Space = p.names.get(a.value(p.s))
		case a.isPrefix(p.s):
			prefixes = append(prefixes, binding{string(a.local(p.s)), p.names.get(a.value(p.s))})
		}
	}
	for i := range t.attrs {
		a := &t.attrs[i]
		if a.isDefault(p.s) || a.isPrefix(p.s) {
			continue
		}
		name := Name{Local: p.names.get(a.local(p.s))}
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
	var text []byte // all of it, when it comes in pieces
	mixed := false
	pieces := 0
	for {
		start, plain := p.i, true
		for p.i < len(p.s) && p.s[p.i] != '<' {
			if c := p.s[p.i]; c == '&' || c == '\r' {
				plain = false
			}
			p.i++
		}
		if p.i+1 >= len(p.s) {
			return errCanonical
		}
		if start < p.i {
			piece := p.s[start:p.i]
			if !plain {
				piece = unescape(nil, piece, false)
			}
			mixed = mixed || skipSpace(piece, 0) < len(piece)
			if text == nil {
				text = piece[:len(piece):len(piece)]
			} else {
				text = append(text, piece...)
			}
			pieces++
			n.Children = append(n.Children, &Node{Text: string(piece)})
		}
		if p.s[p.i+1] == '/' {
			break
		}
		c, err := p.element(n.Name.Space, depth+1)
		if err != nil {
			return err
		}
		n.Children = append(n.Children, c)
	}
	n.settle(text, pieces, mixed)
	return nil
}

// settle keeps the pieces of text among the children only where an element
// really mixes them: white space between elements is layout.
func (n *Node) settle(text []byte, pieces int, mixed bool) {
	if pieces == 0 {
		return
	}
	if pieces == len(n.Children) {
		n.Text, n.Children = n.Children[0].Text, nil
		return
	}
	if mixed {
		n.Text = string(text)
		return
	}
	kept := n.Children[:0]
	for _, c := range n.Children {
		if c.Name.Local != "" {
			kept = append(kept, c)
		}
	}
	n.Children = kept
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
