package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/route"
	"chancery/core/route/routetest"
	"chancery/core/session/sessiontest"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

var owner = account.Account{ID: 1, JID: romeo}

// put makes the item what it says.
func put(t testing.TB, r *Rosters, i Item) {
	t.Helper()
	if _, _, err := r.change(t.Context(), owner, i.JID, func(Item) (Item, error) { return i, nil }, nil); err != nil {
		t.Fatal(err)
	}
}

func TestARosterIsReadAsItWasWritten(t *testing.T) {
	items := []Item{
		{JID: juliet, Listed: true, Name: "Juliet <3 & \"co\"", Groups: []string{"Capulet", "Грýппа"}, To: true, From: true, Approved: true},
		{JID: nurse, Listed: true, Ask: true},
		{JID: jid.MustParse("b.example"), Listed: true, From: true},
		{JID: jid.MustParse("tybalt@a.example"), Asked: &stanza.Stanza{Kind: stanza.Presence, Type: subscribe, ID: "1",
			From: jid.MustParse("tybalt@a.example"), To: romeo, Payload: []byte("<status>&lt;duel?&gt;</status>")}},
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := New(db, settings.Fixed(settings.Defaults()), online.New())
		version := int64(0)
		check := func(when string, want []Item) {
			t.Helper()
			for name, l := range map[string]func() (*Roster, error){
				"memory": func() (*Roster, error) { return r.Of(t.Context(), owner.ID) },
				"disk":   func() (*Roster, error) { return load(t.Context(), db.Read(), owner.ID) },
			} {
				got, err := l()
				if err != nil {
					t.Fatal(err)
				}
				if got.Version < version {
					t.Errorf("%s, in %s: version %d after %d", when, name, got.Version, version)
				}
				if len(got.items) != len(want) {
					t.Errorf("%s, in %s: %d items, want %d", when, name, len(got.items), len(want))
				}
				for _, w := range want {
					g := got.Item(w.JID)
					if !looksSame(g, w) || g.Listed != w.Listed || (g.Asked == nil) != (w.Asked == nil) ||
						g.Asked != nil && string(g.Asked.Append(nil, "")) != string(w.Asked.Append(nil, "")) {
						t.Errorf("%s, in %s: %+v, want %+v", when, name, g, w)
					}
				}
				version = got.Version
			}
		}
		check("empty", nil)
		for i, item := range items {
			put(t, r, item)
			check("added", items[:i+1])
		}
		items := slices.Clone(items)
		items[0].Name, items[0].Groups, items[0].To = "", nil, false
		items[3].Listed, items[3].From, items[3].Asked = true, true, nil
		put(t, r, items[0])
		put(t, r, items[3])
		check("changed", items)
		put(t, r, Item{JID: juliet})
		check("removed", items[1:])
		if err := db.Write(t.Context(), func(tx store.Tx) error { return forget(t.Context(), tx, owner.ID) }); err != nil {
			t.Fatal(err)
		}
		if l, err := load(t.Context(), db.Read(), owner.ID); err != nil || len(l.items) != 0 || l.Version != 0 {
			t.Error("after the account is gone:", l, err)
		}
	})
}

