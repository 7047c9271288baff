package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

func known(int64) (jid.JID, bool) { return romeo, true }

// revive is the next process.
func (w *world) revive() []*Session {
	w.t.Helper()
	w.env = w.process(w.env.DB)
	all, err := Revive(context.Background(), w.env, known)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		s.Await()
	}
	return all
}

func TestASessionOutlivesTheProcess(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		p := presence("romeo@a.example/phone", "p", "")
		p.Payload = []byte("<status>a &lt; b</status>")
		at := time.Now()
		time.Sleep(time.Second)
		s.SetWant(Rosters|Copies, true)
		s.SetPresence(&Presence{Stanza: p, Priority: 3, At: at})
		s.Direct(jid.MustParse("room@muc.example/nick"), 10)
		s.Take(wire, chat("said"), false)
		row, ok := s.HandledRow()
		if !ok {
			t.Fatal("no row")
		}
		w.env.DB.Append([]store.Row{row}, func(err error) { s.Done(err == nil) })
		durable(s, chat("1"))
		s.Send(presence("juliet@a.example/balcony", "2", "")) // not durable
		durable(s, chat("3"))
		wire.gets(t, "1 2 r 3")
		s.Suspend(stream.Fail(stream.SystemShutdown, ""))
		w.env.Settle()
		time.Sleep(time.Minute)

		all := w.revive()
		if len(all) != 1 {
			t.Fatal(len(all), "sessions")
		}
		n := all[0]
		if n.JID != s.JID || n.ID != s.ID || n.Account != s.Account || !n.Since.Equal(s.Since) || n.Facts() != s.Facts() || n.ResumeID() != s.ResumeID() {
			t.Errorf("revived as %s %s %d %v %v", n.JID, n.ID, n.Account, n.Since, n.Facts())
		}
		got := n.Presence()
		if got == nil || got.Priority != 3 || !got.At.Equal(at) || string(got.Stanza.Append(nil, "")) != string(p.Append(nil, "")) || !n.TakingSince().Equal(at) {
			t.Errorf("presence %+v", got)
		}
		if !n.Wants(Rosters|Copies) || n.Wants(Blocks) || !n.KnowsDirectly(jid.MustParse("room@muc.example/nick")) {
			t.Error("what it asked for was forgotten")
		}
		durable(n, chat("4")) // before it is back
		fresh := newWire()
		revived, err := n.Resume(fresh, Facts{}, 2)
		if err != nil || !revived {
			t.Fatal(revived, err)
		}
		fresh.gets(t, "resumed1 3 4 r")
		if e := n.Ack(4); e != nil {
			t.Error(e)
		}
		if left := w.rows("sm_queue"); left != 0 {
			t.Error(left, "rows are left")
		}
		n.Lost(fresh)
		if revived, _ := n.Resume(newWire(), Facts{}, 4); revived {
			t.Error("revived twice")
		}
		n.End(nil)
		if left := w.rows("sm_session"); left != 0 {
			t.Error("the session is left")
		}
	})
}

func TestWhatARevivedSessionDoesNotGetIsForOthers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		durable(s, chat("1"))
		wire.take()
		s.Suspend(nil)
		w.env.Settle()
		w.revive()
		time.Sleep(w.set.C2S.ResumeTime - time.Second)
		if got := w.told(); got != "" {
			t.Error("too early:", got)
		}
		time.Sleep(2 * time.Second)
		if got := w.told(); got != "phone: 1" {
			t.Error("told", got)
		}
		if n := w.rows("sm_session") + w.rows("sm_queue"); n != 0 {
			t.Error(n, "rows are left")
		}
	})
}

func TestARowThatIsOnItsWayAtTheResumptionKeepsItsNumber(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		durable(s, chat("1"))
		wire.take()
		s.Suspend(nil)
		w.env.Settle()
		s = w.revive()[0]
		commit := make(chan struct{})
		w.env.DB.Append(nil, func(error) { <-commit })
		durable(s, chat("2"))
		fresh := newWire()
		go s.Resume(fresh, Facts{}, 0)
		synctest.Wait()
		fresh.gets(t, "") // 2 is held
		close(commit)
		fresh.gets(t, "resumed0 1 2 r")
		var seqs []int64
		rows, err := w.env.DB.Read().Query(t.Context(), "SELECT seq FROM sm_queue ORDER BY seq")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var n int64
			rows.Scan(&n)
			seqs = append(seqs, n-int64(s.sm.shift))
		}
		if !slices.Equal(seqs, []int64{1, 2}) {
			t.Error("numbered", seqs)
		}
	})
}

