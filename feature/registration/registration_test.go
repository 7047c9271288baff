package registration

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/route/routetest"
	"chancery/core/session/sessiontest"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

var (
	domain = jid.MustParse("a.example")
	home   = netip.MustParseAddr("192.0.2.1")
)

// removals deletes accounts with nothing around them.
type removals struct {
	db       *store.DB
	accounts *account.Accounts
	ended    int
}

func (r *removals) Remove(ctx context.Context, a account.Account, gone func()) error {
	err := r.db.Write(ctx, func(tx store.Tx) error { return r.accounts.Delete(ctx, tx, a.ID) })
	r.accounts.Changed(a.JID)
	if err == nil {
		gone()
		r.ended++
	}
	return err
}

type server struct {
	*Registration
	*removals
	set *settings.Settings
}

func newServer(t *testing.T, db *store.DB, change func(*settings.Settings)) server {
	t.Helper()
	set := settings.Defaults()
	set.Login.Iterations = 4096
	set.Registration.Enabled = true
	if change != nil {
		change(set)
	}
	live := settings.Fixed(set)
	accounts, err := account.Open(t.Context(), db, live)
	if err != nil {
		t.Fatal(err)
	}
	r := &removals{db: db, accounts: accounts}
	return server{New(db, live, accounts, r, storetest.Log(t)), r, set}
}

// stranger sends an iq before logging in.
func (s server) stranger(t *testing.T, typ, content string, from netip.Addr, secure bool) (string, bool) {
	t.Helper()
	iq, err := stanza.Parse([]byte("<iq xmlns='jabber:client' id='1' type='" + typ + "' to='a.example'>" + content + "</iq>"))
	if err != nil {
		t.Fatal(err)
	}
	answer, made := s.Stranger(t.Context(), iq, domain, from, secure)
	if answer == nil {
		return "", made
	}
	return string(answer.Append(nil, "")), made
}

func fill(username, password string) string {
	return "<query xmlns='jabber:iq:register'><username>" + username + "</username><password>" + password + "</password></query>"
}

// login is the account of a client that has logged in.
func (s server) login(t *testing.T, full string) *sessiontest.Client {
	t.Helper()
	a, err := s.removals.accounts.Find(t.Context(), jid.MustParse(full).Bare())
	if err != nil {
		t.Fatal(err)
	}
	return sessiontest.New(full, a.ID)
}

func (s server) password(t *testing.T, bare, password string) bool {
	t.Helper()
	_, err := s.removals.accounts.CheckPassword(t.Context(), jid.MustParse(bare), password)
	if err != nil && !errors.Is(err, account.ErrDenied) {
		t.Fatal(err)
	}
	return err == nil
}

func TestStrangerMakesAnAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		const form = `<iq from='a.example' id='1' type='result'><query xmlns='jabber:iq:register'><instructions>Choose a user name and a password.</instructions><username/><password/></query></iq>`
		if got, _ := s.stranger(t, "get", "<query xmlns='jabber:iq:register'/>", home, true); got != form {
			t.Errorf("asked to fill in %s", got)
		}
		if got, made := s.stranger(t, "set", fill("Mercutio", "queen mab"), home, true); got != `<iq from='a.example' id='1' type='result'/>` || !made {
			t.Errorf("%s, made: %v", got, made)
		}
		if !s.password(t, "mercutio@a.example", "queen mab") {
			t.Error("the password does not open the account")
		}
		const submitted = `<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register</value></field>` +
			`<field var='username'><value>tybalt</value></field><field var='password'><value>cats</value></field><field var='email'/></x></query>`
		if got, made := s.stranger(t, "set", submitted, home, true); !made || !s.password(t, "tybalt@a.example", "cats") {
			t.Errorf("a form: %s", got)
		}
	})
}

