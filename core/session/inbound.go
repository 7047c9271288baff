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
	drained     chan struct{}
}

// Take counts a stanza that came in.
func (s *Session) Take(st *stanza.Stanza) {
	s.tap(true, st)
	s.mu.Lock()
	s.in.taken++
	s.mu.Unlock()
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
		in.stored = in.done
	}
	if in.asked != 0 && in.done >= in.asked {
		s.answer()
		in.asked, in.more = in.more, 0
		if in.asked <= in.done {
			in.asked = 0
		}
	}
	if in.done == in.taken && in.drained != nil {
		close(in.drained)
		in.drained = nil
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
	for {
		s.mu.Lock()
		if s.in.taken == s.in.done {
			s.mu.Unlock()
			return
		}
		if s.in.drained == nil {
			s.in.drained = make(chan struct{})
		}
		c := s.in.drained
		s.mu.Unlock()
		<-c
	}
}

// AckRequested obeys <r/>: the answer waits for the disk (XEP-0198 acking).
func (s *Session) AckRequested() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.sm == nil:
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
		n := s.in.done
		go s.env.DB.Append([]store.Row{handledRow(s.sm.id, n-s.in.base)}, func(err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if err == nil {
				s.in.stored = max(s.in.stored, n)
				s.tellHandled(s.in.stored)
			}
		})
	}
}

func (s *Session) tellHandled(n uint64) {
	s.control(elem.New(stream.NSSM, "a").WithAttr("h", utoa(uint32(n-s.in.base))))
}

// storeHandled is for <resumed/>, which tells the number too. A database that is
// away does not keep a client from resuming.
func (s *Session) storeHandled() {
	s.mu.Lock()
	if s.sm == nil || s.sm.id == "" || s.in.stored == s.in.done {
		s.mu.Unlock()
		return
	}
	n := s.in.done
	row := handledRow(s.sm.id, n-s.in.base)
	s.mu.Unlock()
	decided := make(chan error, 1)
	s.env.DB.Append([]store.Row{row}, func(err error) { decided <- err })
	if err := <-decided; err != nil {
		return
	}
	s.mu.Lock()
	s.in.stored = max(s.in.stored, n)
	s.mu.Unlock()
}

// handled is the h that XEP-0198 counts modulo 2^32.
func (s *Session) handled() uint32 { return uint32(s.in.done - s.in.base) }

// HandledRow is the counter as it will be when the stanza that was taken last
// is dealt with; it goes into the same commit as that stanza's other rows. ok
// is false when the session keeps nothing on disk.
func (s *Session) HandledRow() (row store.Row, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || s.sm.id == "" || s.ended {
		return store.Row{}, false
	}
	return handledRow(s.sm.id, s.in.taken-s.in.base), true
}
