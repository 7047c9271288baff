// Package stanza is the vocabulary of RFC 6120 §8: messages, presence and iq
// as they travel through the server, and the errors they are answered with.
package stanza

import (
	"slices"

	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
)

// The content namespaces of streams and the namespace of stanza errors.
const (
	NSClient = "jabber:client"
	NSServer = "jabber:server"
	NSErrors = "urn:ietf:params:xml:ns:xmpp-stanzas"
)

// Kind tells messages, presence and iq apart.
type Kind uint8

// The three kinds of RFC 6120 §8.2.
const (
	Message Kind = iota + 1
	Presence
	IQ
)

func (k Kind) String() string {
	switch k {
	case Message:
		return "message"
	case Presence:
		return "presence"
	case IQ:
		return "iq"
	}
	return "unknown"
}

// Stanza is one stanza: a header, and a payload that stays bytes. Once it is
// on its way nobody changes it; whoever needs another header copies the struct
// and shares the payload.
type Stanza struct {
	Kind     Kind
	To, From jid.JID
	ID       string
	Type     string // as on the wire; "" when absent
	Lang     string

	// Payload is the canonical content; a child in the content namespace
	// (jabber:client, jabber:server) declares no namespace, so the bytes fit
	// into any stream. Parts says where its child elements stand.
	Payload []byte
	Parts   []elem.Part
}

// Child finds the first child with that name.
func (s *Stanza) Child(space, local string) (elem.Part, bool) {
	for _, p := range s.Parts {
		if p.Name.Local == local && p.Name.Space == space {
			return p, true
		}
	}
	return elem.Part{}, false
}

// Has tells whether a child with that name exists.
func (s *Stanza) Has(space, local string) bool {
	_, ok := s.Child(space, local)
	return ok
}

// HasNS tells whether any child lives in that namespace.
func (s *Stanza) HasNS(space string) bool {
	for _, p := range s.Parts {
		if p.Name.Space == space {
			return true
		}
	}
	return false
}

// Bytes is the child as it stands in the payload.
func (s *Stanza) Bytes(p elem.Part) []byte { return s.Payload[p.Start:p.End] }

// Node is the child as a tree, owned by the caller. The payload was checked
// when it came in, so nil means only that p is not of this stanza.
func (s *Stanza) Node(p elem.Part) *elem.Node {
	n, err := elem.Parse(s.Bytes(p), NSClient)
	if err != nil {
		return nil
	}
	return n
}

// Find is Child and Node in one; nil when there is no such child.
func (s *Stanza) Find(space, local string) *elem.Node {
	if p, ok := s.Child(space, local); ok {
		return s.Node(p)
	}
	return nil
}

// Body is the text of the first <body/>; "" when there is none.
func (s *Stanza) Body() string {
	if n := s.Find(NSClient, "body"); n != nil {
		return n.Text
	}
	return ""
}

// Append writes the stanza. xmlns is written on it when not empty: inside a
// stream the content namespace is already in scope.
func (s *Stanza) Append(dst []byte, xmlns string) []byte {
	return s.AppendWith(dst, xmlns, nil)
}

// AppendWith writes the stanza with more canonical bytes after its payload
// (a stanza-id, a delay), so that the shared payload needs no copy of its own.
func (s *Stanza) AppendWith(dst []byte, xmlns string, more []byte) []byte {
	name := s.Kind.String()
	dst = append(dst, '<')
	dst = append(dst, name...)
	if xmlns != "" {
		dst = elem.AppendAttr(dst, "xmlns", xmlns)
	}
	if !s.From.IsZero() {
		dst = elem.AppendAttr(dst, "from", s.From.String())
	}
	if !s.To.IsZero() {
		dst = elem.AppendAttr(dst, "to", s.To.String())
	}
	if s.ID != "" {
		dst = elem.AppendAttr(dst, "id", s.ID)
	}
	if s.Type != "" {
		dst = elem.AppendAttr(dst, "type", s.Type)
	}
	if s.Lang != "" {
		dst = elem.AppendAttr(dst, "xml:lang", s.Lang)
	}
	if len(s.Payload)+len(more) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	dst = append(dst, s.Payload...)
	dst = append(dst, more...)
	dst = append(dst, "</"...)
	dst = append(dst, name...)
	return append(dst, '>')
}

// Size is roughly what Append will write, for bounds.
func (s *Stanza) Size() int {
	return len(s.Payload) + len(s.ID) + len(s.From.String()) + len(s.To.String()) + 64
}

// New makes a stanza of our own.
func New(kind Kind, typ string, payload ...*elem.Node) *Stanza {
	s := &Stanza{Kind: kind, Type: typ}
	s.Set(payload...)
	return s
}

// Set replaces the payload of a stanza that is still being made.
func (s *Stanza) Set(payload ...*elem.Node) {
	s.Payload, s.Parts = nil, nil
	s.add(payload)
}

// add appends children; nil ones are left out.
func (s *Stanza) add(children []*elem.Node) {
	for _, n := range children {
		if n == nil {
			continue
		}
		start := len(s.Payload)
		s.Payload = n.Append(s.Payload, NSClient)
		s.Parts = append(s.Parts, elem.Part{Name: n.Name, Start: start, End: len(s.Payload)})
	}
}

// With is a copy with children added after those it has.
func (s *Stanza) With(more ...*elem.Node) *Stanza {
	c := *s
	c.Payload = append(make([]byte, 0, len(s.Payload)+256), s.Payload...)
	c.Parts = append(make([]elem.Part, 0, len(s.Parts)+len(more)), s.Parts...)
	c.add(more)
	return &c
}

// Without is a copy that lacks the children for which drop is true, and the
// text between children. It is the stanza itself when there are none to drop.
func (s *Stanza) Without(drop func(elem.Part) bool) *Stanza {
	if !slices.ContainsFunc(s.Parts, drop) {
		return s
	}
	c := *s
	c.Payload, c.Parts = make([]byte, 0, len(s.Payload)), make([]elem.Part, 0, len(s.Parts))
	for _, p := range s.Parts {
		if drop(p) {
			continue
		}
		start := len(c.Payload)
		c.Payload = append(c.Payload, s.Bytes(p)...)
		c.Parts = append(c.Parts, elem.Part{Name: p.Name, Start: start, End: len(c.Payload)})
	}
	return &c
}

// Addressed is a copy for another recipient.
func (s *Stanza) Addressed(to jid.JID) *Stanza {
	c := *s
	c.To = to
	return &c
}

// Stamped is a copy from another sender.
func (s *Stanza) Stamped(from jid.JID) *Stanza {
	c := *s
	c.From = from
	return &c
}

// Result answers an iq (RFC 6120 §8.2.3).
func (s *Stanza) Result(payload ...*elem.Node) *Stanza {
	r := New(IQ, "result", payload...)
	r.To, r.From, r.ID = s.From, s.To, s.ID
	return r
}
