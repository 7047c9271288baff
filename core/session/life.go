package session

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"chancery/xmpp/elem"
	"chancery/xmpp/stream"
)

// ErrGone says that a session is over.
var ErrGone = errors.New("the session is over")

// Enable turns stream management on and answers <enabled/> (XEP-0198 enable).
// With resume the session is on disk when this returns. It must be called by
// the reader, with nothing pending.
func (s *Session) Enable(ctx context.Context, resume bool) error {
	s.mu.Lock()
	if s.sm != nil || s.ended {
		s.mu.Unlock()
		return ErrGone
	}
	window := s.env.Settings.Load().C2S.ResumeTime
	id := ""
	if resume && window > 0 {
		id = rand.Text()
	}
	s.mu.Unlock()
	if id != "" {
		if err := s.register(ctx, id); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == nil || s.ended {
		return ErrGone
	}
	n := elem.New(stream.NSSM, "enabled")
	if id != "" {
		n.With("id", id).With("resume", "true").With("max", utoa(uint32(window/time.Second)))
	}
	s.out = n.Append(s.grow(), "")
	s.in.base, s.in.stored = s.in.done, s.in.done
	s.sm = &ledger{id: id}
	s.pump()
	return nil
}

// ResumeID is the id under which the session can be resumed; "" when it cannot.
func (s *Session) ResumeID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || s.ended {
		return ""
	}
	return s.sm.id
}

// ManagedID is ResumeID also after the end.
func (s *Session) ManagedID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil {
		return ""
	}
	return s.sm.id
}

// Managed tells whether stream management is on.
func (s *Session) Managed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sm != nil
}

// Resume moves the session to another wire and sends again what the client has
// not handled (XEP-0198 resumption). A *stream.Error is for an impossible h;
// ErrGone means that the client must bind anew.
func (s *Session) Resume(w Wire, f Facts, h uint32) error {
	s.Drain() // what came in over the old wire counts
	s.storeHandled()
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.sm
	if s.ended || l == nil || l.id == "" {
		return ErrGone
	}
	if l.revived {
		s.saveShift(l.revive(h)...)
	} else if !l.ack(h) {
		return TooHigh(h, uint32(l.base)+uint32(l.next))
	}
	s.trim()
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if old := s.wire; old != nil {
		go old.End(nil, stream.Fail(stream.Conflict, "the session was resumed from elsewhere"))
	}
	s.unplug()
	s.wire, s.Facts = w, f
	l.next, l.asked = 0, 0
	s.in.asked, s.in.more = 0, 0
	s.out = elem.New(stream.NSSM, "resumed").With("previd", l.id).WithAttr("h", utoa(s.handled())).Append(s.grow(), "")
	s.csi = nil // the state of XEP-0352 is not carried over
	s.pump()
	return nil
}

// Lost says that w is gone without a closing tag: the session waits for
// resumption if it can, and is over otherwise.
func (s *Session) Lost(w Wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire != w || s.ended {
		return
	}
	s.unplug()
	s.detached()
}

// unplug forgets the wire and what waited for it. Called with mu held.
func (s *Session) unplug() {
	s.wire = nil
	if s.out != nil {
		recycle(s.out)
		s.out = nil
	}
}

// hangUp closes the wire behind what still waits for it. A writer that is
// under way says it; else somebody is sent. Called with mu held.
func (s *Session) hangUp(reason *stream.Error) {
	w, rest := s.wire, s.out
	s.wire, s.out = nil, nil
	switch {
	case w == nil:
	case s.writer == w:
		if l := s.last; l != nil { // of a wire before this one
			go l.wire.End(l.rest, l.reason)
		}
		s.last = &lastWords{w, rest, reason}
	default:
		go w.End(rest, reason)
	}
}

// drop lets go of the connection, saying why. Called with mu held.
func (s *Session) drop(reason *stream.Error) {
	if w := s.wire; w != nil {
		go w.End(nil, reason) // it does not read: what waits would only wait longer
	}
	s.unplug()
	s.detached()
}

// detached starts the wait for resumption. Called with mu held.
func (s *Session) detached() {
	window := s.env.Settings.Load().C2S.ResumeTime
	if s.sm == nil || s.sm.id == "" || window <= 0 {
		s.endLocked(nil)
		return
	}
	s.flushInactive()
	s.lost = time.Now()
	s.expire(window)
}

func (s *Session) expire(window time.Duration) {
	s.expiry = time.AfterFunc(window, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.wire == nil {
			s.endLocked(nil)
		}
	})
}

// End is for good: an orderly close, a conflict, an administrator. A nil reason
// closes without a stream error.
func (s *Session) End(reason *stream.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason)
}

// EndNow is End that returns when contacts have been told.
func (s *Session) EndNow(reason *stream.Error) {
	s.mu.Lock()
	rest, first := s.finish(reason)
	s.mu.Unlock()
	if first {
		s.env.Ended(s, rest)
	}
}

func (s *Session) endLocked(reason *stream.Error) {
	if rest, first := s.finish(reason); first {
		s.env.ends.Go(func() { s.env.Ended(s, rest) })
	}
}

// finish is the end of a session but for what others must hear. Called with mu
// held.
func (s *Session) finish(reason *stream.Error) (rest []Entry, first bool) {
	if s.ended {
		return nil, false
	}
	s.ended = true
	s.hangUp(reason)
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if s.sm != nil {
		s.flushInactive()
		for _, e := range s.sm.queue {
			if !e.held { // the one who holds it finds another way
				rest = append(rest, e.Entry)
			}
		}
		s.sm.queue = nil
	}
	return rest, true
}

// Suspend closes the wire for a shutdown. A session that can be resumed is not
// over: the next process revives it from its rows.
func (s *Session) Suspend(reason *stream.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangUp(reason)
	if s.expiry != nil {
		s.expiry.Stop()
	}
}

// Freeze forgets the wire and every timer: the process is about to die.
func (s *Session) Freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unplug()
	if s.expiry != nil {
		s.expiry.Stop()
	}
}

// Ended tells whether the session is over.
func (s *Session) Ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}
