package elem

// Element is a stream header or a top-level element. It is valid until the
// next call of Next, Space, Discard or Release; Inner and Parts are valid for
// ever and must not be changed.
type Element struct {
	Name Name

	// Prefix is the prefix as it was written, and Default the default namespace
	// in scope within: of a header that says how the peer wants to talk
	// (RFC 6120 §4.8).
	Prefix, Default string

	// Inner is the canonical content, relative to the element's own namespace.
	Inner []byte
	Parts []Part

	src   []byte
	attrs []attr
}

// Attr is the value of an attribute in no namespace.
func (e *Element) Attr(local string) ([]byte, bool) {
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.kind == plain && string(a.name(e.src)) == local {
			return a.value(e.src), true
		}
	}
	return nil, false
}

// Lang is xml:lang.
func (e *Element) Lang() ([]byte, bool) {
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.kind == byXML && string(a.local(e.src)) == "lang" {
			return a.value(e.src), true
		}
	}
	return nil, false
}

// Node is the whole element as a tree, without attributes in foreign
// namespaces: for what is negotiated, where speed does not matter.
func (e *Element) Node() *Node {
	n := New(e.Name.Space, e.Name.Local)
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.kind == plain || a.kind == byXML {
			n.WithAttr(string(a.name(e.src)), string(a.value(e.src)))
		}
	}
	space := e.Name.Space
	if isContent(space) {
		space = NSClient
	}
	return n.parseContent(e.Inner, space)
}

// fill makes the public element of the top-level start tag.
func (d *Decoder) fill(s []byte) {
	w := d.w
	d.elem = Element{Name: w.name, Default: w.stack[0].def, src: s, attrs: w.top.attrs}
	if w.top.colon >= 0 {
		d.elem.Prefix = w.names.get(s[w.top.start:w.top.colon])
	}
}
