package session

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// resume gives the session another wire.
func resume(t *testing.T, s *Session, h uint32) *wire {
	t.Helper()
	w := newWire()
	if _, err := s.Resume(w, Facts{Remote: "192.0.2.1:2"}, h); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestResumptionSendsWhatWasNotHandled(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, old := w.managed("phone", true)
		for _, id := range []string{"1", "2", "3"} {
			durable(s, chat(id))
		}
		old.gets(t, "1 r 2 3")
		s.Lost(old)
		durable(s, chat("4"))
		fresh := resume(t, s, 2)
		fresh.gets(t, "resumed0 3 r 4")
		if n := w.rows("sm_queue"); n != 2 {
			t.Error(n, "rows, want 2")
		}
		if s.Facts().Remote != "192.0.2.1:2" {
			t.Error(s.Facts())
		}
		s.Lost(old) // late
		if !s.Attached() {
			t.Error("the old reader took the new wire away")
		}
	})
}

func TestResumptionTakesTheOldWireAway(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, old := w.managed("phone", true)
		if !s.Take(old, chat("1"), false) || !s.Take(old, chat("2"), false) {
			t.Fatal("not taken")
		}
		fresh := newWire()
		var wait sync.WaitGroup
		wait.Go(func() { s.Resume(fresh, Facts{}, 0) })
		synctest.Wait()
		// The reader of the old wire has more in its buffer.
		if s.Take(old, chat("3"), false) {
			t.Error("a stanza was taken that the client will send again")
		}
		fresh.gets(t, "") // 1 and 2 are not dealt with
		s.Done(true)
		s.Done(true)
		wait.Wait()
		fresh.gets(t, "resumed2")
		if got := old.end(); got != stream.Conflict {
			t.Error("the old wire ended with", got)
		}
	})
}

func TestTwoWhoResumeDoNotWaitForEachOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, old := w.managed("phone", true)
		s.Take(old, chat("1"), false)
		a, b := newWire(), newWire()
		var wait sync.WaitGroup
		wait.Go(func() { s.Resume(a, Facts{}, 0) })
		wait.Go(func() { s.Resume(b, Facts{}, 0) })
		synctest.Wait()
		s.Done(true)
		wait.Wait()
		s.Send(chat("x"))
		got := gist(a.take()) + "|" + gist(b.take())
		if n := strings.Count(got, "x"); n != 1 {
			t.Error("they got", got)
		}
		if (a.end() == "") == (b.end() == "") {
			t.Errorf("ended: %q and %q", a.end(), b.end())
		}
	})
}

func TestAnImpossibleResumptionMovesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		s.Send(chat("1"))
		s.Send(chat("2"))
		wire.take()
		s.Ack(1)
		var fatal *stream.Error
		if _, err := s.Resume(newWire(), Facts{}, 3); !errors.As(err, &fatal) {
			t.Error("too high:", err)
		}
		if _, err := s.Resume(newWire(), Facts{}, 0); err != ErrGone {
			t.Error("too low:", err)
		}
		if !s.Attached() || wire.end() != "" {
			t.Error("the wire was taken away")
		}
		s.Send(chat("3"))
		wire.gets(t, "r 3")
		s.Lost(wire)
		if _, err := s.Resume(newWire(), Facts{}, 9); !errors.As(err, &fatal) || s.Attached() {
			t.Error("too high, while it waits:", err)
		}
		resume(t, s, 1).gets(t, "resumed0 2 3 r")
	})
}

func TestASessionWaitsForResumptionAndNoLonger(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		s.Lost(wire)
		time.Sleep(w.set.C2S.ResumeTime - time.Second)
		wire = resume(t, s, 0)
		time.Sleep(2 * time.Second)
		if s.Ended() {
			t.Fatal("the wait goes on after the resumption")
		}
		durable(s, chat("1"))
		wire.take()
		s.Lost(wire)
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
		if _, err := s.Resume(newWire(), Facts{}, 0); err != ErrGone {
			t.Error(err)
		}
	})
}

func TestWithoutResumptionTheEndOfTheWireIsTheEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", false)
		s.Send(chat("1"))
		wire.take()
		s.Lost(wire)
		plain, other := w.bind("desk")
		plain.Lost(other)
		if got := w.told(); got != "phone: 1; desk: " && got != "desk: ; phone: 1" {
			t.Error("told", got)
		}
	})
}

func TestTheClosingTagEndsOnlyTheSessionOfItsWire(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, old := w.managed("phone", true)
		fresh := resume(t, s, 0)
		s.Close(old)
		if s.Ended() {
			t.Error("the session ended with a wire that it had left")
		}
		s.Close(fresh)
		if !s.Ended() || fresh.end() != "closed" {
			t.Error("it did not end with its wire:", fresh.end())
		}
	})
}

func TestTheEndIsToldBehindWhatWaits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, resume := range []bool{true, false} {
			s, wire := w.managed("phone", resume)
			wire.set(true, nil)
			s.Send(chat("1")) // being written
			synctest.Wait()
			s.Send(chat("2")) // waits
			if resume {
				s.End(stream.Fail(stream.Conflict, ""))
			} else {
				s.Fail(wire, stream.Fail(stream.Conflict, ""))
			}
			if got := wire.end(); got != "" {
				t.Error("ended before it could read: ", got)
			}
			wire.set(false, nil)
			wire.gets(t, "1 r 2")
			if got := wire.end(); got != stream.Conflict {
				t.Error("ended with", got)
			}
		}
	})
}

