package session

import (
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// inbound counts the client's stanzas: those taken from the wire, and those
// dealt with, which for a message means that it is on disk. Messages are
// pipelined, so the two differ by what is waiting for the disk; they are dealt
// with in the order in which they were taken.
type inbound struct {
	taken, done uint64
	stored      uint64 // done as the disk knows it; only of a session that is kept there
	base        uint64 // taken when XEP-0198 was enabled: h = done - base
	asked, more uint64 // answer <r/> when done reaches asked; more is a later <r/>
}

// Take counts a stanza that came in over w; Done must follow. Messages are
// pipelined; what is taken alone waits until all before it is dealt with, so that
// it does not overtake (RFC 6120 §10.1). Take is false when w is not the session's
// wire any more: then the stanza does not count, and a client that resumes sends
// it again.
func (s *Session) Take(w Wire, st *stanza.Stanza, alone bool) bool {
	s.mu.Lock()
	for alone && s.wire == w && s.in.taken != s.in.done {
		s.quiet.Wait()
	}
	mine := s.wire == w
	if mine {
		s.in.taken++
	}
	s.mu.Unlock()
	if mine {
		s.tap(true, st)
	}
	return mine
}

// Done says that the oldest stanza that was taken is dealt with; it must be
// called as often as Take, in the order of the stream. stored says that the row
// of HandledRow was committed.
func (s *Session) Done(stored bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := &s.in
	in.done++
	if stored {
		in.stored = max(in.stored, in.done)
	}
	if in.asked != 0 && in.done >= in.asked {
		s.answer()
		in.asked, in.more = in.more, 0
		if in.asked <= in.done {
			in.asked = 0
		}
	}
	if in.done == in.taken {
		s.quiet.Broadcast()
	}
}

// Busy tells whether something that was taken is not dealt with yet, beyond
// the stanza in the caller's hands.
func (s *Session) Busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.taken-s.in.done > 1
}

// Drain waits until all that was taken is dealt with.
func (s *Session) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drain()
}

// drain is called with mu held, which it gives away meanwhile.
func (s *Session) drain() {
	for s.in.taken != s.in.done {
		s.quiet.Wait()
	}
}

// AckRequested obeys <r/>: the answer waits for the disk (XEP-0198 acking).
func (s *Session) AckRequested() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.sm == nil || s.wire == nil:
	case s.in.done >= s.in.taken:
		s.answer()
	case s.in.asked == 0:
		s.in.asked = s.in.taken
	default:
		s.in.more = s.in.taken
	}
}

// answer writes <a/>, once the disk knows what it says: a client that was told a
// number must never see a smaller one, not even after a crash. Called with mu
// held.
func (s *Session) answer() {
	switch {
	case s.sm == nil:
	case s.sm.id == "" || s.in.stored == s.in.done:
		s.tellHandled(s.in.done)
	default:
		s.unsaved.asked = true
		s.save()
	}
}

// tellHandled gives h, which XEP-0198 counts modulo 2^32. Called with mu held.
func (s *Session) tellHandled(n uint64) {
	s.control(elem.New(stream.NSSM, "a").WithAttr("h", utoa(uint32(n-s.in.base))))
}

// HandledRow is the counter as it will be when the stanza that was taken last
// is dealt with; it goes into the same commit as that stanza's other rows. ok
// is false when the session keeps nothing on disk.
func (s *Session) HandledRow() (row store.Row, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || s.sm.id == "" || s.ended.Load() {
		return store.Row{}, false
	}
	return handledRow(s.sm.key, s.in.taken-s.in.base), true
}
