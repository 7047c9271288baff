package privatexml

import (
	"strings"
	"testing"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/route/routetest"
	"chancery/core/session/sessiontest"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/stanza"
)

const open, closing = "<query xmlns='jabber:iq:private'>", "</query>"

func newPrivate(db *store.DB, s *settings.Settings) (*Private, routetest.Asker) {
	return New(db, settings.Fixed(s)), routetest.Own(sessiontest.New("romeo@a.example/phone", 7).Session)
}

func TestWhatIsStoredComesBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p, own := newPrivate(db, settings.Defaults())
		set := func(elements string) {
			t.Helper()
			if _, err := routetest.Ask(t, p.Module(), route.OwnAccount, own, "set", open+elements+closing); err != nil {
				t.Fatal(err)
			}
		}
		get := func(name, want string) {
			t.Helper()
			if got, err := routetest.Ask(t, p.Module(), route.OwnAccount, own, "get", open+name+closing); got != open+want+closing || err != nil {
				t.Errorf("got  %s, %v\nwant %s", got, err, open+want+closing)
			}
		}
		const a1, a2, b = `<prefs xmlns='urn:a' v='1'>x<y/>z</prefs>`, `<prefs xmlns='urn:a'><w xmlns='urn:w'>&lt;</w></prefs>`, `<prefs xmlns='urn:b'>ü</prefs>`
		get(`<prefs xmlns='urn:a'/>`, `<prefs xmlns='urn:a'/>`)
		set(a1 + "\n" + b)
		get(`<prefs xmlns='urn:a'/>`, a1)
		get(`<prefs xmlns='urn:b'/>`, b)
		set(a2)
		get(` <prefs xmlns='urn:a'/> `, a2)
		get(`<other xmlns='urn:a'/>`, `<other xmlns='urn:a'/>`)
		set(`<prefs xmlns='urn:a'/>`)
		get(`<prefs xmlns='urn:a'/>`, `<prefs xmlns='urn:a'/>`)

		if err := db.Write(t.Context(), func(tx store.Tx) error { return p.Module().Forget(t.Context(), tx, account.Account{ID: 7}) }); err != nil {
			t.Fatal(err)
		}
		get(`<prefs xmlns='urn:b'/>`, `<prefs xmlns='urn:b'/>`)
	})
}

func TestWrongQueriesAreRefused(t *testing.T) {
	p, own := newPrivate(storetest.SQLite(t), settings.Defaults())
	for _, c := range []struct{ typ, content string }{
		{"get", ""},
		{"get", "<a xmlns='urn:a'/><b xmlns='urn:b'/>"},
		{"get", "<a/>"},
		{"get", "<a xmlns='jabber:client'/>"},
		{"set", ""},
		{"set", "text"},
		{"set", "<a/>"},
		{"set", "<a xmlns='urn:a'/><b/>"},
	} {
		if _, err := routetest.Ask(t, p.Module(), route.OwnAccount, own, c.typ, open+c.content+closing); !routetest.Refused(err, stanza.NotAcceptable) {
			t.Errorf("%s %s: %v, want not-acceptable", c.typ, c.content, err)
		}
	}
}

// What is too much is refused as a whole.
func TestLimits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := settings.Defaults()
		s.PrivateXML.Bytes, s.PrivateXML.Elements = 5000, 3
		p, own := newPrivate(db, s)
		ask := func(typ, elements string) (string, error) {
			return routetest.Ask(t, p.Module(), route.OwnAccount, own, typ, open+elements+closing)
		}
		big := func(ns string, n int) string { return "<a xmlns='" + ns + "'>" + strings.Repeat("x", n) + "</a>" }
		for _, c := range []struct {
			name, elements string
			ok             bool
		}{
			{"a large one", big("urn:1", 3000), true},
			{"more than there is room for", big("urn:2", 1) + big("urn:3", 3000), false},
			{"in place of the first", big("urn:1", 4000), true},
			{"three altogether", big("urn:2", 1) + big("urn:3", 1), true},
			{"a fourth", big("urn:4", 1), false},
		} {
			if _, err := ask("set", c.elements); c.ok != (err == nil) || (!c.ok && !routetest.Refused(err, stanza.PolicyViolation)) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if got, err := ask("get", "<a xmlns='urn:2'/>"); got != open+big("urn:2", 1)+closing || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
	})
}
