package mam

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"chancery/core/route"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/stanza"
)

// run starts what Open does not.
func (w *world) run(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { w.mam.Run(ctx) })
	t.Cleanup(func() { stop(); run.Wait() })
}

// rows counts what is in a table.
func (w *world) rows(table string) (n int) {
	w.t.Helper()
	if err := w.db.Read().QueryRow(w.t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// tables that hold messages on this database.
func (w *world) tables() []string {
	if w.db.Driver() == store.SQLite {
		return []string{"message", "archive", "archive_with", "archive_tail"}
	}
	return []string{"message"}
}

func TestWhatIsIndexedMeanwhileIsAlwaysFoundOnce(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), "romeo", "juliet", "mercutio")
	w.mam.tail.enough = 7
	w.run(t)
	const n = 150
	var want []string
	for i := range n {
		w.send("romeo/orchard", "juliet@a.example", body(fmt.Sprint(i)))
		want = append(want, fmt.Sprint(i))
		if i%3 != 0 {
			continue
		}
		all := strings.Join(want, " ")
		w.want(w.query("romeo", ""), all, true)
		w.want(w.query("juliet", fields("with", "romeo@a.example")+set("<max>250</max><before/>")), all, true)
	}
	if w.rows("archive") == 0 {
		t.Error("nothing was indexed")
	}
}

func TestManySendersAndReaders(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), "romeo", "juliet", "mercutio")
	w.mam.tail.enough = 32
	w.run(t)
	var all sync.WaitGroup
	for _, from := range []string{"romeo", "juliet", "mercutio"} {
		all.Go(func() {
			for i := range 100 {
				w.send(from+"/x", "romeo@a.example", body(fmt.Sprint(i)))
			}
		})
		all.Go(func() {
			for range 30 {
				w.query(from, set("<max>20</max><before/>"))
			}
		})
	}
	all.Wait()
	for name, n := range map[string]int{"romeo": 300, "juliet": 100, "mercutio": 100} {
		if got := w.walk(name); got != n {
			t.Errorf("%s has %d messages instead of %d", name, got, n)
		}
	}
}

// walk reads an archive page by page and counts it.
func (w *world) walk(name string) (n int) {
	w.t.Helper()
	seen := map[string]bool{}
	for after := ""; ; {
		p := w.query(name, set("<max>17</max><after>"+after+"</after>"))
		for i := range p.results {
			if seen[p.id(i)] {
				w.t.Errorf("%s came twice", p.id(i))
			}
			seen[p.id(i)] = true
		}
		if p.complete() {
			return len(seen)
		}
		after = p.set("last")
	}
}

// at archives a message of the past, between accounts.
func (w *world) at(when time.Time, from, to, text string) {
	w.t.Helper()
	sender, recipient := w.account(from), w.account(to)
	tr := &route.Transit{
		Stanza: parse(w.t, fmt.Sprintf("<message xmlns='jabber:client' from='%s/x' to='%s' type='chat'><body>%s</body></message>", sender.JID, recipient.JID, text)),
		Sender: &sender, Recipient: &recipient, ArchiveID: store.IDFrom(when),
	}
	if err := errors.Join(w.mam.Sent(w.t.Context(), tr), w.mam.Received(w.t.Context(), tr)); err != nil {
		w.t.Fatal(err)
	}
	w.db.Append(tr.Kept(), func(err error) {
		if err == nil && w.mam.tail != nil {
			w.mam.tail.enter(tr.Kept()[0].Values)
		}
	})
}

