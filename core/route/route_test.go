package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

var (
	romeo  = jid.MustParse("romeo@a.example")
	juliet = jid.MustParse("juliet@a.example")
)

// world is a router with stages that do as little as possible: it archives into a
// table that is there, and keeps what nobody gets in a list.
type world struct {
	t      *testing.T
	db     *store.DB
	env    *session.Env
	router *Router
	wires  map[string]*wire
	broken bool // the rows of messages cannot be written
	boom   bool // the archive panics

	mu      sync.Mutex
	kept    []string // ids, with the age of the message
	remote  []*stanza.Stanza
	refused error // Keep's
}

func inWorld(t *testing.T, do func(t *testing.T, w *world)) {
	cfg := storetest.SQLiteConfig(t)
	synctest.Test(t, func(t *testing.T) {
		do(t, newWorld(t, storetest.Open(t, cfg)))
		synctest.Wait()
	})
}

func newWorld(t *testing.T, db *store.DB) *world {
	w := &world{t: t, db: db, wires: map[string]*wire{}}
	w.env = &session.Env{DB: db, Settings: settings.Fixed(settings.Defaults()), Log: slog.New(slog.DiscardHandler), Ended: w.ended}
	w.router = &Router{
		Log: slog.New(slog.DiscardHandler), DB: db, Online: online.New(), Hosts: w, Accounts: w, Block: w, Archive: w, Copies: noCopies{}, Absent: absent{w},
		Presence: presences{}, Remote: w, Answers: NewTable(), Forged: func(p elem.Part) bool { return p.Name.Local == "forged" }, Context: context.Background(),
	}
	return w
}

func (w *world) ended(s *session.Session, rest []session.Entry) {
	s.SetPresence(nil)
	w.router.Online.Remove(s)
	w.router.Rehome(context.Background(), s, rest)
}

func (w *world) Serves(domain string) bool { return domain == "a.example" }

func (w *world) Find(_ context.Context, bare jid.JID) (account.Account, error) {
	switch bare {
	case romeo:
		return account.Account{ID: 1, JID: bare}, nil
	case juliet:
		return account.Account{ID: 2, JID: bare}, nil
	}
	return account.Account{}, store.ErrNone
}

func (w *world) Blocks(context.Context, account.Account, jid.JID) (bool, error) { return false, nil }

// Sent writes a row for every message with a body.
func (w *world) Sent(_ context.Context, t *Transit) error {
	if w.boom {
		panic("boom")
	}
	switch {
	case w.broken:
		t.Keep(store.Do(`INSERT INTO no_such_table (id) VALUES (1)`))
	case t.Has(stanza.NSClient, "body"):
		t.Keep(store.Do(`INSERT INTO private_xml (account, ns, name, xml) VALUES (1, ?, '', ?)`, t.ID, []byte("x")))
	}
	return nil
}
func (w *world) Received(context.Context, *Transit) error { return nil }

func (w *world) Forward(_ context.Context, t *Transit) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remote = append(w.remote, t.Stanza)
	return nil
}

type absent struct{ *world }

func (a absent) Keep(_ context.Context, t *Transit) error {
	if a.refused != nil {
		return a.refused
	}
	t.Then(func(context.Context) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.kept = append(a.kept, t.ID+" "+time.Since(t.At).String())
	})
	return nil
}
func (absent) Arriving(*session.Session)                 {}
func (absent) Behind(*session.Session) bool              { return false }
func (absent) Arrived(context.Context, *session.Session) {}

type noCopies struct{}

func (noCopies) Sent(context.Context, *Transit)                         {}
func (noCopies) Received(context.Context, *Transit, []*session.Session) {}

type presences struct{}

func (presences) Outbound(context.Context, *Transit) error { return nil }
func (presences) Inbound(context.Context, *Transit) error  { return nil }
func (presences) ToServer(context.Context, *Transit) error { return nil }

