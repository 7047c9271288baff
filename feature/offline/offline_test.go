package offline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"chancery/core/account"
	"chancery/core/host"
	"chancery/core/online"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/delay"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// world is a router with the offline store in it.
type world struct {
	t        *testing.T
	db       *store.DB
	settings *settings.Settings
	offline  *Offline
	router   *route.Router
	env      *session.Env
	juliet   account.Account
	table    *online.Table
}

// nothing is the stages that do not matter here.
type nothing struct{}

func (nothing) Blocks(context.Context, account.Account, jid.JID) (bool, error) { return false, nil }
func (nothing) Forward(context.Context, *route.Transit) error                  { return nil }

type noArchive struct{}

func (noArchive) Sent(context.Context, *route.Transit) error     { return nil }
func (noArchive) Received(context.Context, *route.Transit) error { return nil }

type noCopies struct{}

func (noCopies) Sent(context.Context, *route.Transit)                         {}
func (noCopies) Received(context.Context, *route.Transit, []*session.Session) {}

type one struct{ account.Account }

func (o one) Find(_ context.Context, bare jid.JID) (account.Account, error) {
	if bare == o.JID {
		return o.Account, nil
	}
	return account.Account{}, store.ErrNone
}

type hosts struct{ *host.Hosts }

func (h hosts) Serves(domain string) bool { return h.Load().Serves(domain) }

// wire collects what a session writes; while it is stuck it takes nothing.
type wire struct {
	mu    sync.Mutex
	more  sync.Cond
	out   strings.Builder
	stuck bool
}

func newWire() *wire {
	w := &wire{}
	w.more.L = &w.mu
	return w
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.stuck {
		w.more.Wait()
	}
	w.out.Write(p)
	w.more.Broadcast()
	return len(p), nil
}
func (w *wire) End([]byte, *stream.Error) {}
func (w *wire) Cut()                      {}

func (w *wire) setStuck(stuck bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = stuck
	w.more.Broadcast()
}

// await waits until n messages were written, and returns all that was.
func (w *wire) await(n int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for strings.Count(w.out.String(), "</message>") < n {
		w.more.Wait()
	}
	return w.out.String()
}

func newWorld(t *testing.T, db *store.DB) *world {
	set := settings.Defaults()
	live := settings.Fixed(set)
	w := &world{
		t: t, db: db, settings: set, offline: New(db, live, storetest.Log(t)), table: online.New(),
		env:    &session.Env{DB: db, Settings: live, Log: storetest.Log(t), Ended: func(*session.Session, []session.Entry) {}},
		juliet: account.Account{ID: 7, JID: jid.MustParse("juliet@a.example")},
	}
	w.router = &route.Router{
		Log: storetest.Log(t), DB: db, Online: w.table, Hosts: hosts{host.Fixed("a.example")}, Accounts: one{w.juliet},
		Answers: route.NewTable(w.offline.Module()), Block: nothing{}, Archive: noArchive{}, Copies: noCopies{}, Absent: w.offline, Remote: nothing{},
		Forged: func(elem.Part) bool { return false }, Context: t.Context(),
	}
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { w.offline.Run(ctx) })
	t.Cleanup(func() { stop(); run.Wait() })
	return w
}

// arrives is a message for juliet from elsewhere.
func (w *world) arrives(typ, inner string) {
	w.t.Helper()
	st, err := stanza.Parse(fmt.Appendf(nil, "<message xmlns='jabber:client' from='romeo@b.example/orchard' to='juliet@a.example' type='%s'>%s</message>", typ, inner))
	if err != nil {
		w.t.Fatal(err)
	}
	w.router.Route(w.t.Context(), st)
}

func (w *world) settle() {
	w.t.Helper()
	done := make(chan error)
	w.db.Append(nil, func(err error) { done <- err })
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count() int {
	w.t.Helper()
	w.settle()
	n, err := count(w.t.Context(), w.db.Read(), w.juliet.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// session binds a resource of juliet; it is not available yet.
func (w *world) session(resource string, resumable bool) (*session.Session, *wire) {
	w.t.Helper()
	wr := newWire()
	full, err := w.juliet.JID.WithResource(resource)
	if err != nil {
		w.t.Fatal(err)
	}
	s := session.New(w.env, resource, full, w.juliet.ID, wr, session.Facts{})
	if _, err := w.table.Bind(s, online.Policy{Conflict: "replace"}); err != nil {
		w.t.Fatal(err)
	}
	if resumable {
		if err := s.Enable(w.t.Context(), true); err != nil {
			w.t.Fatal(err)
		}
	}
	return s, wr
}

// available is what the presence code does.
func (w *world) available(s *session.Session) {
	s.SetPresence(&session.Presence{Stanza: &stanza.Stanza{Kind: stanza.Presence, From: s.JID}, At: time.Now()})
	w.offline.Arrived(w.t.Context(), s)
}

func each(t *testing.T, test func(t *testing.T, w *world, resumable bool)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		t.Run("resumable", func(t *testing.T) { test(t, newWorld(t, db), true) })
	})
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		t.Run("plain", func(t *testing.T) { test(t, newWorld(t, db), false) })
	})
}