func TestContactsHearOfTheEndAfterWhatItSaid(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.bind("phone")
		if !s.Take(wire, presence("romeo@a.example/phone", "1", ""), true) {
			t.Fatal("not taken")
		}
		s.End(stream.Fail(stream.Conflict, "")) // by an administrator, while its presence is being broadcast
		if s.Take(wire, chat("2"), false) {
			t.Error("an ended session said more")
		}
		if got := w.told(); got != "" {
			t.Error("told too early:", got)
		}
		next := make(chan struct{})
		go func() {
			s.EndNow(nil) // somebody binds its resource
			close(next)
		}()
		synctest.Wait()
		select {
		case <-next:
			t.Error("its successor came before it was seen to go")
		default:
		}
		s.Done(false)
		<-next
		if got := w.told(); got != "phone: " {
			t.Error("told", got)
		}
	})
}

func TestWhatIsTakenAloneWaitsForWhatCameBefore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.bind("phone")
		s.Take(wire, chat("1"), false)
		s.Take(wire, chat("2"), false)
		var order []string
		go func() {
			s.Take(wire, presence("romeo@a.example/phone", "3", ""), true)
			order = append(order, "presence")
			s.Done(false)
		}()
		for _, m := range []string{"first message", "second message"} {
			synctest.Wait()
			order = append(order, m)
			s.Done(false)
		}
		synctest.Wait()
		if got := strings.Join(order, ", "); got != "first message, second message, presence" {
			t.Error(got)
		}
	})
}

func TestTheAnswerToBindComesFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		full, _ := romeo.WithResource("phone")
		s := New(w.env, "c", full, 1, nil, Facts{})
		s.Send(chat("1")) // it can be found
		wire := newWire()
		result := stanza.New(stanza.IQ, "result")
		result.ID = "bind"
		if !s.Attach(wire, result) {
			t.Error("not attached")
		}
		s.Send(chat("2"))
		wire.gets(t, "bind 1 2")

		s = New(w.env, "c", full, 1, nil, Facts{})
		s.End(nil)
		if s.Attach(newWire(), result) {
			t.Error("an ended session was attached")
		}
		w.told()
	})
}

func TestHandledIsToldWhenItIsOnDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.managed("phone", true)
		s.AckRequested()
		wire.gets(t, "a0")
		s.Take(wire, chat("1"), false)
		s.Take(wire, chat("2"), false)
		s.AckRequested() // up to 2
		s.Take(wire, chat("3"), false)
		s.AckRequested()
		s.AckRequested() // both up to 3
		wire.gets(t, "")
		s.Done(true)
		wire.gets(t, "")
		s.Done(true)
		wire.gets(t, "a2")
		s.Done(true)
		wire.gets(t, "a3")
		takes(t, s, wire, presence("romeo@a.example/phone", "4", ""))
		s.AckRequested()
		wire.gets(t, "a4")
		var handled int
		if err := w.env.DB.Read().QueryRow(t.Context(), "SELECT handled FROM sm_session").Scan(&handled); err != nil || handled != 4 {
			t.Error("on disk:", handled, err)
		}
	})
}

func TestWhatIsHandledIsCountedFromEnable(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, wire := w.bind("phone")
		takes(t, s, wire, chat("before"))
		if err := s.Enable(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if err := s.Enable(t.Context(), false); err != ErrGone {
			t.Error("a second time:", err)
		}
		takes(t, s, wire, chat("1"))
		s.AckRequested()
		wire.gets(t, "enabled a1")
		s.in.taken, s.in.done = s.in.base+1<<32+5, s.in.base+1<<32+5
		s.AckRequested()
		wire.gets(t, "a5")
	})
}

func TestASessionThatEndsWhileItBeginsLeavesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, _ := w.bind("phone")
		commit := make(chan struct{})
		w.env.DB.Append(nil, func(error) { <-commit })
		enabled := make(chan error)
		go func() { enabled <- s.Enable(t.Context(), true) }()
		synctest.Wait()
		s.End(nil)
		close(commit)
		if err := <-enabled; err != ErrGone {
			t.Error(err)
		}
		if n := w.rows("sm_session"); n != 0 {
			t.Error("a session is left that will be revived for ever")
		}
	})
}

func TestAShutdownEndsWhatCannotBeResumed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, wa := w.managed("phone", true)
		b, wb := w.managed("desk", false)
		a.Send(chat("1"))
		b.Send(chat("2"))
		wa.take()
		wb.take()
		why := stream.Fail(stream.SystemShutdown, "")
		a.Suspend(why)
		b.Suspend(why)
		if wa.end() != stream.SystemShutdown || wb.end() != stream.SystemShutdown {
			t.Error("the wires ended with", wa.end(), wb.end())
		}
		if a.Ended() || !b.Ended() || w.told() != "" {
			t.Error(a.Ended(), b.Ended(), w.told())
		}
		b.EndNow(nil)
		w.env.Settle()
		time.Sleep(w.set.C2S.ResumeTime)
		if got := w.told(); got != "desk: 2" {
			t.Error("told", got)
		}
	})
}

func TestWorkMayBeginWhileSomebodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w work
		w.wait()
		w.begin()
		done := make(chan struct{})
		go func() {
			w.wait()
			close(done)
		}()
		synctest.Wait()
		w.begin()
		w.end()
		synctest.Wait()
		select {
		case <-done:
			t.Error("did not wait")
		default:
		}
		w.end()
		<-done
	})
}
