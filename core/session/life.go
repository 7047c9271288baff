package session

import (
	"context"
	"crypto/rand"
	"errors"
	"runtime/debug"
	"time"

	"chancery/store"
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
	if s.sm != nil || s.ended.Load() {
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
	if s.wire == nil || s.ended.Load() {
		if id != "" {
			s.env.append([]store.Row{forgetSession(id)}, nil)
		}
		return ErrGone
	}
	n := elem.New(stream.NSSM, "enabled")
	if id != "" {
		n.With("id", id).With("resume", "true").With("max", utoa(uint32(window/time.Second)))
	}
	s.out = n.Append(s.grow(), "")
	s.in.base, s.in.stored = s.in.done, s.in.done
	s.sm = &ledger{id: id, key: id}
	s.pump()
	return nil
}

// ResumeID is the id under which the session can be resumed; "" when it cannot.
func (s *Session) ResumeID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || s.ended.Load() {
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
// not handled (XEP-0198 resumption). It returns when all that came in over the
// old wire is dealt with, since <resumed/> says so. revived is true for the first
// resumption after a restart of the server. A *stream.Error is for an impossible
// h, and ErrGone means that the client must bind anew: both leave the session
// where it is.
func (s *Session) Resume(w Wire, f Facts, h uint32) (revived bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for tried := false; ; s.quiet.Wait() {
		if err := s.mayResume(h); err != nil {
			return false, err
		}
		if s.wire != nil { // the client knows that it is dead, and we do not; no more is taken from it
			s.drop(stream.Fail(stream.Conflict, "the session was resumed from elsewhere"))
			if err := s.mayResume(h); err != nil {
				return false, err
			}
		}
		if s.in.taken == s.in.done && s.in.stored != s.in.done && !tried {
			// What <resumed/> says is on disk first. A database that is away
			// does not keep a client from resuming.
			tried = true
			s.save()
		}
		if s.in.taken == s.in.done && !s.unsaved.running && (!s.sm.revived || s.sm.held == 0) {
			break
		}
	}
	l := s.sm
	if revived = l.revived; revived {
		if err := s.renumber(h); err != nil {
			return false, err
		}
	}
	l.ack(h)
	s.save()
	s.stopExpiry()
	s.wire, s.facts = w, f
	s.in.asked, s.in.more = 0, 0
	s.flushInactive()
	s.csi = nil // the state of XEP-0352 is not carried over
	l.rewind()
	s.out = elem.New(stream.NSSM, "resumed").With("previd", l.id).WithAttr("h", utoa(uint32(s.in.done-s.in.base))).Append(s.grow(), "")
	s.pump()
	return revived, nil
}

// renumber is the first resumption after a restart. The new numbers are on disk
// before the client counts by them: after another crash it would be sent again
// what it has. Called with mu held, which it gives up while it waits.
func (s *Session) renumber(h uint32) error {
	s.unsaved.rows = append(s.unsaved.rows, s.sm.revive(h)...)
	s.unsaved.state = true
	for s.save(); s.unsaved.running; {
		s.quiet.Wait()
	}
	if len(s.unsaved.rows) > 0 {
		return errUnsaved
	}
	if s.wire != nil { // somebody was quicker
		return ErrGone
	}
	return s.mayResume(h)
}

// errUnsaved says that the database is away: the session waits on, and the client
// may bind anew meanwhile.
var errUnsaved = errors.New("the session cannot be renumbered: the database is away")

// mayResume is called with mu held.
func (s *Session) mayResume(h uint32) error {
	l := s.sm
	if s.ended.Load() || l == nil || l.id == "" {
		return ErrGone
	}
	if l.revived {
		return nil
	}
	switch n := l.claim(h); {
	case n < 0: // it has forgotten what it acknowledged, and we do not have that any more
		return ErrGone
	case !l.sane(n):
		return TooHigh(h, uint32(l.base)+uint32(l.next))
	}
	return nil
}

// Lost says that w is gone without a closing tag: the session waits for
// resumption if it can, and is over otherwise.
func (s *Session) Lost(w Wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire != w || s.ended.Load() {
		return
	}
	s.unplug()
	s.detached()
}

// Fail ends w with a stream error, behind what waits for it, and is Lost
// otherwise.
func (s *Session) Fail(w Wire, reason *stream.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire != w {
		go w.End(nil, reason)
		return
	}
	s.hangUp(reason)
	s.detached()
}

// Close is the closing tag of the client on w (RFC 6120 §4.4): the session is
// over, with w behind what waits for it, unless it has moved to another wire. It
// returns when contacts have been told.
func (s *Session) Close(w Wire) {
	s.mu.Lock()
	if s.wire != w {
		s.mu.Unlock()
		w.End(nil, nil)
		return
	}
	s.endNow(nil)
}

// unplug forgets the wire and what waited for it. Called with mu held.
func (s *Session) unplug() {
	s.wire, s.unsaved.asked = nil, false
	if s.out != nil {
		recycle(s.out)
		s.out = nil
	}
	s.quiet.Broadcast()
}

// hangUp closes the wire behind what still waits for it. A writer that is
// under way says it; else somebody is sent. Called with mu held.
func (s *Session) hangUp(reason *stream.Error) {
	w, rest := s.wire, s.out
	s.wire, s.out, s.unsaved.asked = nil, nil, false
	s.quiet.Broadcast()
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
	if s.ended.Load() || s.sm == nil || s.sm.id == "" || window <= 0 {
		s.endLocked(nil)
		return
	}
	s.sm.before = len(s.sm.queue)
	s.expire(window)
}

// expire is called with mu held.
func (s *Session) expire(window time.Duration) {
	s.stopExpiry()
	var t *time.Timer
	t = time.AfterFunc(window, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.expiry == t { // or it was resumed, and may be detached anew
			s.endLocked(nil)
		}
	})
	s.expiry = t
}

// stopExpiry is called with mu held.
func (s *Session) stopExpiry() {
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
}

// End is for good: a conflict, an administrator, a removed account. A nil reason
// closes without a stream error. It does not wait for anything.
func (s *Session) End(reason *stream.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason)
}