// login binds a session: available with a priority, or only connected when that
// is "".
func (w *world) login(full, priority string) *session.Session {
	w.t.Helper()
	j := jid.MustParse(full)
	a, _ := w.Find(context.Background(), j.Bare())
	w.wires[full] = &wire{}
	s := session.New(w.env, full, j, a.ID, w.wires[full], session.Facts{})
	if _, err := w.router.Online.Bind(s, online.Policy{Conflict: "replace"}); err != nil {
		w.t.Fatal(err)
	}
	var p int8
	if n, _ := fmt.Sscan(priority, &p); n > 0 {
		s.SetPresence(&session.Presence{Stanza: &stanza.Stanza{Kind: stanza.Presence, From: j}, Priority: p, At: time.Now()})
	}
	return s
}

// resumable is login with XEP-0198.
func (w *world) resumable(full, priority string) *session.Session {
	w.t.Helper()
	s := w.login(full, priority)
	if err := s.Enable(w.t.Context(), true); err != nil {
		w.t.Fatal(err)
	}
	w.gets(full)
	return s
}

// says lets a session send a stanza.
func (w *world) says(s *session.Session, st *stanza.Stanza) {
	w.t.Helper()
	st.From = s.JID
	if !s.Take(w.wires[s.JID.String()], st, st.Kind != stanza.Message) {
		w.t.Error("not taken")
		return
	}
	w.router.Handle(context.Background(), s, st)
}

// gets is the ids of the stanzas that were written to a session, with "!" for
// errors.
func (w *world) gets(full string) string {
	synctest.Wait()
	wire := w.wires[full]
	wire.mu.Lock()
	defer wire.mu.Unlock()
	got := wire.got.String()
	wire.got.Reset()
	var ids []string
	for _, m := range idAttr.FindAllStringSubmatch(got, -1) {
		id := m[1]
		if strings.Contains(m[0], "type='error'") {
			id += "!"
		}
		ids = append(ids, id)
	}
	return strings.Join(ids, " ")
}

var idAttr = regexp.MustCompile(`<(?:message|presence|iq)[^>]* id='([^']*)'[^>]*>`)

func (w *world) check(full, want string) {
	w.t.Helper()
	if got := w.gets(full); got != want {
		w.t.Errorf("%s got %q, want %q", full, got, want)
	}
}

func (w *world) checkKept(want ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.kept, want) {
		w.t.Errorf("kept %q, want %q", w.kept, want)
	}
	w.kept = nil
}

func message(id, to, typ, inner string) *stanza.Stanza {
	st, err := stanza.Parse(fmt.Appendf(nil, "<message xmlns='jabber:client' to='%s' id='%s'>%s</message>", to, id, inner))
	if err != nil {
		panic(err)
	}
	st.Type = typ
	return st
}

func chat(id, to string) *stanza.Stanza { return message(id, to, "chat", "<body>hark</body>") }

type wire struct {
	mu  sync.Mutex
	got strings.Builder
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.Write(p)
}
func (w *wire) End(rest []byte, _ *stream.Error) { w.Write(rest) }
func (w *wire) Cut()                             {}

