package session

import (
	"sync"

	"chancery/xmpp/stream"
)

// buffers are what outboxes are made of; an idle session holds none.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// keep is how large a buffer may be to go back to the pool.
const keep = 64 << 10

// grow gives the outbox a buffer to append to. Called with mu held.
func (s *Session) grow() []byte {
	if s.out == nil {
		s.out = *buffers.Get().(*[]byte)
	}
	return s.out
}

// recycle gives a drained buffer back.
func recycle(b []byte) {
	if cap(b) <= keep {
		b = b[:0]
		buffers.Put(&b)
	}
}

// pump renders what may be written and starts the writer if nobody writes.
// Over the bound the peer is not reading: the connection goes, the session
// stays for resumption if it can. Called with mu held.
func (s *Session) pump() {
	if s.wire == nil {
		if s.sm == nil && s.out != nil {
			recycle(s.out)
			s.out = nil
		}
		s.boundQueue()
		return
	}
	if s.sm != nil {
		s.out = s.sm.render(s.grow())
		if len(s.out) == 0 {
			recycle(s.out)
			s.out = nil
		}
	}
	limit := s.env.Settings.Load().C2S.OutboxBytes
	if len(s.out) > limit {
		s.env.Log.Warn("outbox full, connection closed", "conn", s.ID, "who", s.JID.String(), "bytes", len(s.out), "limit", limit)
		s.drop(stream.Fail(stream.PolicyViolation, "the outbox of this session is full: the client does not read"))
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

// write drains the outbox with as few writes as the peer's pace allows, then
// ends. There is one writer for a wire, and none while nothing is to be said.
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
		}
	}
}

// takeFor takes what is to be written to w; nothing when the writer is not
// needed any more, because all is written or because w is no longer the wire.
func (s *Session) takeFor(w Wire) ([]byte, *lastWords) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == w && len(s.out) > 0 {
		b := s.out
		s.out = nil
		return b, nil
	}
	if s.writer == w {
		s.writer = nil
	}
	if l := s.last; l != nil && l.wire == w {
		s.last = nil
		return nil, l
	}
	return nil, nil
}
