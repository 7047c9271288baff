// Package session is one client of ours: what is waiting to be written to it,
// what it has not acknowledged yet (XEP-0198), and what it wants to hear of.
//
// A session outlives its connection while it may be resumed, and, when it asked
// for that, outlives the process. Files: session.go what others see; outbox.go
// the way to the wire; inbound.go what came in and is not dealt with yet;
// ledger.go what went out and is not acknowledged; life.go attach, lose, resume,
// end; persist.go its rows; csi.go what an inactive client need not be woken for.
package session

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"chancery/core/settings"
	"chancery/store"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// Wire is the connection below a session.
type Wire interface {
	// Write writes all of p or fails; it may block for the write deadline.
	Write(p []byte) (int, error)
	// End writes what is left, closes the stream, with a stream error before
	// the closing tag unless reason is nil, and makes the reader of the
	// connection return. It may be called from anywhere, and blocks for the
	// write deadline at most.
	End(rest []byte, reason *stream.Error)
	// Cut closes the connection without a word.
	Cut()
}

// Env is what all sessions of a node share.
type Env struct {
	DB       *store.DB
	Settings *settings.Live
	Log      *slog.Logger
	// Ended is called once, when a session is over and all that it sent is
	// dealt with, from a goroutine that holds no lock: contacts are told, and
	// what was not acknowledged finds another way.
	Ended func(s *Session, rest []Entry)

	tap  atomic.Pointer[Tap]
	work work // calls of Ended, and rows on their way
}

// Settle returns when all that ended sessions had to say has been said, and what
// sessions keep on disk is there: it is for a shutdown.
func (e *Env) Settle() { e.work.wait() }

// work counts what is under way. Unlike a sync.WaitGroup it may begin anew while
// somebody waits.
type work struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n is 0 again; nil while nobody waits
}

func (w *work) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
}

func (w *work) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n--; w.n == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

func (w *work) wait() {
	w.mu.Lock()
	if w.n == 0 {
		w.mu.Unlock()
		return
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	w.mu.Unlock()
	<-idle
}

// Tap sees the stanzas of sessions that an administrator traces.
type Tap struct {
	Sees func(who jid.JID) bool
	Line func(who jid.JID, in bool, s *stanza.Stanza)
}

// SetTap starts tracing; nil ends it.
func (e *Env) SetTap(t *Tap) { e.tap.Store(t) }

// Want is what a session asked to be told.
type Want uint32

const (
	// Rosters: it asked for the roster (RFC 6121 §2.1.6, interested resource).
	Rosters Want = 1 << iota
	// Copies: XEP-0280 is enabled.
	Copies
	// Blocks: it asked for the block list (XEP-0191 pushes).
	Blocks
)

// Session is one bound resource. All methods may be called from any goroutine.
type Session struct {
	env     *Env
	ID      string // for logs
	JID     jid.JID
	Account int64
	Since   time.Time

	want atomic.Uint32
	// pres is the last undirected presence, as broadcast; nil while not
	// available.
	pres  atomic.Pointer[Presence]
	ended atomic.Bool // set with mu held

	mu       sync.Mutex
	facts    Facts
	wire     Wire   // nil while detached
	out      []byte // nil while nothing waits
	writer   Wire   // the wire that a writer is serving
	last     *lastWords
	expiry   *time.Timer // of the wait for resumption
	in       inbound
	sm       *ledger  // nil without stream management
	csi      *backlog // not nil while the client is inactive (XEP-0352)
	directed map[jid.JID]struct{}
	unsaved  unsaved
	quiet    sync.Cond // on mu: something that somebody waits for has been dealt with

	rest []Entry       // for Ended
	told chan struct{} // made at the end, closed when Ended has returned
	tell bool          // somebody sees to the call of Ended
}

// lastWords are for the writer of a wire that the session has left.
type lastWords struct {
	wire   Wire
	rest   []byte
	reason *stream.Error
}

// Facts is how a session came in; for administrators, logs and metrics.
type Facts struct {
	Remote    string `json:"remote"`
	TLS       string `json:"tls,omitempty"`
	Group     string `json:"group,omitempty"`
	Mechanism string `json:"mechanism"`
	Binding   string `json:"channel_binding,omitempty"`
	Via       string `json:"via"` // listener or transport
}

// Presence is what a resource last told the world.
type Presence struct {
	Stanza   *stanza.Stanza
	Priority int8
	At       time.Time
	taking   time.Time // since when messages to the bare address have come here
}

// New makes a session. Without a wire it keeps what is sent to it until Attach
// gives it one.
func New(env *Env, id string, j jid.JID, account int64, w Wire, f Facts) *Session {
	s := &Session{env: env, ID: id, JID: j, Account: account, Since: time.Now(), facts: f, wire: w}
	s.quiet.L = &s.mu
	return s
}

// Attach gives a new session its wire. first is written ahead of everything that
// has been sent to the session since it can be found. It is false when the
// session is over already.
func (s *Session) Attach(w Wire, first *stanza.Stanza) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() {
		return false
	}
	waiting := s.out
	s.wire, s.out = w, nil
	s.out = append(first.Append(s.grow(), ""), waiting...)
	recycle(waiting)
	s.pump()
	return true
}