func TestNewNumbersAreOnDiskBeforeTheClientCountsByThem(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		durable(s, chat("1"))
		wire.take()
		s.Suspend(nil)
		w.env.Settle()
		s = w.revive()[0]
		commit := make(chan struct{})
		w.env.DB.Append(nil, func(error) { <-commit }) // nothing is told as written until then
		fresh := newWire()
		go s.Resume(fresh, Facts{}, 0)
		synctest.Wait()
		fresh.gets(t, "")
		close(commit)
		fresh.gets(t, "resumed0 1 r")
	})
}

func TestWhatBelongsToNobodyIsRemoved(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.Write(t.Context(), func(tx store.Tx) error {
			for _, id := range []string{"a", "b"} {
				if _, err := tx.Exec(t.Context(), `INSERT INTO sm_session (id, account, resource, created, handled, state) VALUES (?, ?, 'x', 1, 0, ?)`, id, int64(len(id)+int(id[0]-'a')), []byte("{}")); err != nil {
					return err
				}
			}
			for _, id := range []string{"a", "b", "c"} {
				if _, err := tx.Exec(t.Context(), `INSERT INTO sm_queue (session, seq, at, stanza) VALUES (?, 1, 1, ?)`, id, chat("1").Append(nil, "jabber:client")); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t}
		all, err := Revive(t.Context(), w.process(db), func(account int64) (jid.JID, bool) { return romeo, account == 1 })
		if err != nil || len(all) != 1 || all[0].ResumeID() != "a" || len(all[0].sm.queue) != 1 {
			t.Fatalf("%v %v", all, err)
		}
		var n int
		if err := db.Read().QueryRow(t.Context(), "SELECT COUNT(*) FROM sm_queue").Scan(&n); err != nil || n != 1 {
			t.Error(n, "rows", err)
		}
	})
}

// The same on both databases: rows that are numbered anew, trimmed, counted.
func TestTheRowsOfASession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		commit := func(rows ...store.Row) {
			t.Helper()
			done := make(chan error)
			db.Append(rows, func(err error) { done <- err })
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		w := newWorld(t, db)
		full, _ := romeo.WithResource("phone")
		s := New(w.env, "c", full, 1, nil, Facts{})
		if err := s.register(t.Context(), "id"); err != nil {
			t.Fatal(err)
		}
		at := time.UnixMicro(1234567)
		for seq := range 3 {
			commit(queueRow("id", uint64(seq+1), Entry{Stanza: chat(fmt.Sprint(seq + 1)), More: []byte("<x xmlns='y'/>"), At: at}))
		}
		commit(handledRow("id", 7), handledRow("id", 5), forgetQueue("id", 1))
		for range 2 { // an un-resumed restart between
			all, err := Revive(t.Context(), w.process(db), known)
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			n := all[0]
			if got := n.sm.ids(); got != "2 3" || n.in.done != 7 || !n.sm.queue[0].At.Equal(at) || !n.sm.queue[0].Stanza.Has("y", "x") {
				t.Fatalf("queue %s, handled %d, %+v", got, n.in.done, n.sm.queue[0].Entry)
			}
		}
		all, _ := Revive(t.Context(), w.process(db), known)
		n := all[0]
		rows := n.sm.revive(2)
		commit(append(rows, store.Do(`UPDATE sm_session SET state = ? WHERE id = ?`, n.saved(), "id"))...)
		all, _ = Revive(t.Context(), w.process(db), known)
		if n := all[0]; n.sm.ids() != "2 3" || n.sm.queue[1].seq-n.sm.shift != 3 { // 2 was dropped, its row not yet trimmed
			t.Errorf("numbered anew: %s, the last is %d", n.sm.ids(), n.sm.queue[1].seq-n.sm.shift)
		}
		commit(n.Forget()...)
		if all, err := Revive(t.Context(), w.process(db), known); err != nil || len(all) != 0 {
			t.Error(all, err)
		}
	})
}

// phone is a client that obeys XEP-0198 to the letter, over a network that loses
// connections.
type phone struct {
	*testing.T
	wire    *wire
	handled uint32
	got     []string
}

func (p *phone) read() {
	for _, m := range top.FindAllStringSubmatch(p.wire.take(), -1) {
		if m[1] == "message" || m[1] == "presence" {
			p.handled++
			p.got = append(p.got, idAttr.FindStringSubmatch(m[2])[1])
		}
	}
}