// numbers of the messages in what was written, in order.
func numbers(out string) string {
	var all []string
	for rest := out; ; {
		_, after, ok := strings.Cut(rest, "<body>")
		if !ok {
			return strings.Join(all, " ")
		}
		n, more, _ := strings.Cut(after, "</body>")
		all, rest = append(all, n), more
	}
}

func sequence(from, to int) string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return strings.Join(all, " ")
}

func (w *world) say(from, to int) {
	for i := from; i < to; i++ {
		w.arrives("chat", fmt.Sprintf("<body>%d</body>", i))
	}
}

func TestWhoComesOnlineGetsWhatWasKeptInOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world, resumable bool) {
		before := time.Now()
		w.say(0, 5)
		if n := w.count(); n != 5 {
			t.Fatal(n, "are kept")
		}
		s, wr := w.session("balcony", resumable)
		w.available(s)
		out := wr.await(5)
		if got := numbers(out); got != "0 1 2 3 4" {
			t.Error("got", got)
		}
		if n := w.count(); n != 0 {
			t.Error(n, "are still kept")
		}
		_, d, _ := strings.Cut(out, "<delay")
		d, _, _ = strings.Cut(d, "</delay>")
		n, err := elem.Parse([]byte("<delay"+d+"</delay>"), "jabber:client")
		if err != nil {
			t.Fatalf("delay in %s: %v", out, err)
		}
		at, err := delay.ParseStamp(n.Attr("stamp"))
		if err != nil || at.Before(before.Truncate(time.Microsecond)) || at.After(time.Now()) || n.Attr("from") != "a.example" {
			t.Errorf("%v: %v", n.Attrs, err)
		}
		// From now on messages come directly.
		w.say(5, 6)
		if got := numbers(wr.await(6)); got != "0 1 2 3 4 5" {
			t.Error("got", got)
		}
	})
}

func TestMoreThanOneCommitIsHandedOverInOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world, resumable bool) {
		n := 3*atOnce + 7
		w.say(0, n)
		s, wr := w.session("balcony", resumable)
		w.available(s)
		if got := numbers(wr.await(n)); got != sequence(0, n) {
			t.Error("got", got)
		}
		if left := w.count(); left != 0 {
			t.Error(left, "are left")
		}
	})
}

func TestAClientThatDoesNotAcknowledgeGetsNoMoreThanItHasRoomFor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.settings.C2S.QueueStanzas = 40
		w.say(0, 50)
		s, wr := w.session("balcony", true)
		w.available(s)
		for got := 20; got < 50; got += 20 {
			if out := numbers(wr.await(got)); out != sequence(0, got) {
				t.Fatal("got", out)
			}
			if n := w.count(); n != 50-got {
				t.Error(n, "are left")
			}
			if e := s.Ack(uint32(got)); e != nil {
				t.Fatal(e)
			}
		}
		if out := numbers(wr.await(50)); out != sequence(0, 50) {
			t.Error("got", out)
		}
	})
}

func TestAClientThatDoesNotReadKeepsItsConnection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.settings.C2S.OutboxBytes = 64 << 10
		const n = 30
		for i := range n {
			w.arrives("chat", fmt.Sprintf("<body>%d</body><x xmlns='urn:example'>%s</x>", i, strings.Repeat("x", 8<<10)))
		}
		s, wr := w.session("balcony", false)
		wr.setStuck(true)
		w.available(s)
		wr.setStuck(false)
		if out := numbers(wr.await(n)); out != sequence(0, n) {
			t.Error("got", out)
		}
		if !s.Attached() {
			t.Error("the connection was closed")
		}
	})
}

func TestWhatIsOnItsWayWhenSomebodyComesOnlineIsNotLost(t *testing.T) {
	each(t, func(t *testing.T, w *world, resumable bool) {
		// Messages come in from one side while a client comes online on the
		// other, as often as there is a place between the two to meet in.
		const n = 200
		s, wr := w.session("balcony", resumable)
		var both sync.WaitGroup
		both.Go(func() { w.say(0, n) })
		both.Go(func() { w.available(s) })
		both.Wait()
		out := numbers(wr.await(n))
		seen := map[string]bool{}
		for _, f := range strings.Fields(out) {
			if seen[f] {
				t.Errorf("%s came twice", f)
			}
			seen[f] = true
		}
		if len(seen) != n || w.count() != 0 {
			t.Errorf("%d of %d came, %d are left", len(seen), n, w.count())
		}
	})
}

func TestOfTwoThatArriveTogetherOneGetsEverything(t *testing.T) {
	each(t, func(t *testing.T, w *world, resumable bool) {
		n := 2*atOnce + 1
		w.say(0, n)
		w.settle()
		a, wa := w.session("a", resumable)
		b, wb := w.session("b", resumable)
		var both sync.WaitGroup
		both.Go(func() { w.available(a) })
		both.Go(func() { w.available(b) })
		both.Wait()
		for w.count() > 0 {
			w.settle()
		}
		w.settle()
		w.arrives("chat", "<body>end</body>") // to both
		if got := len(strings.Fields(numbers(lastly(wa)))) + len(strings.Fields(numbers(lastly(wb)))); got != n+2 {
			t.Error(got, "came altogether")
		}
	})
}