func TestWhatIsTooOldIsNotShownAndThenDeleted(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		now := time.Now()
		for i := range 5 {
			w.at(now.Add(time.Duration(i-10)*time.Hour), "romeo", "juliet", fmt.Sprint(i))
		}
		w.send("romeo/x", "juliet@a.example", body("new"))
		settle()
		old := w.query("romeo", "").id(1)
		w.settings.Archive.Retention = 7*time.Hour + 30*time.Minute
		w.want(w.query("romeo", ""), "3 4 new", true)
		w.want(w.query("juliet", fields("with", "romeo@a.example", "start", "2025-01-01T00:00:00Z")+set("<before/>")), "3 4 new", true)
		for _, inner := range []string{set("<after>" + old + "</after>"), fields("ids", old), fields("after-id", old)} {
			var e *stanza.Error
			if _, err := w.ask("romeo", "set", "<query xmlns='urn:xmpp:mam:2'>"+inner+"</query>"); !errors.As(err, &e) || e.Condition != "item-not-found" {
				t.Errorf("%s: %v", inner, err)
			}
		}
		if more, err := w.mam.work(t.Context()); more || err != nil {
			t.Fatal(more, err)
		}
		if n := w.rows("message"); n != 3 {
			t.Error(n, "messages are left")
		}
		w.settings.Archive.Retention = 0
		w.want(w.query("romeo", ""), "3 4 new", true)
		p, err := w.ask("juliet", "get", "<metadata xmlns='urn:xmpp:mam:2'/>")
		if err != nil || p.fin.Child(NS, "start").Attr("id") != w.query("juliet", "").id(0) {
			t.Errorf("metadata %s, %v", p.fin.Append(nil, ""), err)
		}
		w.settings.Archive.Retention = time.Nanosecond
		if _, err := w.mam.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, table := range w.tables() {
			if n := w.rows(table); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
	})
}

func TestARemovedAccountLeavesWhatOthersKeep(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		romeo := w.account("romeo")
		w.send("romeo/x", "juliet@a.example", body("1"))
		w.send("juliet/x", "romeo@a.example/x", body("2"))
		w.send("romeo/x", "romeo@a.example", body("3"))
		w.send("romeo/x", "nurse@b.example", body("4"))
		w.arrives("nurse@b.example/x", "romeo@a.example", body("5"))
		w.send("juliet/x", "mercutio@a.example", body("6"))
		settle()
		if _, err := w.ask("romeo", "set", "<prefs xmlns='urn:xmpp:mam:2' default='roster'/>"); err != nil {
			t.Fatal(err)
		}
		if err := w.db.Write(t.Context(), func(tx store.Tx) error { return w.mam.Module().Forget(t.Context(), tx, romeo) }); err != nil {
			t.Fatal(err)
		}
		for {
			more, err := w.mam.work(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
		}
		w.want(w.query("romeo", ""), "", true)
		w.want(w.query("juliet", ""), "1 2 6", true)
		w.want(w.query("juliet", fields("with", "romeo@a.example")), "1 2", true)
		w.want(w.query("juliet", fields("with", "romeo@a.example")+set("<max>1</max><before/>")), "2", false)
		if n := w.rows("message"); n != 3 {
			t.Error(n, "messages are left")
		}
		if n := w.rows("archive_prefs"); n != 0 {
			t.Error("the preferences are left")
		}
		// Whoever gets the address later finds nothing, and juliet the rest.
		again := romeo
		again.ID = 77
		w.people[romeo.JID] = again
		w.want(w.query("romeo", fields("with", "juliet@a.example")), "", true)
		w.send("juliet/x", "romeo@a.example", body("7"))
		settle()
		w.want(w.query("romeo", fields("with", "juliet@a.example")), "7", true)
		w.want(w.query("juliet", fields("with", "romeo@a.example")), "1 2 7", true)

		delete(w.people, romeo.JID)
		if err := w.db.Write(t.Context(), func(tx store.Tx) error {
			return errors.Join(w.mam.forget(t.Context(), tx, w.account("juliet")), w.mam.forget(t.Context(), tx, again), w.mam.forget(t.Context(), tx, w.account("mercutio")))
		}); err != nil {
			t.Fatal(err)
		}
		for more := true; more; {
			var err error
			if more, err = w.mam.work(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, table := range w.tables() {
			if n := w.rows(table); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
	})
}

func TestTheKeyIsTheSameAfterARestart(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		w.send("romeo/x", "juliet@a.example", body("1"))
		settle()
		before := w.query("romeo", "").id(0)
		w.open()
		if after := w.query("romeo", "").id(0); after != before {
			t.Errorf("the id was %s and is %s", before, after)
		}
	})
}
