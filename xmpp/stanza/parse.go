package stanza

import (
	"errors"

	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
)

// ErrKind says that an element of the stream is no stanza.
var ErrKind = errors.New("not a stanza")

// ErrAddress says that 'to' or 'from' is no address (RFC 6120 §8.1.1).
var ErrAddress = errors.New("malformed address")

// Cache spares the parsing of addresses that come again and again on one
// stream. It belongs to the reader of that stream.
type Cache struct {
	to, from cached
}

type cached struct {
	text string
	j    jid.JID
}

func (c *cached) parse(b []byte) (jid.JID, error) {
	if len(b) > 0 && string(b) == c.text {
		return c.j, nil
	}
	j, err := jid.ParseBytes(b)
	if err == nil {
		c.j = j
		if c.text = j.String(); c.text != string(b) {
			c.text = string(b)
		}
	}
	return j, err
}

// kindOf tells the kind by the element's name; the namespace must be the
// stream's content namespace, which the caller knows.
func kindOf(local string) Kind {
	switch local {
	case "message":
		return Message
	case "presence":
		return Presence
	case "iq":
		return IQ
	}
	return 0
}

// FromElement makes a stanza of a top-level element. With ErrAddress the
// stanza is complete but for the address that failed, so that it can be
// answered with jid-malformed.
func FromElement(e *elem.Element, c *Cache) (*Stanza, error) {
	s := &Stanza{Kind: kindOf(e.Name.Local), Payload: e.Inner, Parts: e.Parts}
	if s.Kind == 0 || (e.Name.Space != NSClient && e.Name.Space != NSServer) {
		return nil, ErrKind
	}
	if b, ok := e.Attr("id"); ok {
		s.ID = string(b)
	}
	if b, ok := e.Attr("type"); ok {
		s.Type = typeName(b)
	}
	if b, ok := e.Lang(); ok {
		s.Lang = lang(b)
	}
	var bad error
	if b, ok := e.Attr("to"); ok {
		if j, err := c.to.parse(b); err == nil {
			s.To = j
		} else {
			bad = ErrAddress
		}
	}
	if b, ok := e.Attr("from"); ok {
		if j, err := c.from.parse(b); err == nil {
			s.From = j
		} else {
			bad = ErrAddress
		}
	}
	return s, bad
}

// typeName gives the known types without an allocation.
func typeName(b []byte) string {
	switch string(b) {
	case "get":
		return "get"
	case "set":
		return "set"
	case "result":
		return "result"
	case "error":
		return "error"
	case "chat":
		return "chat"
	case "groupchat":
		return "groupchat"
	case "normal":
		return "normal"
	case "headline":
		return "headline"
	case "unavailable":
		return "unavailable"
	case "probe":
		return "probe"
	case "subscribe":
		return "subscribe"
	case "subscribed":
		return "subscribed"
	case "unsubscribe":
		return "unsubscribe"
	case "unsubscribed":
		return "unsubscribed"
	}
	return string(b)
}

func lang(b []byte) string {
	if string(b) == "en" {
		return "en"
	}
	return string(b)
}

// Parse reads one stanza from bytes that we wrote ourselves with Append and
// an xmlns: rows of the archive, of the offline store, of a session's queue.
func Parse(b []byte) (*Stanza, error) {
	// The bounds are those of memory only: what was taken once may be larger
	// now than today's limits.
	e, err := elem.ParseElement(b, NSClient, elem.Limits{Bytes: len(b) + 1024, Depth: 256, Attrs: 256, Namespaces: 256})
	if err != nil {
		return nil, err
	}
	return FromElement(e, &Cache{})
}
