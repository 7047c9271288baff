package client

import (
	"encoding/xml"
	"strings"
)

// Element is what came, as a tree.
type Element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []*Element `xml:",any"`
	Text     string     `xml:",chardata"`
}

// Is compares the name.
func (e *Element) Is(space, local string) bool {
	return e != nil && e.XMLName.Space == space && e.XMLName.Local == local
}

// Attr is "" when there is none.
func (e *Element) Attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.Attrs {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// Child is the first of this name; nil when there is none, also of nil, so that
// paths can be written without asking at every step.
func (e *Element) Child(space, local string) *Element {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if c.Is(space, local) {
			return c
		}
	}
	return nil
}

// Content is the text directly in the element.
func (e *Element) Content() string {
	if e == nil {
		return ""
	}
	return e.Text
}

// Condition of a stanza error, and its type ("wait", "cancel" …).
func (e *Element) Condition() (condition, kind string) {
	err := e.Child(nsClient, "error")
	if err == nil {
		return "", ""
	}
	for _, c := range err.Children {
		if c.XMLName.Space == "urn:ietf:params:xml:ns:xmpp-stanzas" && c.XMLName.Local != "text" {
			condition = c.XMLName.Local
		}
	}
	return condition, err.Attr("type")
}

// String is for messages to people.
func (e *Element) String() string {
	var b strings.Builder
	e.write(&b, nsClient)
	return b.String()
}

func (e *Element) write(b *strings.Builder, space string) {
	if e == nil {
		b.WriteString("nothing")
		return
	}
	b.WriteString("<" + e.XMLName.Local)
	if e.XMLName.Space != space {
		b.WriteString(" xmlns='" + escape(e.XMLName.Space) + "'")
	}
	for _, a := range e.Attrs {
		if a.Name.Local != "xmlns" && a.Name.Space != "xmlns" {
			b.WriteString(" " + a.Name.Local + "='" + escape(a.Value) + "'")
		}
	}
	if len(e.Children) == 0 && e.Text == "" {
		b.WriteString("/>")
		return
	}
	b.WriteString(">" + escape(e.Text))
	for _, c := range e.Children {
		c.write(b, e.XMLName.Space)
	}
	b.WriteString("</" + e.XMLName.Local + ">")
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", "\r", "&#xD;").Replace(s)
}

// StreamError is a <stream:error/> from the peer.
type StreamError struct{ Element *Element }

func (e *StreamError) Error() string { return "stream error: " + e.Element.String() }
