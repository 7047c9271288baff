// Package routetest puts questions to the modules of features, as the router
// does.
package routetest

import (
	"testing"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// Asker is who asks, and whom.
type Asker struct {
	From    jid.JID
	Session *session.Session // nil when he comes from elsewhere
	Account account.Account  // that is asked
}

// Own is a client that asks its own account.
func Own(s *session.Session) Asker {
	return Asker{From: s.JID, Session: s, Account: account.Account{ID: s.Account, JID: s.JID.Bare()}}
}

// Stranger is somebody of another server who asks an account.
func Stranger(from string, of account.Account) Asker {
	return Asker{From: jid.MustParse(from), Account: of}
}

// Ask puts an iq to the module and returns the payload of the answer, "" for an
// empty one. A question that the module does not answer is refused as the
// router does.
func Ask(t testing.TB, m route.Module, to route.Target, who Asker, typ, payload string) (string, error) {
	t.Helper()
	iq, err := stanza.Parse([]byte("<iq xmlns='jabber:client' id='1' type='" + typ + "'>" + payload + "</iq>"))
	if err != nil || len(iq.Parts) != 1 {
		t.Fatalf("%s is no payload of an iq: %v", payload, err)
	}
	iq.From, iq.To = who.From, who.Account.JID
	if to == route.Server {
		iq.To = jid.MustParse("a.example")
	}
	for _, q := range m.IQ {
		if q.Type == typ && q.To == to && q.Payload == iq.Parts[0].Name {
			query := &route.Query{Stanza: iq, Payload: iq.Node(iq.Parts[0]), Session: who.Session, Account: who.Account}
			answer, err := q.Do(t.Context(), query)
			if err == nil && query.Then != nil {
				query.Then()
			}
			if err != nil || answer == nil {
				return "", err
			}
			return string(answer.Append(nil, stanza.NSClient)), nil
		}
	}
	return "", stanza.Refuse(stanza.ServiceUnavailable, "")
}

// Refused tells whether err is a refusal with that condition.
func Refused(err error, condition string) bool {
	e, ok := err.(*stanza.Error)
	return ok && e.Condition == condition
}
