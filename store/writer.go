package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxWaiting      = 50_000   // requests
	maxWaitingBytes = 64 << 20 // of values
	maxGroup        = 512      // requests of one commit, so that the first of them does not wait for long
)

// request is a call of Append or Write on its way.
type request struct {
	rows  []Row
	done  func(error)
	write *write
	size  int
	err   error
}

// write is the part of a request whose caller waits.
type write struct {
	fn     func(Tx) error
	result chan error
	state  atomic.Int32
}

const (
	writeWaits = iota
	writeRuns
	writeWithdrawn
)

func (w *write) withdraw() bool { return w.state.CompareAndSwap(writeWaits, writeWithdrawn) }
func (w *write) begin() bool    { return w.state.CompareAndSwap(writeWaits, writeRuns) }

// writer takes all that waits and commits it at once. There is no artificial delay: what arrives while one group is being
// written is the next. Two goroutines: run writes, tell calls the dones of the last group meanwhile.
type writer struct {
	db   *DB
	wake chan struct{} // to run: there is something in queue, or closed

	mu       sync.Mutex
	room     sync.Cond   // submit waits here for the bound
	decided  sync.Cond   // tell waits here for results
	queue    []request   // not begun
	results  [][]request // decided, not told
	count    int         // requests that are queued, being written or not yet told
	bytes    int         // their size
	busy     bool        // a group is being written
	closed   bool
	finished bool // run has ended
	end      sync.WaitGroup

	// Owned by run.
	conn  *sql.Conn           // nil until needed, and after trouble
	args  []driver.NamedValue // of one row
	state                     // what Status tells
}

func newWriter(db *DB) *writer {
	w := &writer{db: db, wake: make(chan struct{}, 1)}
	w.room.L, w.decided.L = &w.mu, &w.mu
	w.state.since = time.Now()
	w.end.Go(w.run)
	w.end.Go(w.tell)
	return w
}

func (w *writer) submit(r request) error {
	r.size = sizeOf(r.rows)
	w.mu.Lock()
	for w.full() && !w.closed {
		w.room.Wait()
	}
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.count++
	w.bytes += r.size
	w.queue = append(w.queue, r)
	w.mu.Unlock()
	w.nudge()
	return nil
}

// full says that a caller has to wait. A writer with nothing to do lets everybody in: then all that is outstanding is not
// told yet, and the one who tells may be the one who waits here.
func (w *writer) full() bool {
	over := w.count >= maxWaiting || w.bytes >= maxWaitingBytes
	return over && (w.busy || len(w.queue) > 0)
}

func (w *writer) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run is the goroutine that writes.
func (w *writer) run() {
	for g := w.take(); g != nil; g = w.take() {
		w.decide(g)
		w.mu.Lock()
		w.results = append(w.results, g)
		w.decided.Signal()
		w.mu.Unlock()
	}
	w.dropConn()
	w.mu.Lock()
	w.finished = true
	w.decided.Signal()
	w.mu.Unlock()
}

// take waits for requests and returns the next group; nil when closed and empty.
func (w *writer) take() []request {
	for {
		w.mu.Lock()
		w.busy = false
		if n := min(len(w.queue), maxGroup); n > 0 {
			g := w.queue[:n:n]
			w.queue = w.queue[n:]
			w.busy = true
			w.mu.Unlock()
			return g
		}
		w.queue = nil
		closed := w.closed
		w.room.Signal()
		w.mu.Unlock()
		if closed {
			return nil
		}
		select {
		case <-w.wake:
		case <-w.state.retry(): // nobody asks, but Status shall know
			w.decide([]request{{rows: []Row{probe}}})
		}
	}
}

// probe is a row that does not matter.
var probe = Do(`INSERT INTO revision (name, n) VALUES ('probe', 1) ON CONFLICT (name) DO UPDATE SET n = revision.n + 1`)

// decide gives every request of the group its error.
func (w *writer) decide(g []request) {
	if cause := w.state.resting(); cause != nil {
		fail(g, cause)
		return
	}
	begin := time.Now()
	if err := w.commit(g); err != nil {
		w.dropConn()
		fail(g, err)
		w.state.down(w.db, err)
		return
	}
	w.state.up(w.db, g, time.Since(begin))
	w.db.moves.committed()
}

func fail(g []request, err error) {
	if !errors.Is(err, ErrUnavailable) {
		err = &classed{ErrUnavailable, err}
	}
	for i := range g {
		if w := g[i].write; w == nil || w.state.Load() != writeWithdrawn {
			g[i].err = err
		}
	}
}

// commit writes g in one transaction. Its error is one of the database, not of a request.
func (w *writer) commit(g []request) error {
	ctx, cancel := w.db.dialect.groupContext()
	defer cancel()
	old := w.conn != nil
	if err := w.connect(ctx); err != nil {
		return err
	}
	t := &group{writer: w, ctx: ctx}
	err := t.commit(g)
	if err == nil || t.began || !old {
		return err
	}
	// The connection died while it was idle, for example because the server was restarted. Nothing has happened yet.
	w.dropConn()
	if err := w.connect(ctx); err != nil {
		return err
	}
	return (&group{writer: w, ctx: ctx}).commit(g)
}

func (w *writer) connect(ctx context.Context) (err error) {
	if w.conn != nil {
		return nil
	}
	if w.conn, err = w.db.writes.Conn(ctx); err != nil {
		return err
	}
	if err = w.db.dialect.fence(ctx, w.conn); err != nil {
		w.dropConn()
	}
	return err
}

// dropConn closes the connection, and with it a transaction that may be open.
func (w *writer) dropConn() {
	if w.conn != nil {
		w.conn.Raw(func(any) error { return driver.ErrBadConn })
		w.conn.Close()
		w.conn = nil
	}
}

// tell is the goroutine that calls the dones, one at a time, in the order of submission.
func (w *writer) tell() {
	for {
		w.mu.Lock()
		for len(w.results) == 0 && !w.finished {
			w.decided.Wait()
		}
		groups := w.results
		w.results = nil
		w.mu.Unlock()
		if len(groups) == 0 {
			return
		}
		for _, g := range groups {
			w.tellGroup(g)
		}
	}
}

func (w *writer) tellGroup(g []request) {
	bytes := 0
	for i := range g {
		bytes += g[i].size
		w.call(&g[i])
		g[i] = request{} // what is told can be collected
	}
	w.mu.Lock()
	w.count -= len(g)
	w.bytes -= bytes
	w.room.Broadcast()
	w.mu.Unlock()
}

func (w *writer) call(r *request) {
	defer func() {
		if p := recover(); p != nil {
			w.db.log.Error("panic after a write", "err", p, "stack", string(debug.Stack()))
		}
	}()
	if r.write != nil {
		r.write.result <- r.err
	} else if r.done != nil {
		r.done(r.err)
	}
}

func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.room.Broadcast()
	w.mu.Unlock()
	w.nudge()
	w.end.Wait()
}