// The table of RFC 6121 §8.5.4, with our choice where it leaves one: "most
// available" is everybody who is not negative, and what nobody will read is
// refused rather than ignored.
func TestChoice(t *testing.T) {
	const refuse, nobody = "refused", ""
	situations := map[string]map[string]string{
		"no session":     {},
		"only connected": {"balcony": ""},
		"only negative":  {"balcony": "-1"},
		"one":            {"balcony": "0"},
		"many":           {"balcony": "5", "hall": "0", "cellar": "-5", "orchard": ""},
	}
	for _, c := range []struct {
		situation, to                          string
		normal, chat, groupchat, headline, err string
	}{
		{"no session", "", nobody, nobody, refuse, nobody, nobody},
		{"no session", "/garden", refuse, nobody, refuse, nobody, nobody},
		{"only connected", "", nobody, nobody, refuse, nobody, nobody},
		{"only connected", "/balcony", "balcony", "balcony", "balcony", "balcony", "balcony"},
		{"only connected", "/garden", refuse, nobody, refuse, nobody, nobody},
		{"only negative", "", nobody, nobody, refuse, nobody, nobody},
		{"only negative", "/balcony", "balcony", "balcony", "balcony", "balcony", "balcony"},
		{"only negative", "/garden", refuse, nobody, refuse, nobody, nobody},
		{"one", "", "balcony", "balcony", refuse, "balcony", nobody},
		{"one", "/balcony", "balcony", "balcony", "balcony", "balcony", "balcony"},
		{"one", "/garden", refuse, "balcony", refuse, nobody, nobody},
		{"many", "", "balcony hall", "balcony hall", refuse, "balcony hall", nobody},
		{"many", "/cellar", "cellar", "cellar", "cellar", "cellar", "cellar"},
		{"many", "/orchard", "orchard", "orchard", "orchard", "orchard", "orchard"},
		{"many", "/garden", refuse, "balcony hall", refuse, nobody, nobody},
	} {
		w := newWorld(t, nil)
		for r, priority := range situations[c.situation] {
			w.login("juliet@a.example/"+r, priority)
		}
		for typ, want := range map[string]string{"": c.normal, "normal": c.normal, "unheard-of": c.normal, "chat": c.chat, "groupchat": c.groupchat, "headline": c.headline, "error": c.err} {
			chosen, err := w.router.choose(&Transit{Stanza: message("1", "juliet@a.example"+c.to, typ, "")})
			var names []string
			for _, s := range chosen {
				names = append(names, s.JID.Resource())
			}
			slices.Sort(names)
			got := strings.Join(names, " ")
			if err != nil {
				got = refuse
			}
			if got != want {
				t.Errorf("%s to juliet%s, %s: %q, want %q", typ, c.to, c.situation, got, want)
			}
		}
	}
}

func TestWhoHasEndedIsNotChosen(t *testing.T) {
	w := newWorld(t, nil)
	w.env.Ended = func(*session.Session, []session.Entry) {} // contacts are being told
	s := w.login("juliet@a.example/balcony", "0")
	s.EndNow(nil)
	for _, to := range []string{"juliet@a.example", "juliet@a.example/balcony"} {
		if chosen, err := w.router.choose(&Transit{Stanza: chat("1", to)}); len(chosen) != 0 || err != nil {
			t.Errorf("%s: chosen %v, %v", to, chosen, err)
		}
	}
}

func TestMessagesKeepTheirOrder(t *testing.T) {
	const state = "<active xmlns='http://jabber.org/protocol/chatstates'/>"
	for _, resumable := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) {
			phone := w.login("romeo@a.example/phone", "0")
			balcony := w.login("juliet@a.example/balcony", "0")
			if resumable {
				balcony.Enable(t.Context(), true)
				w.gets("juliet@a.example/balcony")
			}
			var want []string
			for i := range 20 {
				id := fmt.Sprint(i)
				switch want = append(want, id); i % 4 {
				case 0, 3:
					w.says(phone, chat(id, "juliet@a.example"))
				case 1: // no row
					w.says(phone, message(id, "juliet@a.example/balcony", "chat", state))
				case 2:
					iq := &stanza.Stanza{Kind: stanza.IQ, Type: "get", ID: id, To: balcony.JID, Payload: []byte("<x xmlns='y'/>"), Parts: []elem.Part{{Name: elem.N("y", "x"), End: 14}}}
					w.says(phone, iq)
				}
			}
			w.check("juliet@a.example/balcony", strings.Join(want, " "))
		})
	}
}

