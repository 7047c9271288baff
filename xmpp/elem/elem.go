// Package elem is XML as XMPP uses it: a decoder for streams that checks
// everything once and hands out canonical bytes, and a small tree for the few
// places that look inside.
//
// Canonical content is what the rest of the server may rely on:
//
//   - It is well-formed on its own, given the namespace of its parent: no
//     element has a prefix; an element whose namespace differs from its
//     parent's declares it with xmlns; an attribute in a namespace has its
//     prefix declared on the same element (xml: needs none).
//   - Children in the content namespace of the stream (jabber:client,
//     jabber:server) declare no namespace, so the bytes fit any stream.
//   - No CDATA, comment, processing instruction, or entity but the five of XML;
//     line ends are LF, a CR is a reference.
//
// Which quotes are used, white space within tags and the choice between a
// character and a reference to it stay as the peer wrote them.
package elem

import "errors"

// Namespaces that the package itself must know.
const (
	NSXML    = "http://www.w3.org/XML/1998/namespace"
	NSXMLNS  = "http://www.w3.org/2000/xmlns/"
	NSStream = "http://etherx.jabber.org/streams"
	NSClient = "jabber:client"
	NSServer = "jabber:server"
)

// Name is an expanded name.
type Name struct{ Space, Local string }

// N is short for a Name.
func N(space, local string) Name { return Name{space, local} }

// Part says where a top-level child stands in a canonical payload. A child in
// the content namespace is named with jabber:client on every stream.
type Part struct {
	Name
	Start, End int
}

// Limits bound one element of a stream while it is being read. A zero field
// means the bound for peers that have not proved who they are.
type Limits struct {
	Bytes      int // of the element as it comes in; 16 KiB
	Depth      int // the stanza itself is at depth 1; 16
	Attrs      int // on one element, namespace declarations included; 32
	Namespaces int // declarations in scope, those of the header included; 32
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		p *int
		v int
	}{{&l.Bytes, 16 << 10}, {&l.Depth, 16}, {&l.Attrs, 32}, {&l.Namespaces, 32}} {
		if *f.p <= 0 {
			*f.p = f.v
		}
	}
	return l
}

// maxParts bounds the top-level children of one element, and bytesPerElement
// the number of elements of all depths: what we remember of an element is
// larger than "<a/>".
const (
	maxParts        = 512
	bytesPerElement = 16
)

// ErrMore says that the decoder needs more bytes.
var ErrMore = errors.New("element is not complete")

// Error is input that ends the stream. Condition is the stream error condition
// of RFC 6120 §4.9.3.
type Error struct{ Condition, Text string }

func (e *Error) Error() string { return e.Condition + ": " + e.Text }

func notWellFormed(text string) error { return &Error{"not-well-formed", text} }
func restricted(text string) error    { return &Error{"restricted-xml", text} }
func tooMuch(text string) error       { return &Error{"policy-violation", text} }
