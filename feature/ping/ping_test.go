package ping

import (
	"testing"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/route/routetest"
	"chancery/core/session/sessiontest"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

func TestWhoIsAnswered(t *testing.T) {
	const ping = `<ping xmlns='urn:xmpp:ping'/>`
	own := routetest.Own(sessiontest.New("romeo@a.example/phone", 7).Session)
	if got, err := routetest.Ask(t, Module(), route.OwnAccount, own, "get", ping); got != "" || err != nil {
		t.Errorf("one's own account: %s, %v", got, err)
	}
	other := routetest.Stranger("juliet@b.example/x", account.Account{ID: 7, JID: jid.MustParse("romeo@a.example")})
	if got, err := routetest.Ask(t, Module(), route.Server, other, "get", ping); got != "" || err != nil {
		t.Errorf("the server: %s, %v", got, err)
	}
	if _, err := routetest.Ask(t, Module(), route.OtherAccount, other, "get", ping); !routetest.Refused(err, stanza.ServiceUnavailable) {
		t.Errorf("somebody else's account: %v", err)
	}
}
