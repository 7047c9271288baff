package session

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"chancery/store"
)

// ledgerOf has n entries that were rendered, and the base before them.
func ledgerOf(base uint64, n int) *ledger {
	l := &ledger{base: base, last: base}
	for i := range n {
		l.add(&entry{Entry: Entry{Stanza: chat(fmt.Sprint(i + 1))}})
	}
	l.render(nil)
	return l
}

func (l *ledger) ids() string {
	var ids []string
	for _, e := range l.queue {
		id := e.Stanza.ID
		if e.held {
			id = "(" + id + ")"
		}
		ids = append(ids, id)
	}
	return strings.Join(ids, " ")
}

func TestAcknowledgementsCountModulo2To32(t *testing.T) {
	const wrap = 1 << 32
	for _, c := range []struct {
		name string
		base uint64
		sent int
		h    uint32
		ok   bool
		left string
	}{
		{"nothing", 0, 3, 0, true, "1 2 3"},
		{"one", 0, 3, 1, true, "2 3"},
		{"all", 0, 3, 3, true, ""},
		{"one too many", 0, 3, 4, false, "1 2 3"},
		{"as many as there can be", 0, 3, math.MaxUint32, false, "1 2 3"},
		{"half of that", 0, 3, 1 << 31, false, "1 2 3"},
		{"again what was before", 7, 3, 7, true, "1 2 3"},
		{"less than before", 7, 3, 6, false, "1 2 3"},
		{"up to the wrap", wrap - 2, 3, math.MaxUint32, true, "2 3"},
		{"to the wrap", wrap - 2, 3, 0, true, "3"},
		{"beyond the wrap", wrap - 2, 3, 1, true, ""},
		{"too far beyond it", wrap - 2, 3, 2, false, "1 2 3"},
		{"behind the wrap", wrap + 5, 3, 7, true, "3"},
		{"back over the wrap", wrap, 3, math.MaxUint32, false, "1 2 3"},
	} {
		l := ledgerOf(c.base, c.sent)
		if ok := l.ack(c.h); ok != c.ok || l.ids() != c.left {
			t.Errorf("%s: %v, left %q; want %v, %q", c.name, ok, l.ids(), c.ok, c.left)
		}
		if want := c.base + uint64(c.sent-len(l.queue)); l.base != want {
			t.Errorf("%s: base %d, want %d", c.name, l.base, want)
		}
		if len(l.queue) != l.next {
			t.Errorf("%s: %d rendered of %d", c.name, l.next, len(l.queue))
		}
	}
}

func TestWhatIsNotWrittenCannotBeAcknowledged(t *testing.T) {
	l := ledgerOf(0, 2)
	l.add(&entry{Entry: Entry{Stanza: chat("3")}, held: true})
	if l.render(nil); l.ack(3) {
		t.Error("a stanza that is held was acknowledged")
	}
	if !l.ack(2) || l.ids() != "(3)" {
		t.Error("left", l.ids())
	}
}

func TestTheCostOfAQueueIsThatOfItsEntries(t *testing.T) {
	l := &ledger{}
	check := func(when string) {
		t.Helper()
		bytes, waiting := 0, 0
		for i, e := range l.queue {
			bytes += e.cost()
			if i >= l.next {
				waiting += e.cost()
			}
		}
		if l.bytes != bytes || l.waiting != waiting {
			t.Errorf("%s: %d and %d bytes, want %d and %d", when, l.bytes, l.waiting, bytes, waiting)
		}
	}
	var held []*entry
	for i := range 10 {
		e := &entry{Entry: Entry{Stanza: chat(fmt.Sprint(i)), More: make([]byte, i)}, held: i%3 == 2}
		l.add(e)
		if e.held {
			held = append(held, e)
		}
	}
	check("filled")
	l.render(nil)
	check("written up to the first that is held")
	l.settle(held[0])
	l.remove(held[0])
	check("one has failed")
	l.render(nil)
	check("written on")
	l.ack(3)
	check("acknowledged")
	l.rewind()
	check("on another wire")
	l.render(nil)
	l.ack(4)
	check("acknowledged there")
	if rest := l.clear(); len(rest) != 3 {
		t.Error(len(rest), "are left that are not held")
	}
	check("over")
}

