package lastactivity

import (
	"context"
	"strings"
	"testing"
	"time"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/route"
	"chancery/core/route/routetest"
	"chancery/core/session/sessiontest"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

const ask = `<query xmlns='jabber:iq:last'/>`

var romeo = account.Account{ID: 7, JID: jid.MustParse("romeo@a.example")}

// friend is the one who sees presence.
type friend jid.JID

func (f friend) Sees(_ context.Context, _ account.Account, other jid.JID) (bool, error) {
	return other.Bare() == jid.JID(f), nil
}

func TestAbsenceIsToldToThoseWhoSeePresence(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		table := online.New()
		l := New(db, friend(jid.MustParse("juliet@b.example")), table, storetest.Log(t))
		juliet := routetest.Stranger("juliet@b.example/x", romeo)
		other := func(who routetest.Asker) (string, error) {
			return routetest.Ask(t, l.Module(), route.OtherAccount, who, "get", ask)
		}
		if _, err := other(juliet); !routetest.Refused(err, stanza.ItemNotFound) {
			t.Errorf("who was never here: %v", err)
		}
		l.Gone(romeo.ID, time.Now().Add(-2*time.Hour), "")
		l.Gone(romeo.ID, time.Now().Add(-time.Hour), "to <bed>")
		settle(db)
		got, err := other(juliet)
		if err != nil || !strings.HasPrefix(got, "<query xmlns='jabber:iq:last' seconds='36") || !strings.HasSuffix(got, ">to &lt;bed&gt;</query>") {
			t.Errorf("an hour ago: %s, %v", got, err)
		}
		if _, err := other(routetest.Stranger("tybalt@b.example/x", romeo)); !routetest.Refused(err, stanza.ServiceUnavailable) || err.Error() != stanza.ServiceUnavailable {
			t.Errorf("a stranger: %v", err)
		}

		phone := sessiontest.New("romeo@a.example/phone", romeo.ID)
		if _, err := table.Bind(phone.Session, online.Policy{}); err != nil {
			t.Fatal(err)
		}
		if got, _ := other(juliet); !strings.Contains(got, "to &lt;bed&gt;") {
			t.Errorf("while he is connected but shows himself to nobody: %s", got)
		}
		phone.Appear()
		const here = `<query xmlns='jabber:iq:last' seconds='0'/>`
		if got, err := other(juliet); got != here || err != nil {
			t.Errorf("while he is here: %s, %v", got, err)
		}
		if got, err := routetest.Ask(t, l.Module(), route.OwnAccount, routetest.Own(phone.Session), "get", ask); got != here || err != nil {
			t.Errorf("his own: %s, %v", got, err)
		}

		phone.SetPresence(nil)
		if err := db.Write(t.Context(), func(tx store.Tx) error { return l.Module().Forget(t.Context(), tx, romeo) }); err != nil {
			t.Fatal(err)
		}
		if _, err := other(juliet); !routetest.Refused(err, stanza.ItemNotFound) {
			t.Errorf("forgotten: %v", err)
		}
	})
}

func TestQuestionsReachTheSessionsOfThoseWhoAreSeen(t *testing.T) {
	l := New(nil, friend(jid.MustParse("juliet@b.example")), nil, storetest.Log(t))
	if _, err := routetest.Ask(t, l.Module(), route.Resource, routetest.Stranger("juliet@b.example/x", romeo), "get", ask); err != nil {
		t.Errorf("a friend: %v", err)
	}
	if _, err := routetest.Ask(t, l.Module(), route.Resource, routetest.Stranger("tybalt@b.example/x", romeo), "get", ask); !routetest.Refused(err, stanza.ServiceUnavailable) {
		t.Errorf("a stranger: %v", err)
	}
}

func TestServerTellsItsUptime(t *testing.T) {
	l := New(nil, nil, nil, storetest.Log(t))
	l.started = l.started.Add(-90*time.Second - time.Millisecond)
	got, err := routetest.Ask(t, l.Module(), route.Server, routetest.Stranger("x@b.example", account.Account{}), "get", ask)
	if got != `<query xmlns='jabber:iq:last' seconds='90'/>` || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

func TestClockThatWasSetBackGivesZero(t *testing.T) {
	if got := answer(-time.Minute, "").Attr("seconds"); got != "0" {
		t.Errorf("%s seconds", got)
	}
}

// settle returns when all rows before it are written.
func settle(db *store.DB) {
	done := make(chan error, 1)
	db.Append(nil, func(err error) { done <- err })
	<-done
}