func TestNobodyIsToldBeforeTheCommit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone := w.resumable("romeo@a.example/phone", "0")
		w.resumable("juliet@a.example/balcony", "0")
		w.login("juliet@a.example/hall", "0")
		commit := make(chan struct{})
		w.db.Append(nil, func(error) { <-commit })
		w.says(phone, chat("1", "juliet@a.example"))
		phone.AckRequested()
		w.check("juliet@a.example/balcony", "")
		w.check("juliet@a.example/hall", "")
		if got := w.wires["romeo@a.example/phone"].got.String(); got != "" {
			t.Error("acknowledged", got)
		}
		close(commit)
		w.check("juliet@a.example/balcony", "1")
		w.check("juliet@a.example/hall", "1")
		if got := w.wires["romeo@a.example/phone"].got.String(); got != "<a xmlns='urn:xmpp:sm:3' h='1'/>" {
			t.Error("acknowledged", got)
		}
	})
}

func TestWhatCannotBeStoredIsRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone := w.login("romeo@a.example/phone", "0")
		balcony := w.resumable("juliet@a.example/balcony", "0")
		w.broken = true
		w.says(phone, chat("1", "juliet@a.example"))
		w.check("romeo@a.example/phone", "1!")
		w.broken = false
		w.says(phone, chat("2", "juliet@a.example"))
		w.check("juliet@a.example/balcony", "2")
		if n := balcony.Status().Unacked; n != 1 {
			t.Error(n, "in the queue")
		}
		w.refused = stanza.Refuse(stanza.ServiceUnavailable, "full")
		balcony.End(nil)
		w.says(phone, chat("3", "juliet@a.example"))
		if got := w.gets("romeo@a.example/phone"); !strings.Contains(got, "3!") {
			t.Error("the sender heard", got)
		}
	})
}

func TestASessionThatEndsBetweenChoiceAndCommit(t *testing.T) {
	for _, resumable := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) {
			phone := w.login("romeo@a.example/phone", "0")
			balcony := w.login("juliet@a.example/balcony", "0")
			if resumable {
				balcony.Enable(t.Context(), true)
			}
			commit := make(chan struct{})
			w.db.Append(nil, func(error) { <-commit })
			w.says(phone, chat("1", "juliet@a.example"))
			w.says(phone, message("2", "juliet@a.example/balcony", "headline", "<body>x</body>"))
			balcony.End(nil)
			time.Sleep(time.Second)
			w.checkKept()
			close(commit)
			w.checkKept("1 1s") // with the time it came; a headline is not worth keeping
			w.check("romeo@a.example/phone", "")
		})
	}
}