func TestWhatCannotBeWrittenHasNotHappened(t *testing.T) {
	cfg := storetest.SQLiteConfig(t)
	db, err := store.Open(t.Context(), cfg, storetest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	phone := sessiontest.New("romeo@a.example/phone", owner.ID)
	r := New(db, settings.Fixed(settings.Defaults()), sessiontest.Online(t, phone))
	get(t, r, phone)
	db.Close()
	told := false
	_, _, err = r.change(t.Context(), owner, juliet, func(Item) (Item, error) { return in("To"), nil }, func() { told = true })
	if err == nil || told || phone.Got(t) != "" {
		t.Error("told, or no error:", err)
	}
	if _, err := r.Of(t.Context(), owner.ID); err == nil {
		t.Error("what nobody knows is remembered")
	}
}

// A reader who looked before a change must not put the old list back behind it.
func TestAnOldListDoesNotComeBack(t *testing.T) {
	db := storetest.SQLite(t)
	r := New(db, settings.Fixed(settings.Defaults()), online.New())
	generation := r.cache.Generation()
	old, err := load(t.Context(), db.Read(), owner.ID)
	if err != nil {
		t.Fatal(err)
	}
	put(t, r, in("To"))
	r.cache.PutIf(generation, owner.ID, old)
	if l, err := r.Of(t.Context(), owner.ID); err != nil || !l.Item(juliet).To {
		t.Error("the change is forgotten", err)
	}
}

func TestRostersAreBounded(t *testing.T) {
	set := settings.Defaults()
	set.Roster.Contacts = 3
	r := New(storetest.SQLite(t), settings.Fixed(set), online.New())
	for i := range 5 {
		for kind, item := range map[string]Item{"contact": {Listed: true}, "request": {Asked: request(juliet)}} {
			item.JID = jid.MustParse(fmt.Sprintf("%s%d@a.example", kind, i))
			_, _, err := r.change(t.Context(), owner, item.JID, func(Item) (Item, error) { return item, nil }, nil)
			if refused := routetest.Refused(err, stanza.PolicyViolation); refused != (i >= 3) || err != nil && !refused {
				t.Errorf("%s %d: %v", kind, i, err)
			}
		}
	}
	put(t, r, Item{JID: jid.MustParse("contact1@a.example"), Listed: true, Asked: request(juliet)}) // a contact's own request
	l, _ := r.Of(t.Context(), owner.ID)
	if len(l.Items()) != 3 || l.requests() != 3 {
		t.Errorf("%d contacts, %d requests", len(l.Items()), l.requests())
	}
}

// get asks for the roster as a client does, and returns the answer.
func get(t testing.TB, r *Rosters, c *sessiontest.Client) string {
	t.Helper()
	q := &route.Query{Stanza: stanza.New(stanza.IQ, "get"), Payload: elemQuery(), Session: c.Session, Account: owner}
	n, err := r.get(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	c.Send((&stanza.Stanza{Kind: stanza.IQ, ID: "get", From: c.JID}).Result(n))
	q.Then()
	return c.Got(t)
}

func TestPushesComeBehindTheRoster(t *testing.T) {
	phone := sessiontest.New("romeo@a.example/phone", owner.ID)
	r := New(storetest.SQLite(t), settings.Fixed(settings.Defaults()), sessiontest.Online(t, phone))
	put(t, r, in("To"))
	put(t, r, Item{JID: nurse, Listed: true})
	if got := phone.Got(t); got != "" {
		t.Error("pushed to somebody who did not ask:", got)
	}
	q := &route.Query{Stanza: stanza.New(stanza.IQ, "get"), Payload: elemQuery(), Session: phone.Session, Account: owner}
	n, err := r.get(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	// Between the reading and the answer:
	put(t, r, in("Both"))
	put(t, r, Item{JID: nurse})
	put(t, r, Item{JID: jid.MustParse("benvolio@a.example"), Listed: true})
	put(t, r, Item{JID: jid.MustParse("tybalt@a.example"), Asked: request(jid.MustParse("tybalt@a.example"))})
	phone.Send(q.Result(n))
	q.Then()
	got := phone.Got(t)
	answer, pushes, ok := strings.Cut(got, "</iq>")
	if !ok || !strings.Contains(answer, `type='result'`) || !strings.Contains(answer, "nurse") {
		t.Error("the answer came first as", answer)
	}
	for what, n := range map[string]int{
		"<iq ": 3,
		`jid='juliet@a.example' subscription='both'`:   1,
		`jid='nurse@a.example' subscription='remove'`:  1,
		`jid='benvolio@a.example' subscription='none'`: 1,
		"tybalt": 0,
	} {
		if c := strings.Count(pushes, what); c != n {
			t.Errorf("%s: %d times in %s", what, c, pushes)
		}
	}
	put(t, r, in("To"))
	if got := phone.Got(t); strings.Count(got, "<iq ") != 1 || !strings.Contains(got, "subscription='to'") {
		t.Error("then pushed", got)
	}
	get(t, r, phone)
	if got := phone.Got(t); got != "" {
		t.Error("pushed without a change:", got)
	}
}

func TestTheRosterIsNotSentToWhoHasIt(t *testing.T) {
	phone := sessiontest.New("romeo@a.example/phone", owner.ID)
	r := New(storetest.SQLite(t), settings.Fixed(settings.Defaults()), sessiontest.Online(t, phone))
	ask := func(ver string) bool {
		payload := elemQuery().WithAttr("ver", ver)
		n, err := r.get(t.Context(), &route.Query{Stanza: stanza.New(stanza.IQ, "get"), Payload: payload, Session: phone.Session, Account: owner})
		if err != nil {
			t.Fatal(err)
		}
		return n == nil
	}
	put(t, r, in("To"))
	l, _ := r.Of(t.Context(), owner.ID)
	old := fmt.Sprint(l.Version)
	if !ask(old) || ask("") || ask("1") || ask("x") {
		t.Error("sent, or not sent, by mistake")
	}
	put(t, r, in("Both"))
	if ask(old) {
		t.Error("an old version is taken for the new one")
	}
}

func TestItemsOfARosterSet(t *testing.T) {
	long := strings.Repeat("x", maxName+1)
	var many strings.Builder
	for i := range maxGroups + 1 {
		fmt.Fprintf(&many, "<group>%d</group>", i)
	}
	for _, c := range []struct{ item, refused string }{
		{"<item jid='juliet@a.example'/>", ""},
		{"<item jid='juliet@a.example/balcony' name='J'><group>b</group><group>a</group></item>", ""},
		{"<item jid='b.example'/>", ""},
		{"", stanza.BadRequest},
		{"<item jid='juliet@a.example'/><item jid='nurse@a.example'/>", stanza.BadRequest},
		{"<item/>", stanza.BadRequest},
		{"<item jid=''/>", stanza.BadRequest},
		{"<item jid='@'/>", stanza.BadRequest},
		{"<item jid='romeo@a.example'/>", stanza.NotAllowed},
		{"<item jid='romeo@a.example/phone'/>", stanza.NotAllowed},
		{"<item jid='juliet@a.example' name='" + long + "'/>", stanza.NotAcceptable},
		{"<item jid='juliet@a.example'><group/></item>", stanza.NotAcceptable},
		{"<item jid='juliet@a.example'><group>" + long + "</group></item>", stanza.NotAcceptable},
		{"<item jid='juliet@a.example'>" + many.String() + "</item>", stanza.NotAcceptable},
		{"<item jid='juliet@a.example'><group>a</group><group>a</group></item>", stanza.BadRequest},
		{"<item jid='tybalt@a.example' subscription='remove'/>", stanza.ItemNotFound},
		{"<item jid='juliet@a.example' subscription='both' ask='subscribe' approved='true'/>", ""}, // says nothing (§2.1.2.5)
	} {
		w := newWorld(t, storetest.SQLite(t))
		phone := w.login("romeo@a.example/phone")
		_, err := routetest.Ask(t, w.presences.Module(), route.OwnAccount, routetest.Own(phone.Session), "set", "<query xmlns='jabber:iq:roster'>"+c.item+"</query>")
		if c.refused == "" && err != nil || c.refused != "" && !routetest.Refused(err, c.refused) {
			t.Errorf("%.100s: %v, want %q", c.item, err, c.refused)
		}
		l, _ := w.rosters.Of(t.Context(), owner.ID)
		for _, i := range l.Items() {
			if i.To || i.From || i.Ask || i.Approved || i.JID.IsFull() || !slices.IsSorted(i.Groups) {
				t.Errorf("%.100s: became %+v", c.item, i)
			}
		}
	}
}

func TestOnlyTheOwnerHasARoster(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	for _, typ := range []string{"get", "set"} {
		_, err := routetest.Ask(t, w.presences.Module(), route.OwnAccount, routetest.Stranger("juliet@b.example/x", owner), typ, "<query xmlns='jabber:iq:roster'><item jid='a@b'/></query>")
		if !routetest.Refused(err, stanza.Forbidden) {
			t.Error(typ, err)
		}
	}
}

func elemQuery() *elem.Node { return elem.New(NS, "query") }

var errDown = errors.New("no database")

// down is a Blocker that does not know.
type down struct{}

func (down) Blocks(context.Context, account.Account, jid.JID) (bool, error) { return true, errDown }
