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
// acknowledged, in order. What the client acknowledges is known by its place in
// the queue; the numbers are for the disk.
//
// An entry is held while its row is on the way to the disk, and nothing behind
// a held entry is written. So an entry's seq, less shift, is the number that the
// client will count, even after a crash. A held entry that fails leaves a hole:
// later ones are then one too high, which can double a stanza after a crash but
// never lose one, and is mended when the queue is empty.
type ledger struct {
	id     string // of the resumable stream; "" when not resumable
	key    any    // id, as a value for rows
	base   uint64 // stanzas the client has acknowledged
	shift  uint64 // seq less what the client counts
	last   uint64 // seq of the newest entry
	queue  []*entry
	next   int // first entry not rendered to the current wire
	asked  int // position in queue up to which <r/> was sent; 0: no answer is awaited
	held   int // entries that are held
	before int // length of queue when the wire went away

	bytes   int // cost of the queue
	waiting int // that of its entries from next on
	backlog int // what of it waited already when the session was resumed

	// revived is set between a restart of the server and the resumption: base
	// is not known then.
	revived bool
	acked   uint64 // seq of the newest acknowledged entry with a row
	trimmed uint64 // seq up to which rows were deleted
}

// Entry is one stanza that was sent, or would have been.
type Entry struct {
	Stanza *stanza.Stanza
	More   []byte    // canonical bytes after the payload
	At     time.Time // when it came here
}

type entry struct {
	Entry
	seq     uint64
	held    bool
	durable bool // has a row
}

// entryOverhead is what an entry costs beside its payload, as a round number.
const entryOverhead = 256

func (e *entry) cost() int { return len(e.Stanza.Payload) + len(e.More) + entryOverhead }

func (l *ledger) add(e *entry) {
	l.last++
	e.seq = l.last
	l.enqueue(e)
}

func (l *ledger) enqueue(e *entry) {
	if e.held {
		l.held++
	}
	l.queue = append(l.queue, e)
	l.bytes += e.cost()
	l.waiting += e.cost()
}

// render writes what may be written until dst holds enough for one write, and
// asks for an acknowledgement behind the last of it unless one is awaited already.
func (l *ledger) render(dst []byte) []byte {
	from := l.next
	for l.next < len(l.queue) && !l.queue[l.next].held && len(dst) < enough {
		e := l.queue[l.next]
		dst = e.Stanza.AppendWith(dst, "", e.More)
		l.waiting -= e.cost()
		l.next++
	}
	if l.next > from && l.asked == 0 {
		dst = append(dst, request...)
		l.asked = l.next
	}
	return dst
}

// ready tells whether render would write something.
func (l *ledger) ready() bool { return l.next < len(l.queue) && !l.queue[l.next].held }

const request = "<r xmlns='" + stream.NSSM + "'/>"

// claim is how many of the queue the client says it has handled; h counts modulo
// 2^32 (XEP-0198 acks). It may be impossible: see sane.
func (l *ledger) claim(h uint32) int { return int(int32(h - uint32(l.base))) }

func (l *ledger) sane(n int) bool { return n >= 0 && n <= l.next }

// ack drops what the client has handled. It is false when the client claims more
// than it was sent.
func (l *ledger) ack(h uint32) bool {
	n := l.claim(h)
	if !l.sane(n) {
		return false
	}
	l.drop(n)
	l.base += uint64(n)
	l.next -= n
	l.asked = max(l.asked-n, 0)
	return true
}

// rewind makes everything wait again, for another wire.
func (l *ledger) rewind() {
	l.next, l.asked = 0, 0
	l.waiting, l.backlog = l.bytes, l.bytes
}

// revive is the first ack after a restart. What is left is numbered anew, above
// every number that was ever used, so that rows on their way cannot meet. Nothing
// may be held: its row is on its way with the old number.
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
		l.bytes -= e.cost()
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

// settle releases a held entry.
func (l *ledger) settle(e *entry) {
	e.held = false
	l.held--
}

// remove takes out an entry that was never rendered. The newest one leaves no
// hole.
func (l *ledger) remove(e *entry) {
	i := len(l.queue) - 1
	for l.queue[i] != e {
		i--
	}
	l.queue = append(l.queue[:i], l.queue[i+1:]...)
	l.bytes -= e.cost()
	l.waiting -= e.cost()
	if e.seq == l.last {
		l.last--
	}
}

