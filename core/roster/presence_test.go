package roster

import (
	"context"
	"strings"
	"testing"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/core/session/sessiontest"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// world is presence behind the real router, with everything else left out.
type world struct {
	t         testing.TB
	rosters   *Rosters
	presences *Presences
	online    *online.Table
	router    *route.Router
	blocked   map[[2]jid.JID]bool // owner and other, as a rule says it
	remote    []string            // what went to other domains
}

var accounts = map[jid.JID]int64{romeo: 1, juliet: 2, nurse: 3}

func (w *world) Find(_ context.Context, bare jid.JID) (account.Account, error) {
	if id, ok := accounts[bare]; ok {
		return account.Account{ID: id, JID: bare}, nil
	}
	return account.Account{}, store.ErrNone
}

func (w *world) Blocks(_ context.Context, owner account.Account, other jid.JID) (bool, error) {
	return w.blocked[[2]jid.JID{owner.JID, other}] || w.blocked[[2]jid.JID{owner.JID, other.Bare()}], nil
}

func (w *world) Serves(domain string) bool { return domain == "a.example" }

func (w *world) Forward(_ context.Context, t *route.Transit) error {
	w.remote = append(w.remote, string(t.Stanza.Append(nil, "")))
	return nil
}

type nothing struct{}

func (nothing) Sent(context.Context, *route.Transit) error     { return nil }
func (nothing) Received(context.Context, *route.Transit) error { return nil }
func (nothing) Keep(context.Context, *route.Transit) error     { return nil }
func (nothing) Arriving(*session.Session)                      {}
func (nothing) Behind(*session.Session) bool                   { return false }
func (nothing) Arrived(context.Context, *session.Session)      {}

type noCopies struct{}

func (noCopies) Sent(context.Context, *route.Transit)                         {}
func (noCopies) Received(context.Context, *route.Transit, []*session.Session) {}

func newWorld(t testing.TB, db *store.DB) *world {
	w := &world{t: t, online: online.New(), blocked: map[[2]jid.JID]bool{}}
	live := settings.Fixed(settings.Defaults())
	w.rosters = New(db, live, w.online)
	w.router = &route.Router{
		Log: storetest.Log(t), DB: db, Online: w.online, Hosts: w, Accounts: w, Block: w, Archive: nothing{}, Copies: noCopies{}, Absent: nothing{},
		Remote: w, Forged: func(elem.Part) bool { return false }, Context: context.Background(),
	}
	w.presences = NewPresences(Parts{Rosters: w.rosters, Online: w.online, Hosts: w, Block: w, Absent: nothing{}, Router: w.router, Settings: live})
	w.router.Presence, w.router.Answers = w.presences, route.NewTable(w.presences.Module())
	return w
}

func (w *world) login(full string) *sessiontest.Client {
	w.t.Helper()
	c := sessiontest.New(full, accounts[jid.MustParse(full).Bare()])
	if _, err := w.online.Bind(c.Session, online.Policy{Conflict: "replace"}); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// says lets a client send presence.
func (w *world) says(c *sessiontest.Client, to, typ, inner string) {
	w.t.Helper()
	st, err := stanza.Parse([]byte("<presence xmlns='jabber:client'>" + inner + "</presence>"))
	if err != nil {
		w.t.Fatal(err)
	}
	st.From, st.Type = c.JID, typ
	if to != "" {
		st.To = jid.MustParse(to)
	}
	if !c.Session.Take(c.Wire(), st, true) {
		w.t.Fatal("not taken")
	}
	w.router.Handle(context.Background(), c.Session, st)
}

// item sets both halves of a relation to what romeo's says.
func (w *world) relation(state string) {
	w.t.Helper()
	i := in(state)
	put(w.t, w.rosters, i)
	j := Item{JID: romeo, Listed: true, To: i.From, From: i.To}
	other := account.Account{ID: 2, JID: juliet}
	if _, _, err := w.rosters.change(w.t.Context(), other, romeo, func(Item) (Item, error) { return j, nil }, nil); err != nil {
		w.t.Fatal(err)
	}
}

// To a contact who is blocked one looks like somebody who is away: at login, by a
// probe, and when one comes and goes.
func TestTheBlockedCannotTellWhetherOneIsThere(t *testing.T) {
	for _, how := range []string{"login", "probe"} {
		seen := map[string]string{}
		for _, where := range []string{"away", "there, and blocks"} {
			w := newWorld(t, storetest.SQLite(t))
			w.relation("Both")
			if where != "away" {
				w.blocked[[2]jid.JID{romeo, juliet}] = true
				phone := w.login("romeo@a.example/phone")
				w.says(phone, "", "", "")
			}
			balcony := w.login("juliet@a.example/balcony")
			w.says(balcony, "", "", "")
			if how == "probe" {
				balcony.Got(t)
				w.says(balcony, "romeo@a.example", "probe", "")
			}
			seen[where] = balcony.Got(t)
		}
		if seen["away"] != seen["there, and blocks"] || !strings.Contains(seen["away"], "from='romeo@a.example'") {
			t.Errorf("by %s:\naway:   %s\nblocks: %s", how, seen["away"], seen["there, and blocks"])
		}
	}
}

func TestARuleAboutOneResourceHidesFromThatOneOnly(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.relation("Both")
	balcony, garden := w.login("juliet@a.example/balcony"), w.login("juliet@a.example/garden")
	w.says(balcony, "", "", "")
	w.says(garden, "", "", "")
	balcony.Got(t)
	garden.Got(t)
	w.blocked[[2]jid.JID{romeo, garden.JID}] = true
	phone := w.login("romeo@a.example/phone")
	w.says(phone, "", "", "")
	if got := balcony.Got(t); !strings.Contains(got, "romeo@a.example/phone") {
		t.Error("hidden from the other, who got", got)
	}
	if got := garden.Got(t); got != "" {
		t.Error("shown to", got)
	}
}

func TestNobodyIsShownWhileTheBlockListIsUnknown(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.relation("Both")
	balcony := w.login("juliet@a.example/balcony")
	w.says(balcony, "", "", "")
	balcony.Got(t)
	w.presences.block = down{}
	phone := w.login("romeo@a.example/phone")
	w.says(phone, "", "", "")
	if got := balcony.Got(t); got != "" {
		t.Error("shown", got)
	}
}

func TestRequestsOfTheBlockedAreNotShownAtLogin(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	put(t, w.rosters, Item{JID: juliet, Asked: request(juliet)})
	put(t, w.rosters, Item{JID: nurse, Asked: request(nurse)})
	w.blocked[[2]jid.JID{romeo, juliet}] = true
	phone := w.login("romeo@a.example/phone")
	w.says(phone, "", "", "")
	if got := phone.Got(t); strings.Contains(got, "juliet") || !strings.Contains(got, "nurse") {
		t.Error("shown", got)
	}
}

// Whoever looks at a presence while it changes ends with what it is.
func TestWhoeverLooksWhileSomebodyLeavesSeesHimGo(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes []string // what the presence becomes while it is shown
		want    string
	}{
		{"nothing changes", nil, "first"},
		{"another presence", []string{"second"}, "first second"},
		{"the end", []string{""}, "first unavailable"},
		{"another and the end", []string{"second", ""}, "first second unavailable"},
	} {
		s := sessiontest.New("romeo@a.example/phone", 1)
		is := func(id string) *session.Presence {
			if id == "" {
				return nil
			}
			return &session.Presence{Stanza: &stanza.Stanza{Kind: stanza.Presence, ID: id, From: s.JID}}
		}
		s.SetPresence(is("first"))
		var got []string
		if !current(s.Session, func(st *stanza.Stanza) {
			got = append(got, st.ID+st.Type)
			if len(c.changes) > 0 {
				s.SetPresence(is(c.changes[0]))
				c.changes = c.changes[1:]
			}
		}) {
			t.Errorf("%s: nothing shown", c.name)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
	if current(sessiontest.New("romeo@a.example/phone", 1).Session, func(*stanza.Stanza) { t.Error("shown") }) {
		t.Error("somebody is there who is not")
	}
}

// A crash between the commits of two rosters leaves them out of step; the next
// probe mends it (§4.3.2).
func TestRostersThatDoNotAgreeAreMended(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	put(t, w.rosters, in("To")) // romeo believes that he may see juliet
	balcony := w.login("juliet@a.example/balcony")
	w.says(balcony, "", "", "")
	phone := w.login("romeo@a.example/phone")
	w.says(phone, "", "", "")
	if got := phone.Got(t); strings.Contains(got, "balcony") || !strings.Contains(got, "from='juliet@a.example' to='romeo@a.example' type='unsubscribed'") {
		t.Error("got", got)
	}
	l, _ := w.rosters.Of(t.Context(), 1)
	if got := state(l.Item(juliet)); got != "None" {
		t.Error("the state is", got)
	}
}

func TestARevivedSessionHearsWhoIsThere(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.relation("Both")
	put(t, w.rosters, Item{JID: nurse, Listed: true, From: true})
	phone, balcony := w.login("romeo@a.example/phone"), w.login("juliet@a.example/balcony")
	if err := w.presences.Refresh(t.Context(), phone.Session); err != nil || phone.Got(t) != "" {
		t.Error("told before it had sent presence", err)
	}
	w.says(phone, "", "", "")
	w.says(balcony, "", "", "")
	phone.Got(t)
	w.presences.Refresh(t.Context(), phone.Session)
	if got := phone.Got(t); got != "<presence from='juliet@a.example/balcony' to='romeo@a.example/phone'/>" {
		t.Error("got", got)
	}
	w.says(balcony, "", "unavailable", "")
	phone.Got(t)
	w.presences.Refresh(t.Context(), phone.Session)
	if got := phone.Got(t); got != "<presence from='juliet@a.example' to='romeo@a.example/phone' type='unavailable'/>" {
		t.Error("got", got)
	}
}

func TestDirectedPresenceIsBoundedAndTakenBack(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.presences.settings = settings.Fixed(func() *settings.Settings { s := settings.Defaults(); s.Presence.Directed = 2; return s }())
	phone := w.login("romeo@a.example/phone")
	w.says(phone, "room@b.example/r", "", "")
	w.says(phone, "room@b.example/r", "", "")
	w.says(phone, "other@b.example", "", "")
	w.says(phone, "third@b.example", "", "")
	if got := phone.Got(t); !strings.Contains(got, stanza.ResourceConstraint) || len(w.remote) != 3 {
		t.Error("got", got, "sent", w.remote)
	}
	w.says(phone, "other@b.example", "unavailable", "")
	w.remote = nil
	if err := w.presences.Gone(t.Context(), phone.Session); err != nil {
		t.Fatal(err)
	}
	if len(w.remote) != 1 || !strings.Contains(w.remote[0], "to='room@b.example/r' type='unavailable'") {
		t.Error("told", w.remote)
	}
}

func TestPriorities(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "-1": -1, " 5\n": 5, "127": 127, "-128": -128, "128": -1000, "-129": -1000, "1.5": -1000, "": -1000, "x": -1000} {
		st, err := stanza.Parse([]byte("<presence xmlns='jabber:client'><priority>" + text + "</priority></presence>"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := priorityOf(st)
		if (err != nil) != (want == -1000) || err == nil && int(got) != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	if got, err := priorityOf(&stanza.Stanza{Kind: stanza.Presence}); got != 0 || err != nil {
		t.Error(got, err)
	}
}
