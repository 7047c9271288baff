package stanza

import (
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
)

// The conditions of RFC 6120 §8.3.3.
const (
	BadRequest            = "bad-request"
	Conflict              = "conflict"
	FeatureNotImplemented = "feature-not-implemented"
	Forbidden             = "forbidden"
	Gone                  = "gone"
	InternalServerError   = "internal-server-error"
	ItemNotFound          = "item-not-found"
	JIDMalformed          = "jid-malformed"
	NotAcceptable         = "not-acceptable"
	NotAllowed            = "not-allowed"
	NotAuthorized         = "not-authorized"
	PolicyViolation       = "policy-violation"
	RecipientUnavailable  = "recipient-unavailable"
	Redirect              = "redirect"
	RegistrationRequired  = "registration-required"
	RemoteServerNotFound  = "remote-server-not-found"
	RemoteServerTimeout   = "remote-server-timeout"
	ResourceConstraint    = "resource-constraint"
	ServiceUnavailable    = "service-unavailable"
	SubscriptionRequired  = "subscription-required"
	UndefinedCondition    = "undefined-condition"
	UnexpectedRequest     = "unexpected-request"
)

// kinds gives the error type that RFC 6120 §8.3.3 recommends for a condition.
var kinds = map[string]string{
	BadRequest: "modify", Conflict: "cancel", FeatureNotImplemented: "cancel", Forbidden: "auth", Gone: "cancel",
	InternalServerError: "wait", ItemNotFound: "cancel", JIDMalformed: "modify", NotAcceptable: "modify", NotAllowed: "cancel",
	NotAuthorized: "auth", PolicyViolation: "modify", RecipientUnavailable: "wait", Redirect: "modify",
	RegistrationRequired: "auth", RemoteServerNotFound: "cancel", RemoteServerTimeout: "wait", ResourceConstraint: "wait",
	ServiceUnavailable: "cancel", SubscriptionRequired: "auth", UndefinedCondition: "cancel", UnexpectedRequest: "wait",
}

// Error is a refusal that is meant for the peer.
type Error struct {
	Type      string // cancel, continue, modify, auth, wait
	Condition string
	Text      string // for people; "" for none
	By        jid.JID
	App       *elem.Node // application-specific condition
}

func (e *Error) Error() string {
	if e.Text == "" {
		return e.Condition
	}
	return e.Condition + ": " + e.Text
}

// Refuse is an error with the type that goes with its condition.
func Refuse(condition, text string) *Error {
	return &Error{Type: kinds[condition], Condition: condition, Text: text}
}

// Wait is a refusal of what may succeed later, whatever its condition.
func Wait(condition, text string) *Error {
	return &Error{Type: "wait", Condition: condition, Text: text}
}

// Node is the <error/> child.
func (e *Error) Node() *elem.Node {
	n := elem.New(NSClient, "error").With("type", e.Type).With("by", e.By.String()).Add(elem.New(NSErrors, e.Condition))
	if e.Text != "" {
		n.Add(elem.New(NSErrors, "text").SetText(e.Text))
	}
	return n.Add(e.App)
}

// Bounce is the error answer to s (RFC 6120 §8.3.1): addresses swapped, same
// id. The payload is not given back: the sender has it, and a flood of bounces
// should stay small. Whether s may be answered at all (an error may not) is for
// the caller to know.
func (s *Stanza) Bounce(e *Error) *Stanza {
	r := &Stanza{Kind: s.Kind, Type: "error", ID: s.ID, To: s.From, From: s.To}
	r.Set(e.Node())
	return r
}

// ErrorOf reads the <error/> of an error stanza; nil when it has none.
func (s *Stanza) ErrorOf() *Error {
	n := s.Find(NSClient, "error")
	if n == nil {
		return nil
	}
	e := &Error{Type: n.Attr("type")}
	if by, err := jid.Parse(n.Attr("by")); err == nil {
		e.By = by
	}
	for _, c := range n.Children {
		switch {
		case c.Name.Local == "": // text between
		case c.Name.Space != NSErrors:
			e.App = c
		case c.Name.Local == "text":
			e.Text = c.Text
		default:
			e.Condition = c.Name.Local
		}
	}
	return e
}