// Facts is how the client came in, last.
func (s *Session) Facts() Facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.facts
}

// Presence is nil while the resource is not available.
func (s *Session) Presence() *Presence { return s.pres.Load() }

// SetPresence keeps what was broadcast; nil when the resource went away.
func (s *Session) SetPresence(p *Presence) {
	if p != nil {
		p.taking = p.At
		if old := s.pres.Load(); old != nil && old.Priority >= 0 {
			p.taking = old.taking
		}
	}
	s.pres.Store(p)
	s.stateChanged()
}

// TakingSince is since when messages to the bare address have come here; it means
// something while the session is Available.
func (s *Session) TakingSince() time.Time {
	if p := s.pres.Load(); p != nil {
		return p.taking
	}
	return time.Time{}
}

// Available tells whether messages to the bare address may come here.
func (s *Session) Available() bool {
	p := s.pres.Load()
	return p != nil && p.Priority >= 0 && !s.ended.Load()
}

// Wants tells whether all of w was asked for.
func (s *Session) Wants(w Want) bool { return Want(s.want.Load())&w == w }

// SetWant turns w on or off.
func (s *Session) SetWant(w Want, on bool) {
	var old uint32
	if on {
		old = s.want.Or(uint32(w))
	} else {
		old = s.want.And(^uint32(w))
	}
	if s.want.Load() != old {
		s.stateChanged()
	}
}

// Direct notes that directed presence went to j, so that j hears when the
// resource goes away (RFC 6121 §4.6.3). It is false when there are too many.
func (s *Session) Direct(j jid.JID, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.directed[j]; ok {
		return true
	}
	if len(s.directed) >= limit {
		return false
	}
	if s.directed == nil {
		s.directed = map[jid.JID]struct{}{}
	}
	s.directed[j] = struct{}{}
	s.changed()
	return true
}

// Undirect forgets j.
func (s *Session) Undirect(j jid.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.directed[j]; ok {
		delete(s.directed, j)
		s.changed()
	}
}

// Directed lists who got directed presence, and forgets them when take is set.
func (s *Session) Directed(take bool) []jid.JID {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]jid.JID, 0, len(s.directed))
	for j := range s.directed {
		out = append(out, j)
	}
	if take && len(out) > 0 {
		s.directed = nil
		s.changed()
	}
	return out
}

// KnowsDirectly tells whether directed presence went to j or its bare address.
func (s *Session) KnowsDirectly(j jid.JID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, full := s.directed[j]
	_, bare := s.directed[j.Bare()]
	return full || bare
}

// Send never blocks: it appends to an outbox that somebody else drains. It is
// false when the session is over.
func (s *Session) Send(st *stanza.Stanza) bool { return s.SendWith(st, nil) }

// SendWith is Send with more canonical bytes after the payload (a stanza-id, a
// delay), so that a shared payload needs no copy of its own.
func (s *Session) SendWith(st *stanza.Stanza, more []byte) bool {
	s.tap(false, st)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() {
		return false
	}
	if s.csi.defers(st) {
		s.csi.add(st, more)
		return true
	}
	s.flushInactive()
	s.put(st, more)
	s.pump()
	return true
}

// put appends a stanza to what is to be written. Called with mu held.
func (s *Session) put(st *stanza.Stanza, more []byte) {
	if s.sm != nil {
		s.sm.add(&entry{Entry: Entry{Stanza: st, More: more, At: time.Now()}})
		return
	}
	s.out = st.AppendWith(s.grow(), "", more)
}

// Control writes a top-level element that is not a stanza (<a/>, <r/>, …).
func (s *Session) Control(n *elem.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.control(n)
}

func (s *Session) control(n *elem.Node) {
	if s.wire == nil {
		return
	}
	s.out = n.Append(s.grow(), stanza.NSClient)
	s.pump()
}

// Attached tells whether a connection is there.
func (s *Session) Attached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wire != nil
}

// Status is for administrators.
type Status struct {
	Attached  bool `json:"attached"`
	Resumable bool `json:"resumable"`
	Inactive  bool `json:"inactive"`
	Unacked   int  `json:"unacknowledged"`
	Waiting   int  `json:"outbox_bytes"` // not written yet
}

// Status looks at the session.
func (s *Session) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Attached: s.wire != nil, Inactive: s.csi != nil, Waiting: len(s.out)}
	if s.sm != nil {
		st.Resumable, st.Unacked = s.sm.id != "", len(s.sm.queue)
		st.Waiting += s.sm.waiting
	}
	return st
}

// tap copies a stanza to whoever traces this session.
func (s *Session) tap(in bool, st *stanza.Stanza) {
	if t := s.env.tap.Load(); t != nil && t.Sees(s.JID) {
		t.Line(s.JID, in, st)
	}
}