func TestNumbersCloseUpBehindWhatFailed(t *testing.T) {
	l := &ledger{}
	a := &entry{Entry: Entry{Stanza: chat("a")}, held: true}
	l.add(a)
	l.settle(a)
	l.remove(a)
	if l.last != 0 || l.mend() {
		t.Error("the newest left a hole")
	}
	b, c := &entry{Entry: Entry{Stanza: chat("b")}, held: true}, &entry{Entry: Entry{Stanza: chat("c")}}
	l.add(b)
	l.add(c)
	l.settle(b)
	l.remove(b)
	if l.mend() {
		t.Error("mended while c waits")
	}
	l.render(nil)
	l.ack(1)
	if !l.mend() || l.last-l.shift != l.base {
		t.Errorf("last %d, shift %d, base %d", l.last, l.shift, l.base)
	}
}

func TestAcknowledgementAfterARestartDropsWhatWasHandled(t *testing.T) {
	for _, c := range []struct {
		name  string
		shift uint64
		h     uint32
		left  string
	}{
		{"nothing handled", 0, 0, "5 6 8 new"},
		{"before all of it", 0, 4, "5 6 8 new"},
		{"some", 0, 6, "8 new"},
		{"one that had no row, between", 0, 7, "8 new"},
		{"all", 0, 8, "new"},
		{"all and many that had no row", 0, math.MaxUint32, "new"},
		{"counted from another number", 3, 3, "8 new"},
	} {
		l := &ledger{id: "x", revived: true, shift: c.shift, last: c.shift + epoch}
		for _, seq := range []uint64{5, 6, 8} {
			l.enqueue(&entry{Entry: Entry{Stanza: chat(fmt.Sprint(seq))}, seq: seq, durable: true})
		}
		l.add(&entry{Entry: Entry{Stanza: chat("new")}, durable: true})
		rows := l.revive(c.h)
		if l.ids() != c.left {
			t.Errorf("%s: left %q, want %q", c.name, l.ids(), c.left)
		}
		if len(rows) != len(l.queue) {
			t.Errorf("%s: %d rows are numbered anew, of %d", c.name, len(rows), len(l.queue))
		}
		for i, e := range l.queue {
			if want := uint64(c.h) + uint64(i) + 1; e.seq-l.shift != want {
				t.Errorf("%s: the client counts %d for %s, not %d", c.name, want, e.Stanza.ID, e.seq-l.shift)
			}
		}
		l.render(nil)
		if !l.ack(c.h + uint32(len(l.queue))) {
			t.Errorf("%s: what was sent then cannot be acknowledged", c.name)
		}
	}
}

func TestRequestsDoNotPileUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", false)
		s.Send(chat("1"))
		wire.gets(t, "1 r")
		s.Send(chat("2"))
		s.Send(chat("3"))
		wire.gets(t, "2 3")
		if e := s.Ack(1); e != nil {
			t.Error(e)
		}
		wire.gets(t, "r")
		if e := s.Ack(3); e != nil {
			t.Error(e)
		}
		wire.gets(t, "")
		s.Send(chat("4"))
		wire.gets(t, "4 r")
	})
}

func TestTooHighAnAcknowledgementSaysWhatWasSent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		s.Send(chat("1"))
		wire.take()
		e := s.Ack(9)
		if e == nil || !strings.Contains(string(e.Append(nil)), "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='9' send-count='1'/>") {
			t.Error(e)
		}
	})
}

// The client's acknowledgement may be in the buffer of its reader when the session
// ends.
func TestAcknowledgementAfterTheEndIsNoDefect(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		s.Send(chat("1"))
		wire.take()
		s.End(nil)
		if e := s.Ack(1); e != nil {
			t.Error(e)
		}
		s.AckRequested()
		s.SetActive(false)
		s.SetActive(true)
		if got := w.told(); got != "phone: 1" {
			t.Error("told", got)
		}
	})
}

func TestWhatFailsToBeWrittenIsNotSent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		a, b := s.Reserve(chat("a"), nil), s.Reserve(chat("b"), nil)
		s.Send(chat("c"))
		wire.gets(t, "")
		b.Settle(nil)
		wire.gets(t, "")
		a.Settle(errors.New("disk full"))
		wire.gets(t, "b c r")
	})
}

func TestAHeldPlaceOutlivesItsSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		h := s.Reserve(chat("a"), nil)
		s.Send(chat("b"))
		s.End(nil)
		if got := w.told(); got != "phone: b" {
			t.Error("told", got)
		}
		// Its row comes after those of the session have gone.
		w.env.DB.Append([]store.Row{h.Row(h.e.At)}, func(err error) {
			if h.Settle(err) {
				t.Error("an ended session took a stanza")
			}
		})
		wire.gets(t, "")
		if n := w.rows("sm_queue"); n != 0 {
			t.Error(n, "rows are left")
		}
		if s.Reserve(chat("c"), nil) != nil || s.Send(chat("c")) {
			t.Error("an ended session takes more")
		}
	})
}
