package session

import (
	"sync"

	"chancery/xmpp/stream"
)

// buffers are what outboxes are made of; an idle session holds none.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

const (
	// keep is how large a buffer may be to go back to the pool.
	keep = 64 << 10
	// enough is how much of a ledger is rendered for one write: what waits
	// behind it waits as stanzas, which the ledger has to keep anyway.
	enough = 32 << 10
)

// grow gives the outbox a buffer to append to. Called with mu held.
func (s *Session) grow() []byte {
	if s.out == nil {
		s.out = *buffers.Get().(*[]byte)
	}
	return s.out
}

// recycle gives a drained buffer back.
func recycle(b []byte) {
	if cap(b) > 0 && cap(b) <= keep {
		b = b[:0]
		buffers.Put(&b)
	}
}

// pump renders what may be written and starts the writer if nobody writes.
// Over the bound the peer is not reading: the connection goes, the session
// stays for resumption if it can. Called with mu held.
func (s *Session) pump() {
	if s.wire != nil && s.sm != nil && s.sm.ready() && len(s.out) < enough {
		s.out = s.sm.render(s.grow())
	}
	if s.overflows() {
		return
	}
	if s.boundQueue(); s.wire == nil {
		return
	}
	if len(s.out) > 0 && s.writer != s.wire {
		s.writer = s.wire
		go s.write(s.wire)
	}
}

// overflows lets go of a wire that takes too little. What waited already when
// the client resumed does not count: it had no chance to read it. Called with mu
// held.
func (s *Session) overflows() bool {
	waiting := len(s.out)
	if l := s.sm; l != nil {
		l.backlog = min(l.backlog, l.waiting)
		waiting += l.waiting - l.backlog
	}
	limit := s.env.Settings.Load().C2S.OutboxBytes
	if waiting <= limit || (s.wire == nil && s.sm != nil) { // bounded by boundQueue
		return false
	}
	s.env.Log.Warn("outbox full, connection closed", "conn", s.ID, "who", s.JID.String(), "bytes", waiting, "limit", limit)
	s.drop(stream.Fail(stream.PolicyViolation, "the outbox of this session is full: the client does not read"))
	return true
}

// write drains the outbox with as few writes as the peer's pace allows, then
// ends. There is one writer for a wire, and none while nothing is to be said.
//
// HOT: 0.45 µs for one stanza, most of it the start of the goroutine, 0.10 µs for
// each of a hundred; 0.65 and 0.22 µs with XEP-0198, which keeps each (one
// allocation) until it is acknowledged (BenchmarkOutbox). A goroutine that waits would
// cost every idle session 2 KiB and more.
func (s *Session) write(w Wire) {
	for {
		b, last := s.takeFor(w)
		if last != nil {
			w.End(last.rest, last.reason)
			return
		}
		if b == nil {
			return
		}
		_, err := w.Write(b)
		recycle(b)
		if err != nil {
			w.Cut() // the reader sees it and detaches the session
			s.giveUp(w)
			return
		}
	}
}

// takeFor takes what is to be written to w; nothing when the writer is not
// needed any more, because all is written or because w is no longer the wire.
func (s *Session) takeFor(w Wire) ([]byte, *lastWords) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == w {
		if s.sm != nil && s.sm.ready() && len(s.out) < enough {
			s.out = s.sm.render(s.grow())
		}
		if b := s.out; len(b) > 0 {
			s.out = nil
			return b, nil
		}
	}
	if s.writer == w {
		s.writer = nil
	}
	return nil, s.lastFor(w)
}

// giveUp is the end of a writer whose wire is dead. It stays the writer, so that
// nobody tries again.
func (s *Session) giveUp(w Wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastFor(w)
}

// lastFor takes the last words for w. Called with mu held.
func (s *Session) lastFor(w Wire) *lastWords {
	if l := s.last; l != nil && l.wire == w {
		s.last = nil
		return l
	}
	return nil
}
