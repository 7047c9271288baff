// Package delay is the vocabulary of time on the wire: XEP-0082 date-times, and
// the XEP-0203 note that a stanza comes later than it was sent.
package delay

import (
	"errors"
	"strings"
	"time"

	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
)

// NS is the namespace of XEP-0203.
const NS = "urn:xmpp:delay"

// layout keeps six digits where they say something, so that what the store
// keeps (microseconds) survives the wire.
const layout = "2006-01-02T15:04:05.999999Z"

// Stamp writes a time as a XEP-0082 dateTime in UTC.
func Stamp(at time.Time) string { return at.UTC().Format(layout) }

// ErrStamp says that a text is no XEP-0082 dateTime.
var ErrStamp = errors.New("not a date and time as in 2002-09-10T23:08:25Z")

// maxStamp is longer than any dateTime with a sensible fraction.
const maxStamp = 64

// ParseStamp reads a XEP-0082 dateTime: the zone is mandatory, fractions are
// optional and may have any number of digits.
func ParseStamp(s string) (time.Time, error) {
	if len(s) > maxStamp || strings.Contains(s, ",") { // RFC 3339 in Go takes a comma, XEP-0082 does not
		return time.Time{}, ErrStamp
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, ErrStamp
	}
	return at.UTC(), nil
}

// Node says that a stanza was sent at another time. from is who delayed it, or
// who sent it first; reason is for people, "" for none.
func Node(from jid.JID, at time.Time, reason string) *elem.Node {
	return elem.New(NS, "delay").With("from", from.String()).With("stamp", Stamp(at)).SetText(reason)
}
