package session

import (
	"strconv"
	"time"

	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// ledger is the XEP-0198 side of a session: what was sent and is not
// acknowledged, in order.
//
// An entry is held while its row is on the way to the disk, and nothing behind
// a held entry is written. So an entry's seq, less shift, is the number that the
// client will count, even after a crash. A held entry that fails leaves a hole:
// later ones are then one too high, which can double a stanza after a crash but
// never lose one, and is mended when the queue is empty.
type ledger struct {
	id    string // of the resumable stream; "" when not resumable
	base  uint64 // stanzas the client has acknowledged
	shift uint64 // seq less what the client counts
	last  uint64 // seq of the newest entry
	queue []*entry
	next  int // first entry not rendered to the current wire
	asked int // position in queue up to which <r/> was sent; 0: no answer is awaited

	// revived is set between a restart of the server and the resumption: base
	// is not known then.
	revived  bool
	trimming bool   // a deletion of acknowledged rows is on its way
	trimmed  uint64 // seq up to which rows were deleted
	acked    uint64 // seq of the newest acknowledged entry with a row
}

// Entry is one stanza that was sent, or would have been.
type Entry struct {
	Stanza *stanza.Stanza
	More   []byte // canonical bytes after the payload
}

type entry struct {
	Entry
	seq     uint64
	held    bool
	durable bool // has a row
}

func (l *ledger) add(e *entry) {
	l.last++
	e.seq = l.last
	l.queue = append(l.queue, e)
}

// render writes what may be written, and asks for an acknowledgement behind
// the last of it unless one is awaited already.
func (l *ledger) render(dst []byte) []byte {
	from := l.next
	for l.next < len(l.queue) && !l.queue[l.next].held {
		e := l.queue[l.next]
		dst = e.Stanza.AppendWith(dst, "", e.More)
		l.next++
	}
	if l.next > from && l.asked == 0 {
		dst = append(dst, request...)
		l.asked = l.next
	}
	return dst
}

const request = "<r xmlns='" + stream.NSSM + "'/>"

// ack drops what the client has handled; h counts modulo 2^32 (XEP-0198 acks).
// It is false when the client claims more than it was sent.
func (l *ledger) ack(h uint32) bool {
	n := int(int32(h - uint32(l.base)))
	if n < 0 || n > l.next {
		return false
	}
	l.drop(n)
	l.base += uint64(n)
	l.next -= n
	l.asked = max(l.asked-n, 0)
	return true
}

// revive is the first ack after a restart. What is left is numbered anew, above
// every number that was ever used, so that rows on their way cannot meet.
func (l *ledger) revive(h uint32) (renumber []store.Row) {
	n := 0
	for n < len(l.queue) && l.queue[n].seq <= uint64(h)+l.shift {
		n++
	}
	l.drop(n)
	l.base, l.revived = uint64(h), false
	l.shift = l.last - l.base
	for _, e := range l.queue {
		l.last++
		if e.durable {
			renumber = append(renumber, store.Do(`UPDATE sm_queue SET seq = ? WHERE session = ? AND seq = ?`, int64(l.last), l.id, int64(e.seq)))
		}
		e.seq = l.last
	}
	return renumber
}

// drop forgets the first n entries and lets their stanzas be collected.
func (l *ledger) drop(n int) {
	for _, e := range l.queue[:n] {
		if e.durable {
			l.acked = e.seq
		}
	}
	if n == len(l.queue) {
		l.queue = nil // an idle session keeps no room for what it does not have
		return
	}
	clear(l.queue[:n])
	l.queue = l.queue[n:]
}

// remove takes out a held entry whose row did not make it to the disk.
func (l *ledger) remove(e *entry) {
	for i, q := range l.queue {
		if q == e {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return
		}
	}
}

// mend closes the holes while nothing is queued. It tells whether it did.
func (l *ledger) mend() bool {
	if len(l.queue) > 0 || l.revived || l.last == l.base+l.shift {
		return false
	}
	l.shift = l.last - l.base
	return true
}

// Hold is a place in a session's outgoing order for a stanza that is being
// made durable.
type Hold struct {
	s *Session
	e *entry
}

// Reserve takes the next place in the outgoing order for a stanza that must
// survive a crash. The caller writes Row in the same commit as everything
// else the stanza causes, and calls Settle when that is decided. It is nil when
// the session keeps nothing on disk: then Send after the commit.
func (s *Session) Reserve(st *stanza.Stanza, more []byte) *Hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.sm == nil || s.sm.id == "" {
		return nil
	}
	s.flushInactive()
	e := &entry{Entry: Entry{st, more}, held: true, durable: true}
	s.sm.add(e)
	return &Hold{s, e}
}

// Row is what makes the place durable.
func (h *Hold) Row(now time.Time) store.Row {
	return queueRow(h.s.sm.id, h.e.seq, now, h.e.Entry)
}

// Settle releases the place: to be written when err is nil, else to be
// forgotten. It is false when the session ended meanwhile and the stanza needs
// another way.
func (h *Hold) Settle(err error) bool {
	s := h.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	h.e.held = false
	if err != nil {
		s.sm.remove(h.e)
	} else {
		s.tap(false, h.e.Stanza)
	}
	s.pump()
	return true
}

// Ack takes the client's word for what it has handled.
func (s *Session) Ack(h uint32) *stream.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil {
		return nil
	}
	if !s.sm.ack(h) {
		return TooHigh(h, uint32(s.sm.base)+uint32(s.sm.next))
	}
	s.trim()
	if s.sm.mend() {
		s.saveShift()
	}
	if s.wire != nil && s.sm.next > 0 && s.sm.asked == 0 { // more was written since the last <r/>
		s.out = append(s.grow(), request...)
		s.sm.asked = s.sm.next
	}
	s.pump()
	return nil
}

// TooHigh is the stream error for an impossible h (XEP-0198 acking).
func TooHigh(h, sent uint32) *stream.Error {
	e := stream.Fail(stream.UndefinedCondition, "you acknowledged "+utoa(h)+" stanzas, of "+utoa(sent)+" that were sent")
	e.App = elem.New(stream.NSSM, "handled-count-too-high").With("h", utoa(h)).With("send-count", utoa(sent))
	return e
}

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// boundQueue ends what would grow without end: a client that never
// acknowledges, or one that is away and gets too much. Called with mu held.
func (s *Session) boundQueue() {
	if s.sm == nil || len(s.sm.queue) <= s.env.Settings.Load().C2S.QueueStanzas {
		return
	}
	s.env.Log.Warn("too much unacknowledged, session ended", "conn", s.ID, "who", s.JID.String(), "stanzas", len(s.sm.queue))
	s.endLocked(stream.Fail(stream.PolicyViolation, "too many stanzas are unacknowledged"))
}
