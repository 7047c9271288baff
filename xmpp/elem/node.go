package elem

import "strings"

// Node is an element as a small tree, for the places that build answers or
// look inside a payload. It belongs to whoever made it.
type Node struct {
	Name  Name
	Attrs []Attr

	// Children are the child elements. Where an element mixes text and
	// elements, the pieces of text stand between them as nodes without a name.
	Children []*Node

	// Text is all the character data directly within the element. It is
	// written only if no child is a piece of text.
	Text string

	raw []byte
}

// Attr is an attribute; Name.Space is "" for nearly all of them.
type Attr struct {
	Name  Name
	Value string
}

// New makes an element.
func New(space, local string) *Node { return &Node{Name: Name{space, local}} }

// Raw makes an element of canonical bytes that we wrote ourselves or that came
// through the decoder. They are embedded unchanged, so they must declare their
// namespace if it is not that of the place they are put in.
func Raw(name Name, canonical []byte) *Node { return &Node{Name: name, raw: canonical} }

// With sets an attribute unless the value is empty. "xml:lang" names the
// attribute of XML; other attributes in a namespace go into Attrs directly.
func (n *Node) With(attr, value string) *Node {
	if value == "" {
		return n
	}
	return n.WithAttr(attr, value)
}

// WithAttr sets an attribute, even to "".
func (n *Node) WithAttr(attr, value string) *Node {
	name := attrName(attr)
	for i := range n.Attrs {
		if n.Attrs[i].Name == name {
			n.Attrs[i].Value = value
			return n
		}
	}
	n.Attrs = append(n.Attrs, Attr{name, value})
	return n
}

// Add appends children; nil ones are left out.
func (n *Node) Add(children ...*Node) *Node {
	for _, c := range children {
		if c != nil {
			n.Children = append(n.Children, c)
		}
	}
	return n
}

// SetText sets the character data.
func (n *Node) SetText(text string) *Node {
	n.Text = text
	return n
}

// Attr is the value of an attribute, "" when it is absent.
func (n *Node) Attr(attr string) string {
	v, _ := n.attr(attr)
	return v
}

// Has tells whether the attribute is there.
func (n *Node) Has(attr string) bool {
	_, ok := n.attr(attr)
	return ok
}

func (n *Node) attr(attr string) (string, bool) {
	name := attrName(attr)
	for i := range n.Attrs {
		if n.Attrs[i].Name == name {
			return n.Attrs[i].Value, true
		}
	}
	return "", false
}

func attrName(attr string) Name {
	if local, ok := strings.CutPrefix(attr, "xml:"); ok {
		return Name{NSXML, local}
	}
	return Name{Local: attr}
}

// Child is the first child element with that name, nil when there is none. It
// may be asked of a nil node.
func (n *Node) Child(space, local string) *Node {
	if n == nil {
		return nil
	}
	for _, c := range n.Children {
		if c.Name.Local == local && c.Name.Space == space {
			return c
		}
	}
	return nil
}

// ChildrenNamed are all child elements with that name.
func (n *Node) ChildrenNamed(space, local string) []*Node {
	if n == nil {
		return nil
	}
	var out []*Node
	for _, c := range n.Children {
		if c.Name.Local == local && c.Name.Space == space {
			out = append(out, c)
		}
	}
	return out
}

// Append writes the element into a place whose default namespace is parentNS.
func (n *Node) Append(dst []byte, parentNS string) []byte {
	if n.raw != nil {
		return append(dst, n.raw...)
	}
	if n.Name.Local == "" {
		return AppendText(dst, n.Text)
	}
	dst = append(dst, '<')
	dst = append(dst, n.Name.Local...)
	if n.Name.Space != parentNS {
		dst = AppendAttr(dst, "xmlns", n.Name.Space)
	}
	for i := range n.Attrs {
		dst = n.appendAttr(dst, i)
	}
	if n.Text == "" && len(n.Children) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if !n.mixed() {
		dst = AppendText(dst, n.Text)
	}
	for _, c := range n.Children {
		dst = c.Append(dst, n.Name.Space)
	}
	dst = append(dst, "</"...)
	dst = append(dst, n.Name.Local...)
	return append(dst, '>')
}

// mixed tells whether the text stands among the children.
func (n *Node) mixed() bool {
	for _, c := range n.Children {
		if c.Name.Local == "" && c.raw == nil {
			return true
		}
	}
	return false
}

// appendAttr gives an attribute in a namespace a prefix of its own.
func (n *Node) appendAttr(dst []byte, i int) []byte {
	a := n.Attrs[i]
	switch a.Name.Space {
	case "":
		return AppendAttr(dst, a.Name.Local, a.Value)
	case NSXML:
		return AppendAttr(dst, "xml:"+a.Name.Local, a.Value)
	}
	prefix := "a" + string(rune('a'+i%26)) + strings.Repeat("a", i/26)
	dst = AppendAttr(dst, "xmlns:"+prefix, a.Name.Space)
	return AppendAttr(dst, prefix+":"+a.Name.Local, a.Value)
}
