// Package stream is the vocabulary of RFC 6120 §4: stream headers, features
// and stream errors.
package stream

import (
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
)

// Namespaces of streams and of what is negotiated on them.
const (
	NS       = "http://etherx.jabber.org/streams"
	NSErrors = "urn:ietf:params:xml:ns:xmpp-streams"
	NSTLS    = "urn:ietf:params:xml:ns:xmpp-tls"
	NSSASL   = "urn:ietf:params:xml:ns:xmpp-sasl"
	NSBind   = "urn:ietf:params:xml:ns:xmpp-bind"
	// NSSession is RFC 3921's session; offered as optional, a no-op, for old
	// clients.
	NSSession = "urn:ietf:params:xml:ns:xmpp-session"
	NSSM      = "urn:xmpp:sm:3"
	NSCSI     = "urn:xmpp:csi:0"
)

// The conditions of RFC 6120 §4.9.3 that we send.
const (
	BadFormat             = "bad-format"
	BadNamespacePrefix    = "bad-namespace-prefix"
	Conflict              = "conflict"
	ConnectionTimeout     = "connection-timeout"
	HostGone              = "host-gone"
	HostUnknown           = "host-unknown"
	ImproperAddressing    = "improper-addressing"
	InternalServerError   = "internal-server-error"
	InvalidFrom           = "invalid-from"
	InvalidNamespace      = "invalid-namespace"
	InvalidXML            = "invalid-xml"
	NotAuthorized         = "not-authorized"
	NotWellFormed         = "not-well-formed"
	PolicyViolation       = "policy-violation"
	Reset                 = "reset"
	ResourceConstraint    = "resource-constraint"
	RestrictedXML         = "restricted-xml"
	SeeOtherHost          = "see-other-host"
	SystemShutdown        = "system-shutdown"
	UndefinedCondition    = "undefined-condition"
	UnsupportedEncoding   = "unsupported-encoding"
	UnsupportedStanzaType = "unsupported-stanza-type"
	UnsupportedVersion    = "unsupported-version"
)

// Error ends a stream. It cannot be recovered from (RFC 6120 §4.9.1.1).
type Error struct {
	Condition string
	Content   string // of the condition element: the host of see-other-host
	Text      string // for people; "" for none
	App       *elem.Node
}

// Fail makes a stream error.
func Fail(condition, text string) *Error { return &Error{Condition: condition, Text: text} }

func (e *Error) Error() string {
	if e.Text == "" {
		return e.Condition
	}
	return e.Condition + ": " + e.Text
}

// Append writes the error as it stands on the stream, whose prefix for NS is
// 'stream'.
func (e *Error) Append(dst []byte) []byte {
	dst = append(dst, "<stream:error>"...)
	dst = elem.New(NSErrors, e.Condition).SetText(e.Content).Append(dst, "")
	if e.Text != "" {
		dst = elem.New(NSErrors, "text").SetText(e.Text).Append(dst, "")
	}
	if e.App != nil {
		dst = e.App.Append(dst, "")
	}
	return append(dst, "</stream:error>"...)
}

// Header is what our stream header says (RFC 6120 §4.7).
type Header struct {
	From, To jid.JID
	ID       string
	Lang     string
	Content  string // default namespace
}

// Append writes the XML declaration and the opening tag.
func (h Header) Append(dst []byte) []byte {
	dst = append(dst, "<?xml version='1.0'?><stream:stream"...)
	dst = elem.AppendAttr(dst, "xmlns", h.Content)
	dst = elem.AppendAttr(dst, "xmlns:stream", NS)
	if !h.From.IsZero() {
		dst = elem.AppendAttr(dst, "from", h.From.String())
	}
	if !h.To.IsZero() {
		dst = elem.AppendAttr(dst, "to", h.To.String())
	}
	dst = elem.AppendAttr(dst, "id", h.ID)
	dst = elem.AppendAttr(dst, "version", "1.0")
	if h.Lang != "" {
		dst = elem.AppendAttr(dst, "xml:lang", h.Lang)
	}
	return append(dst, '>')
}

// Close is the closing tag of every stream of ours.
const Close = "</stream:stream>"

// AppendFeatures writes <stream:features/> with these children.
func AppendFeatures(dst []byte, features ...*elem.Node) []byte {
	dst = append(dst, "<stream:features>"...)
	for _, f := range features {
		if f != nil {
			dst = f.Append(dst, "")
		}
	}
	return append(dst, "</stream:features>"...)
}
