package route

import (
	"chancery/xmpp/elem"
	"chancery/xmpp/stanza"
)

// YouBlocked refuses a stanza, of whatever kind, to somebody whom its sender has
// blocked (XEP-0191 communication).
func YouBlocked() *stanza.Error {
	e := stanza.Refuse(stanza.NotAcceptable, "you have blocked this contact")
	e.App = elem.New("urn:xmpp:blocking:errors", "blocked")
	return e
}