// What an ended session has not acknowledged goes to who would have got it
// otherwise, once.
func TestRehome(t *testing.T) {
	type other struct {
		resource  string
		before    bool // it was there when the message came
		copies    bool
		resumable bool
		gets      string
	}
	const private = "<body>psst</body><private xmlns='urn:xmpp:carbons:2'/>"
	for _, c := range []struct {
		name   string
		st     *stanza.Stanza
		others []other
		kept   []string
	}{
		{"nobody else", chat("1", "juliet@a.example"), nil, []string{"1 10m0s"}},
		{"nobody else, to the session", chat("1", "juliet@a.example/balcony"), nil, []string{"1 10m0s"}},
		{"normal, to the session", message("1", "juliet@a.example/balcony", "normal", "<body>x</body>"), nil, []string{"1 10m0s"}},
		{"somebody who got it", chat("1", "juliet@a.example"), []other{{"hall", true, false, false, ""}}, nil},
		{"somebody who came later", chat("1", "juliet@a.example"), []other{{"hall", false, false, false, "1"}}, nil},
		{"one of each", chat("1", "juliet@a.example"), []other{{"hall", true, false, false, ""}, {"garden", false, true, false, "1"}}, nil},
		{"resumable, once", chat("1", "juliet@a.example"), []other{{"hall", false, false, true, "1"}}, nil},
		{"to the session, another is there", chat("1", "juliet@a.example/balcony"), []other{{"hall", true, false, true, "1"}}, nil},
		{"to the session, another has a copy", chat("1", "juliet@a.example/balcony"), []other{{"hall", true, true, true, ""}}, nil},
		{"to the session, another came later", chat("1", "juliet@a.example/balcony"), []other{{"hall", false, true, true, "1"}}, nil},
		{"private, of which nobody has a copy", message("1", "juliet@a.example/balcony", "chat", private), []other{{"hall", true, true, true, "1"}}, nil},
		{"bound anew", chat("1", "juliet@a.example/balcony"), []other{{"balcony", false, true, false, "1"}}, nil},
		{"headline", message("1", "juliet@a.example/balcony", "headline", "<body>x</body>"), nil, nil},
		{"groupchat", message("1", "juliet@a.example/balcony", "groupchat", "<body>x</body>"), nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				balcony := w.resumable("juliet@a.example/balcony", "0")
				login := func(before bool) {
					for _, o := range c.others {
						if o.before != before {
							continue
						}
						full := "juliet@a.example/" + o.resource
						s := w.login(full, "0")
						s.SetWant(session.Copies, o.copies)
						if o.resumable {
							s.Enable(t.Context(), true)
						}
						w.gets(full)
					}
				}
				login(true)
				time.Sleep(time.Second)
				phone := w.login("romeo@a.example/phone", "0")
				w.says(phone, c.st)
				w.gets("juliet@a.example/balcony")
				for _, o := range c.others {
					if o.before {
						w.gets("juliet@a.example/" + o.resource)
					}
				}
				time.Sleep(10 * time.Minute)
				login(false)
				balcony.EndNow(nil)
				for _, o := range c.others {
					w.check("juliet@a.example/"+o.resource, o.gets)
				}
				w.checkKept(c.kept...)
				w.check("romeo@a.example/phone", "")
				var rows int
				if err := w.db.Read().QueryRow(t.Context(), "SELECT COUNT(*) FROM sm_queue q WHERE NOT EXISTS (SELECT 1 FROM sm_session s WHERE s.id = q.session)").Scan(&rows); err != nil || rows != 0 {
					t.Error(rows, "rows are left", err)
				}
			})
		})
	}
}

func TestWhatTheAccountSaysToItsSessionIsNotRehomed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		balcony := w.resumable("juliet@a.example/balcony", "0")
		for from, id := range map[string]string{"juliet@a.example": "page", "": "nobody"} {
			st := message(id, "juliet@a.example/balcony", "", "<result xmlns='urn:xmpp:mam:2'/>")
			if from != "" {
				st.From = jid.MustParse(from)
			}
			balcony.Send(st)
		}
		hall := w.login("juliet@a.example/hall", "0")
		time.Sleep(time.Minute)
		balcony.EndNow(nil)
		w.check(hall.JID.String(), "")
		w.checkKept()
	})
}

func TestADefectOfAStageLeavesTheSessionWhole(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone := w.resumable("romeo@a.example/phone", "0")
		w.boom = true
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the reader was not told")
				}
			}()
			w.says(phone, chat("1", "juliet@a.example"))
		}()
		w.boom = false
		phone.Drain() // returns
		w.says(phone, chat("2", "juliet@a.example"))
		w.checkKept("2 0s")
	})
}