// endLocked is called with mu held.
func (s *Session) endLocked(reason *stream.Error) {
	s.finish(reason)
	if !s.tell {
		s.tell = true
		s.env.work.begin()
		go func() {
			defer s.env.work.end()
			s.farewell()
		}()
	}
}

// EndNow is End that returns when contacts have been told, whoever has ended the
// session. It must not be called from the handling of one of its stanzas.
func (s *Session) EndNow(reason *stream.Error) {
	s.mu.Lock()
	s.endNow(reason)
}

// endNow is called with mu held, which it releases.
func (s *Session) endNow(reason *stream.Error) {
	s.finish(reason)
	mine := !s.tell
	s.tell = true
	s.mu.Unlock()
	if mine {
		s.farewell()
	}
	<-s.told
}

// finish is the end of a session but for what others must hear. Called with mu
// held.
func (s *Session) finish(reason *stream.Error) {
	if s.ended.Load() {
		return
	}
	s.ended.Store(true)
	s.told = make(chan struct{})
	s.hangUp(reason)
	s.stopExpiry()
	if s.sm != nil {
		s.flushInactive()
		s.rest = s.sm.clear()
	}
	s.csi = nil
}

// farewell tells others, once what the session itself has said is dealt with:
// nobody is to see it come after he saw it go.
func (s *Session) farewell() {
	s.mu.Lock()
	s.drain()
	rest := s.rest
	s.rest = nil
	s.mu.Unlock()
	defer close(s.told)
	defer func() {
		if p := recover(); p != nil {
			s.env.Log.Error("the end of a session met a defect of this program", "conn", s.ID, "who", s.JID.String(), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	s.env.Ended(s, rest)
}

// Suspend closes the wire for a shutdown. A session that can be resumed is not
// over: the next process revives it from its rows. Any other is, and End must
// follow when all are suspended.
func (s *Session) Suspend(reason *stream.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || s.sm.id == "" {
		s.finish(reason)
		return
	}
	s.hangUp(reason)
	s.stopExpiry()
}

// Ended tells whether the session is over.
func (s *Session) Ended() bool { return s.ended.Load() }