// TestNothingIsLostOrDoubled plays at random with a session: stanzas that must
// survive and others, commits that fail, acknowledgements, lost connections,
// resumptions, crashes of the server. What was committed comes, in order; only
// after a crash that follows a failed commit may something come twice.
func TestNothingIsLostOrDoubled(t *testing.T) {
	cfg := storetest.SQLiteConfig(t)
	synctest.Test(t, func(t *testing.T) {
		db := storetest.Open(t, cfg)
		for seed := range uint64(150) {
			w := newWorld(t, db)
			game(w, rand.New(rand.NewPCG(seed, 1)), fmt.Sprint("seed ", seed))
			if t.Failed() {
				return
			}
		}
	})
}

func game(w *world, r *rand.Rand, name string) {
	t := w.t
	s, wire := w.managed("phone", true)
	p := &phone{T: t, wire: wire}
	var sent []string         // durable and committed, in order
	loose := map[string]int{} // of the others: the process in which they were sent
	process, holes, crashes := 0, false, 0
	var log []string
	var holds []*Hold
	settle := func(h *Hold, err error) {
		if err == nil {
			done := make(chan error, 1)
			w.env.DB.Append([]store.Row{h.Row(h.e.At)}, func(err error) { done <- err })
			if <-done != nil {
				t.Fatal("not written")
			}
			sent = append(sent, h.e.Stanza.ID)
		} else {
			holes = true
		}
		h.Settle(err)
	}
	settleAll := func() {
		for _, h := range holds {
			settle(h, nil)
		}
		holds = nil
	}
	for i := range 60 {
		id := fmt.Sprint(i)
		switch n := r.IntN(20); {
		case n < 4:
			log = append(log, "durable "+id)
			settleAll()
			settle(s.Reserve(chat(id), nil), nil)
		case n < 7:
			log = append(log, "loose "+id)
			loose[id] = process
			st := chat(id)
			st.Kind = stanza.Presence
			s.Send(st)
		case n < 9:
			log = append(log, "hold "+id)
			holds = append(holds, s.Reserve(chat(id), nil))
		case n < 11 && len(holds) > 0:
			log = append(log, "settle "+holds[0].e.Stanza.ID)
			settle(holds[0], nil)
			holds = holds[1:]
		case n < 12 && len(holds) > 0:
			log = append(log, "fail "+holds[0].e.Stanza.ID)
			settle(holds[0], errors.New("full"))
			holds = holds[1:]
		case n < 15 && s.Attached():
			p.read()
			log = append(log, fmt.Sprint("ack ", p.handled))
			if e := s.Ack(p.handled); e != nil {
				t.Error(name, e)
			}
		case n < 17:
			log = append(log, "lost")
			if r.IntN(2) == 0 {
				p.read()
			} else {
				p.wire.take() // it never arrived
			}
			s.Lost(p.wire)
		case n < 19:
			log = append(log, fmt.Sprint("resume ", p.handled))
			if s.Attached() {
				p.read()
			}
			if s.sm.revived {
				settleAll()
			}
			p.wire = newWire()
			if _, err := s.Resume(p.wire, Facts{}, p.handled); err != nil {
				t.Error(name, err)
			}
		default:
			log = append(log, "crash")
			settleAll()
			if s.Attached() && r.IntN(2) == 0 {
				p.read()
			}
			w.env.Settle()
			s = w.revive()[0]
			process++
			if holes {
				crashes++
			}
		}
	}
	settleAll()
	p.wire = newWire()
	if _, err := s.Resume(p.wire, Facts{}, p.handled); err != nil {
		t.Error(name, err)
	}
	p.read()

	times := map[string]int{}
	for _, id := range p.got {
		times[id]++
	}
	durable := slices.DeleteFunc(slices.Clone(p.got), func(id string) bool { return !slices.Contains(sent, id) })
	if crashes == 0 {
		for id, n := range times {
			if n > 1 {
				t.Errorf("%s: %s came %d times", name, id, n)
			}
		}
		if !slices.Equal(durable, sent) {
			t.Errorf("%s: sent %v, came %v", name, sent, durable)
		}
	}
	for _, id := range sent {
		if times[id] == 0 {
			t.Errorf("%s: %s was lost", name, id)
		}
	}
	for id, in := range loose {
		if in == process && times[id] == 0 {
			t.Errorf("%s: %s was lost, in the same process", name, id)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(log, ", "))
	}
	s.EndNow(nil)
	w.env.Settle()
	synctest.Wait()
}

// A session whose client has gone does not ask for ever whether the database is
// back.
func TestNobodyWaitsForAnAcknowledgementOnALostWire(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		takes(t, s, wire, presence("romeo@a.example/phone", "1", ""))
		s.AckRequested()
		s.Lost(wire)
		s.mu.Lock()
		asked := s.unsaved.asked
		s.mu.Unlock()
		if asked {
			t.Error("it waits")
		}
		resume(t, s, 0).gets(t, "resumed1")
	})
}