func TestFromElsewhere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, st := range []*stanza.Stanza{
			{Kind: stanza.IQ, Type: "get", ID: "1", To: jid.MustParse("a.example")},
			{Kind: stanza.IQ, Type: "set", ID: "2", To: juliet},
			{Kind: stanza.IQ, Type: "get", ID: "3", To: jid.MustParse("nobody@a.example")},
			{Kind: stanza.IQ, Type: "get", ID: "4", To: jid.MustParse("juliet@a.example/nowhere")},
			{Kind: stanza.Message, ID: "5", To: jid.MustParse("nobody@a.example")},
			{Kind: stanza.Message, ID: "6", To: jid.MustParse("a.example")},
			{Kind: stanza.Presence, Type: "probe", ID: "7", To: jid.MustParse("nobody@a.example/x")},
			// Not answered:
			{Kind: stanza.IQ, Type: "result", ID: "8", To: juliet},
			{Kind: stanza.IQ, Type: "error", ID: "9", To: jid.MustParse("nobody@a.example")},
			{Kind: stanza.Message, Type: "error", ID: "10", To: jid.MustParse("nobody@a.example")},
			{Kind: stanza.Presence, ID: "11", To: jid.MustParse("nobody@a.example")},
			{Kind: stanza.Presence, Type: "subscribe", ID: "12", To: jid.MustParse("nobody@a.example")},
		} {
			st.From = jid.MustParse("juliet@b.example/x")
			w.router.Route(t.Context(), st)
		}
		synctest.Wait()
		var got []string
		for _, st := range w.remote {
			got = append(got, st.ID+st.Type)
		}
		if s := strings.Join(got, " "); s != "1error 2error 3error 4error 5error 6error unsubscribed" {
			t.Error("answered", s)
		}
	})
}

func TestForgedChildrenAreDropped(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone := w.login("romeo@a.example/phone", "0")
		w.login("juliet@a.example/balcony", "0")
		w.says(phone, message("1", "juliet@a.example", "chat", "<forged xmlns='x'/><body>hark</body>"))
		synctest.Wait()
		if got := w.wires["juliet@a.example/balcony"].got.String(); strings.Contains(got, "forged") || !strings.Contains(got, "hark") {
			t.Error("got", got)
		}
	})
}

func TestHints(t *testing.T) {
	for inner, want := range map[string]Transit{
		"":                                             {},
		"<private xmlns='urn:xmpp:carbons:2'/>":        {Private: true},
		"<private xmlns='x'/>":                         {},
		"<no-copy xmlns='urn:xmpp:hints'/>":            {Private: true},
		"<no-store xmlns='urn:xmpp:hints'/>":           {NoStore: true},
		"<no-permanent-store xmlns='urn:xmpp:hints'/>": {NoStore: true},
		"<store xmlns='urn:xmpp:hints'/><no-copy xmlns='urn:xmpp:hints'/>": {Store: true, Private: true},
	} {
		got := Transit{Stanza: message("1", "juliet@a.example", "chat", inner)}
		got.read()
		if got.Private != want.Private || got.NoStore != want.NoStore || got.Store != want.Store {
			t.Errorf("%s: private %v, no store %v, store %v", inner, got.Private, got.NoStore, got.Store)
		}
	}
}

func TestWellFormedQueries(t *testing.T) {
	for _, c := range []struct {
		id, typ string
		parts   int
		ok      bool
	}{
		{"1", "get", 1, true}, {"1", "set", 1, true}, {"1", "result", 0, true}, {"1", "result", 1, true}, {"1", "error", 2, true},
		{"", "get", 1, false}, {"1", "get", 0, false}, {"1", "set", 2, false}, {"1", "result", 2, false}, {"1", "", 1, false}, {"1", "chat", 1, false},
	} {
		err := wellFormed(&stanza.Stanza{Kind: stanza.IQ, ID: c.id, Type: c.typ, Parts: make([]elem.Part, c.parts)})
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestErrorsBecomeConditions(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		err       error
		condition string
		typ       string
	}{
		{stanza.Refuse(stanza.Forbidden, "no"), stanza.Forbidden, "auth"},
		{fmt.Errorf("deep: %w", stanza.Refuse(stanza.Forbidden, "no")), stanza.Forbidden, "auth"},
		{store.ErrUnavailable, stanza.ResourceConstraint, "wait"},
		{store.ErrClosed, stanza.ResourceConstraint, "wait"},
		{errors.New("secret"), stanza.InternalServerError, "wait"},
	} {
		e := w.router.refusal(&Transit{Stanza: chat("1", "juliet@a.example")}, c.err)
		if e.Condition != c.condition || e.Type != c.typ || strings.Contains(e.Text, "secret") {
			t.Errorf("%v: %+v", c.err, e)
		}
	}
}