// lastly waits for the message that ends the test.
func lastly(w *wire) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !strings.Contains(w.out.String(), "<body>end</body>") {
		w.more.Wait()
	}
	return w.out.String()
}

func TestAMessageForASessionThatEndsIsKeptAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.say(0, 3)
		s, _ := w.session("balcony", false)
		hold, held := make(chan struct{}), make(chan struct{})
		db.Append(nil, func(error) { close(held); <-hold })
		<-held
		w.offline.Arrived(t.Context(), s) // the commit is decided, and told after the end
		s.End(nil)
		close(hold)
		w.settle()
		if n := w.count(); n != 3 {
			t.Errorf("%d are kept", n)
		}
		again, wr := w.session("balcony", true)
		w.available(again)
		if got := numbers(wr.await(3)); got != "0 1 2" {
			t.Error("got", got)
		}
	})
}

func TestWhatIsKept(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	for _, c := range []struct {
		typ, inner string
		kept       bool
		condition  string // of the refusal; "" for silence
	}{
		{"chat", "<body>x</body>", true, ""},
		{"normal", "<body>x</body>", true, ""},
		{"normal", "<subject>x</subject>", true, ""},
		{"chat", "<received xmlns='urn:xmpp:receipts' id='1'/>", true, ""},
		{"chat", "<body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/>", true, ""},
		{"chat", "<active xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>", true, ""},
		{"chat", "<active xmlns='http://jabber.org/protocol/chatstates'/><body>x</body>", true, ""},
		{"chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", false, ""},
		{"chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>1</thread><no-store xmlns='urn:xmpp:hints'/>", false, ""},
		{"chat", "", false, ""},
		{"chat", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>", false, "service-unavailable"},
		{"headline", "<body>x</body>", false, "service-unavailable"},
		{"groupchat", "<body>x</body>", false, "service-unavailable"},
		{"error", "<body>x</body>", false, "service-unavailable"},
	} {
		st, err := stanza.Parse(fmt.Appendf(nil, "<message xmlns='jabber:client' from='romeo@b.example/orchard' to='juliet@a.example' type='%s'>%s</message>", c.typ, c.inner))
		if err != nil {
			t.Fatal(err)
		}
		tr := &route.Transit{Stanza: st, Recipient: &w.juliet, At: time.Now(), Store: strings.Contains(c.inner, "<store")}
		err = w.offline.Keep(t.Context(), tr)
		var e *stanza.Error
		condition := ""
		if errors.As(err, &e) {
			condition = e.Condition
		}
		if kept := len(tr.Kept()) == 1; kept != c.kept || condition != c.condition {
			t.Errorf("%s %s: kept is %v, error %v", c.typ, c.inner, kept, err)
		}
	}
}

func TestTheQuotaIsKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.settings.Offline.Messages = 3
		w.say(0, 5)
		if n := w.count(); n != 3 {
			t.Error(n, "are kept")
		}
		s, wr := w.session("balcony", false)
		w.available(s)
		if got := numbers(wr.await(3)); got != "0 1 2" {
			t.Error("got", got)
		}
		w.settle()
		s.End(nil)
		w.table.Remove(s)
		w.say(5, 9)
		if n := w.count(); n != 3 {
			t.Error(n, "are kept later")
		}
	})
}

func TestADelayOfOursIsNotRepeated(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.arrives("chat", "<body>0</body><delay xmlns='urn:xmpp:delay' from='a.example' stamp='2020-01-01T00:00:00Z'/>")
	w.arrives("chat", "<body>1</body><delay xmlns='urn:xmpp:delay' from='room@b.example' stamp='2020-01-01T00:00:00Z'/>")
	s, wr := w.session("balcony", false)
	w.available(s)
	if n := strings.Count(wr.await(2), "<delay"); n != 3 {
		t.Error(n, "delays")
	}
}

func TestARemovedAccountLeavesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.say(0, 3)
		w.settle()
		err := db.Write(t.Context(), func(tx store.Tx) error { return w.offline.Module().Forget(t.Context(), tx, w.juliet) })
		if err != nil {
			t.Fatal(err)
		}
		if n := w.count(); n != 0 {
			t.Error(n, "are left")
		}
	})
}

func BenchmarkKeep(b *testing.B) {
	db := storetest.SQLite(b)
	set := settings.Defaults()
	set.Offline.Messages = 1 << 30
	o := New(db, settings.Fixed(set), storetest.Log(b))
	a := account.Account{ID: 7, JID: jid.MustParse("juliet@a.example")}
	st, err := stanza.Parse([]byte("<message xmlns='jabber:client' from='romeo@b.example/orchard' to='juliet@a.example' type='chat'><body>" + strings.Repeat("x", 64) + "</body></message>"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		tr := &route.Transit{Stanza: st, Recipient: &a, At: time.Now()}
		if err := o.Keep(b.Context(), tr); err != nil {
			b.Fatal(err)
		}
		db.Append(tr.Kept(), nil)
	}
	done := make(chan error)
	db.Append(nil, func(err error) { done <- err })
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