func TestStrangerIsRefused(t *testing.T) {
	s := newServer(t, storetest.SQLite(t), func(set *settings.Settings) { set.Registration.PerAddress = 1 })
	if _, made := s.stranger(t, "set", fill("romeo", "x"), home, true); !made {
		t.Fatal("not made")
	}
	elsewhere := netip.MustParseAddr("2001:db8::1")
	for _, c := range []struct {
		name, typ, content string
		from               netip.Addr
		condition          string
	}{
		{"a name that is taken", "set", fill("ROMEO", "x"), elsewhere, "<conflict "},
		{"no password", "set", fill("juliet", ""), elsewhere, "<not-acceptable "},
		{"no name", "set", fill(" ", "x"), elsewhere, "<not-acceptable "},
		{"nothing", "set", "<query xmlns='jabber:iq:register'/>", elsewhere, "<not-acceptable "},
		{"no name that can be", "set", fill("ju@liet", "x"), elsewhere, "<not-acceptable "},
		{"a password nobody can type", "set", fill("juliet", "a&#x9;b"), elsewhere, "<not-acceptable "},
		{"an address of which one came already", "set", fill("juliet", "x"), home, "type='wait'><not-acceptable "},
		{"removal", "set", "<query xmlns='jabber:iq:register'><remove/></query>", elsewhere, "<unexpected-request "},
		{"something else", "get", "<query xmlns='jabber:iq:roster'/>", elsewhere, ""},
		{"an answer", "result", "<query xmlns='jabber:iq:register'/>", elsewhere, ""},
	} {
		got, made := s.stranger(t, c.typ, c.content, c.from, true)
		if made || (c.condition == "") != (got == "") || !strings.Contains(got, c.condition) || strings.Contains(got, "password>") {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	if got, made := s.stranger(t, "set", fill("juliet", "x"), elsewhere, true); !made {
		t.Errorf("refusals count as accounts: %s", got)
	}
}

func TestRegistrationIsClosedByDefaultAndOutsideTLS(t *testing.T) {
	open := newServer(t, storetest.SQLite(t), nil)
	closed := newServer(t, storetest.SQLite(t), func(set *settings.Settings) {
		set.Registration.Enabled = settings.Defaults().Registration.Enabled
	})
	for _, c := range []struct {
		name   string
		s      server
		secure bool
		want   bool
	}{{"open, in TLS", open, true, true}, {"open, in the clear", open, false, false}, {"closed", closed, true, false}} {
		if offered := c.s.Feature(c.secure) != nil; offered != c.want {
			t.Errorf("%s: offered is %v", c.name, offered)
		}
		if got, made := c.s.stranger(t, "set", fill("romeo", "x"), home, c.secure); made != c.want || c.want != (got != "") {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestUserChangesHisPassword(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		s.stranger(t, "set", fill("romeo", "old"), home, true)
		s.stranger(t, "set", fill("juliet", "hers"), home, true)
		phone := s.login(t, "romeo@a.example/phone")
		plain := sessiontest.NewPlain("romeo@a.example/plain", phone.Account)
		own, server := routetest.Own(phone.Session), routetest.Asker{From: phone.JID, Session: phone.Session}
		for _, c := range []struct {
			name      string
			to        route.Target
			who       routetest.Asker
			content   string
			condition string
			password  string // of romeo afterwards
		}{
			{"through his account", route.OwnAccount, own, fill("romeo", "one"), "", "one"},
			{"through the server", route.Server, server, fill("Romeo", "two"), "", "two"},
			{"with his address", route.OwnAccount, own, fill("romeo@a.example", "three"), "", "three"},
			{"another's", route.OwnAccount, own, fill("juliet", "x"), stanza.NotAllowed, "three"},
			{"of another domain", route.OwnAccount, own, fill("romeo@b.example", "x"), stanza.NotAllowed, "three"},
			{"to nothing", route.OwnAccount, own, fill("romeo", ""), stanza.BadRequest, "three"},
			{"without a name", route.OwnAccount, own, "<query xmlns='jabber:iq:register'><password>x</password></query>", stanza.BadRequest, "three"},
			{"to what cannot be typed", route.OwnAccount, own, fill("romeo", "a&#x9;b"), stanza.NotAcceptable, "three"},
			{"in the clear", route.OwnAccount, routetest.Own(plain.Session), fill("romeo", "x"), stanza.NotAuthorized, "three"},
			{"from another server", route.Server, routetest.Stranger("romeo@b.example/x", account.Account{}), fill("romeo", "x"), stanza.ServiceUnavailable, "three"},
		} {
			_, err := routetest.Ask(t, s.Module(), c.to, c.who, "set", c.content)
			if (c.condition == "") != (err == nil) || (err != nil && !routetest.Refused(err, c.condition)) {
				t.Errorf("%s: %v, want %q", c.name, err, c.condition)
			}
			if !s.password(t, "romeo@a.example", c.password) || !s.password(t, "juliet@a.example", "hers") {
				t.Errorf("%s: the password is not %q", c.name, c.password)
			}
		}
		s.set.Registration.PasswordChange = false
		if _, err := routetest.Ask(t, s.Module(), route.OwnAccount, own, "set", fill("romeo", "x")); !routetest.Refused(err, stanza.NotAllowed) {
			t.Errorf("where it is forbidden: %v", err)
		}
	})
}

func TestUserRemovesHisAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		s.stranger(t, "set", fill("romeo", "x"), home, true)
		phone := s.login(t, "romeo@a.example/phone")
		own := routetest.Own(phone.Session)
		const remove = "<query xmlns='jabber:iq:register'>\n<remove/>\n</query>"

		_, err := routetest.Ask(t, s.Module(), route.OwnAccount, own, "set", "<query xmlns='jabber:iq:register'><remove/><username>romeo</username></query>")
		if !routetest.Refused(err, stanza.BadRequest) {
			t.Errorf("with more beside it: %v", err)
		}
		s.set.Registration.Removal = false
		if _, err := routetest.Ask(t, s.Module(), route.OwnAccount, own, "set", remove); !routetest.Refused(err, stanza.NotAllowed) {
			t.Errorf("where it is forbidden: %v", err)
		}
		s.set.Registration.Removal = true
		if _, err := routetest.Ask(t, s.Module(), route.OwnAccount, own, "set", remove); err != nil || s.ended != 1 {
			t.Errorf("%v; sessions ended %d times", err, s.ended)
		}
		if got := phone.Got(t); got != `<iq from='romeo@a.example' to='romeo@a.example/phone' id='1' type='result'/>` {
			t.Errorf("before his stream ends he hears %q", got)
		}
		if _, err := s.removals.accounts.Find(t.Context(), phone.JID.Bare()); !errors.Is(err, account.ErrNone) {
			t.Errorf("the account is still there: %v", err)
		}
	})
}

func TestRegisteredUserIsToldSo(t *testing.T) {
	s := newServer(t, storetest.SQLite(t), nil)
	s.stranger(t, "set", fill("romeo", "x"), home, true)
	phone := s.login(t, "romeo@a.example/phone")
	const query, want = `<query xmlns='jabber:iq:register'/>`, `<query xmlns='jabber:iq:register'><registered/><username>romeo</username><password/></query>`
	if got, err := routetest.Ask(t, s.Module(), route.Server, routetest.Asker{From: phone.JID, Session: phone.Session}, "get", query); got != want || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := routetest.Ask(t, s.Module(), route.OwnAccount, routetest.Own(phone.Session), "get", query); got != want || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	s.set.Registration.PasswordChange, s.set.Registration.Removal = false, false
	if _, err := routetest.Ask(t, s.Module(), route.OwnAccount, routetest.Own(phone.Session), "get", query); !routetest.Refused(err, stanza.ServiceUnavailable) {
		t.Errorf("with nothing to change: %v", err)
	}
}