// newest tells whether nothing stands behind e.
func (l *ledger) newest(e *entry) bool { return l.queue[len(l.queue)-1] == e }

// mend closes the holes while nothing is queued. It tells whether it did.
func (l *ledger) mend() bool {
	if len(l.queue) > 0 || l.revived || l.last == l.base+l.shift {
		return false
	}
	l.shift = l.last - l.base
	return true
}

// clear forgets everything: the session is over. Its entries are returned, but
// for those that are held: who holds one finds another way for it.
func (l *ledger) clear() (rest []Entry) {
	for _, e := range l.queue {
		if !e.held {
			rest = append(rest, e.Entry)
		}
	}
	l.queue, l.next, l.asked, l.bytes, l.waiting = nil, 0, 0, 0, 0
	return rest
}

// Hold is a place in a session's outgoing order for a stanza that is being
// made durable.
type Hold struct {
	s *Session
	e entry
}

// Reserve takes the next place in the outgoing order for a stanza that is to be
// written when a commit has succeeded. If it is Durable the caller writes Row in
// that commit. Settle must follow when it is decided. Reserve is nil when the
// session keeps nothing on disk: then Send after the commit.
func (s *Session) Reserve(st *stanza.Stanza, more []byte) *Hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() || s.sm == nil || s.sm.id == "" {
		return nil
	}
	passing := st.Kind == stanza.Message && onlyStates(st.Parts)
	if !passing {
		s.flushInactive()
	}
	h := &Hold{s, entry{Entry: Entry{Stanza: st, More: more, At: time.Now()}, held: true, durable: !passing}}
	s.sm.add(&h.e)
	return h
}

// Durable tells whether the stanza is to survive a crash. A chat state by itself
// (XEP-0085) is not worth a row, but must not overtake what is.
func (h *Hold) Durable() bool { return h.e.durable }

// Row is what makes the place durable; at is when the stanza came here first.
func (h *Hold) Row(at time.Time) store.Row {
	h.e.At = at
	return queueRow(h.s.sm.key, h.e.seq, h.e.Entry)
}

// Settle releases the place: to be written when err is nil, else to be
// forgotten. It is false when the session ended meanwhile and the stanza needs
// another way.
func (h *Hold) Settle(err error) bool {
	s, l := h.s, h.s.sm
	if err == nil {
		s.tap(false, h.e.Stanza)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() {
		if err == nil && h.e.durable {
			s.forgetRow(&h.e)
		}
		return false
	}
	l.settle(&h.e)
	switch {
	case err != nil:
		l.remove(&h.e)
	case !h.e.durable && l.newest(&h.e) && s.csi.defers(h.e.Stanza):
		l.remove(&h.e)
		s.csi.add(h.e.Stanza, h.e.More)
	}
	if l.held == 0 {
		s.quiet.Broadcast()
	}
	s.pump()
	return true
}

// Ack takes the client's word for what it has handled.
func (s *Session) Ack(h uint32) *stream.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.sm
	if l == nil || s.ended.Load() {
		return nil
	}
	if !l.ack(h) {
		return TooHigh(h, uint32(l.base)+uint32(l.next))
	}
	if l.mend() {
		s.unsaved.state = true
	}
	s.save()
	if s.wire != nil && l.next > 0 && l.asked == 0 { // more was written since the last <r/>
		s.out = append(s.grow(), request...)
		l.asked = l.next
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
// acknowledges, or one that is away and gets too much. A client that is there may
// be behind by as many stanzas as it has contacts. Called with mu held.
func (s *Session) boundQueue() {
	l := s.sm
	if l == nil || len(l.queue) == 0 {
		return
	}
	set := &s.env.Settings.Load().C2S
	if l.bytes <= set.QueueBytes && (s.wire != nil || len(l.queue)-l.before <= set.QueueStanzas) {
		return
	}
	s.env.Log.Warn("too much unacknowledged, session ended", "conn", s.ID, "who", s.JID.String(), "stanzas", len(l.queue), "bytes", l.bytes)
	s.endLocked(stream.Fail(stream.PolicyViolation, "too many stanzas are unacknowledged"))
}
