package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

func long(id string, n int) *stanza.Stanza {
	return message(id, "<body>"+strings.Repeat("x", n)+"</body>")
}

func TestAnIdleSessionHoldsNoBuffer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		plain, wire := w.bind("phone")
		managed, other := w.managed("desk", true)
		for _, s := range []*Session{plain, managed} {
			s.Send(chat("1"))
			synctest.Wait()
			if s.out != nil || s.writer != nil {
				t.Error("it holds a buffer or a writer")
			}
		}
		wire.gets(t, "1")
		other.gets(t, "1 r")
		managed.Ack(1)
		if managed.sm.queue != nil {
			t.Error("it holds a queue")
		}
	})
}

func TestWritesAreGathered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.bind("phone")
		wire.set(true, nil)
		for i := range 10 {
			s.Send(chat(fmt.Sprint(i)))
			synctest.Wait()
		}
		if got := s.Status().Waiting; got == 0 {
			t.Error("nothing waits")
		}
		wire.set(false, nil)
		wire.gets(t, "0 1 2 3 4 5 6 7 8 9")
	})
}

func TestTheOutboxIsBounded(t *testing.T) {
	for _, c := range []struct {
		name            string
		managed, resume bool
		ended           bool
		told            string
	}{
		{"plain", false, false, true, "phone: "},
		{"acknowledged", true, false, true, "phone: 0 1 2 3"},
		{"resumable", true, true, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.set.C2S.OutboxBytes = 100_000
				s, wire := w.bind("phone")
				if c.managed {
					if err := s.Enable(t.Context(), c.resume); err != nil {
						t.Fatal(err)
					}
					wire.take()
				}
				wire.set(true, nil)
				sent := 0
				for s.Attached() && sent < 100 {
					s.Send(long(fmt.Sprint(sent), 40_000))
					synctest.Wait()
					sent++
				}
				if sent != 4 { // the first is being written
					t.Error("closed after", sent)
				}
				if s.Ended() != c.ended {
					t.Error("ended:", s.Ended())
				}
				if got := wire.end(); got != stream.PolicyViolation {
					t.Error("the wire ended with", got)
				}
				if got := w.told(); got != c.told {
					t.Errorf("told %q, want %q", got, c.told)
				}
				if c.resume {
					resume(t, s, 0).gets(t, "resumed0 0 r 1 2 3")
				}
			})
		})
	}
}

// A queue may be larger than the outbox: the client was away.
func TestALargeQueueIsSentAgainAsTheClientReads(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.set.C2S.OutboxBytes = 100_000
		s, wire := w.managed("phone", true)
		s.Lost(wire)
		want := "resumed0 0 r"
		for i := range 20 {
			durable(s, long(fmt.Sprint(i), 20_000))
			if i > 0 {
				want += fmt.Sprint(" ", i)
			}
		}
		synctest.Wait()
		fresh := newWire()
		fresh.set(true, nil)
		if _, err := s.Resume(fresh, Facts{}, 0); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !s.Attached() {
			t.Fatal("what waited for the client was too much for it")
		}
		if n := len(s.out); n > 2*enough {
			t.Error(n, "bytes are rendered before the client reads")
		}
		for i := range 3 { // 60,000 more
			durable(s, long(fmt.Sprint("new", i), 20_000))
			want += fmt.Sprint(" new", i)
		}
		fresh.set(false, nil)
		if got := gist(fresh.take()); strings.ReplaceAll(got, " r", "") != strings.ReplaceAll(want, " r", "") {
			t.Errorf("got %q, want %q", got, want)
		}
		fresh.set(true, nil)
		for i := range 8 {
			durable(s, long(fmt.Sprint("more", i), 20_000))
			synctest.Wait()
		}
		if s.Attached() {
			t.Error("the bound does not hold after a resumption")
		}
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	for _, c := range []struct {
		name   string
		bytes  int
		before int // stanzas that were there when the client went away; -1: it has not
		size   int
		ended  int // after how many
	}{
		{"away, by stanzas", 1 << 20, 0, 10, 51},
		{"away, by stanzas, behind a burst", 1 << 20, 100, 10, 51},
		{"away, by bytes", 100_000, 0, 10_000, 10},
		{"there, by bytes", 100_000, -1, 10_000, 10},
		{"there, with many contacts", 1 << 20, -1, 10, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.set.C2S.QueueStanzas, w.set.C2S.QueueBytes = 50, c.bytes
				s, wire := w.managed("phone", true)
				for range c.before {
					s.Send(chat("before"))
				}
				if synctest.Wait(); c.before >= 0 {
					s.Lost(wire)
				}
				ended := 0
				for i := range 1000 {
					s.Send(long("x", c.size))
					synctest.Wait()
					if s.Ended() {
						ended = i + 1
						break
					}
				}
				if ended != c.ended {
					t.Errorf("ended after %d, want %d", ended, c.ended)
				}
				if c.before < 0 && c.ended > 0 && wire.end() != stream.PolicyViolation {
					t.Error("the wire ended with", wire.end())
				}
			})
		})
	}
}

func TestADeadWireIsGivenUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		wire.set(false, errors.New("broken pipe"))
		for i := range 5 {
			durable(s, chat(fmt.Sprint(i)))
		}
		synctest.Wait()
		if !wire.cut {
			t.Error("not cut")
		}
		s.Lost(wire)
		resume(t, s, 0).gets(t, "resumed0 0 1 2 3 4 r")
	})
}

// A wire that is still stuck in a write must not hold up the next one, nor say its
// last words on it.
func TestAStuckWireDoesNotHoldUpTheNext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, old := w.managed("phone", true)
		old.set(true, nil)
		s.Send(chat("1"))
		synctest.Wait()
		s.Send(chat("2"))
		fresh := resume(t, s, 0)
		fresh.gets(t, "resumed0 1 2 r")
		s.Send(chat("3"))
		fresh.gets(t, "3")
		s.End(nil)
		if fresh.end() != "closed" || old.end() != stream.Conflict {
			t.Error("ended with", fresh.end(), old.end())
		}
	})
}
