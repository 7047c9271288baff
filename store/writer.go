package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxWaiting      = 50_000   // requests
	maxWaitingBytes = 64 << 20 // of values
	maxGroup        = 1024     // requests of one commit, so that the first of them does not wait for long
	groupTime       = time.Minute
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

// writer takes all that waits, commits it at once, and while the next group is being written the results of the last are told.
type writer struct {
	db   *DB
	wake chan struct{} // to the writing goroutine: there is something in queue, or closed

	mu       sync.Mutex
	room     sync.Cond // Append waits for the bound
	decided  sync.Cond // the telling goroutine waits for results
	queue    []request
	results  [][]request
	count    int  // requests that are queued, being written or not yet told
	bytes    int  // their size
	busy     bool // a group is being written
	closed   bool
	finished bool // the writing goroutine has ended
	end      sync.WaitGroup

	conn  *sql.Conn // of the writing goroutine; nil until needed and after trouble
	args  []driver.NamedValue
	state state
}

func newWriter(db *DB) *writer {
	w := &writer{db: db, wake: make(chan struct{}, 1)}
	w.room.L, w.decided.L = &w.mu, &w.mu
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
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// full says that a caller has to wait. A writer with nothing to do lets everybody in: then all that is outstanding are
// results, and the one who tells them may be the one who waits here.
func (w *writer) full() bool {
	over := w.count >= maxWaiting || w.bytes >= maxWaitingBytes
	return over && (w.busy || len(w.queue) > 0)
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
		<-w.wake
	}
}

func (w *writer) run() {
	for g := w.take(); g != nil; g = w.take() {
		w.commit(g)
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

// tell calls the dones, one at a time, in the order of submission.
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
		g[i] = request{} // what is done can be collected
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
	select {
	case w.wake <- struct{}{}:
	default:
	}
	w.end.Wait()
}

// commit decides every request of the group.
func (w *writer) commit(g []request) {
	ctx, cancel := context.WithTimeout(context.Background(), groupTime)
	defer cancel()
	if err := w.group(ctx, g); err != nil {
		w.dropConn()
		if !errors.Is(err, ErrUnavailable) {
			err = &classed{ErrUnavailable, err}
		}
		for i := range g {
			g[i].err = err
		}
		w.state.down(w.db, err)
		return
	}
	w.state.up(w.db)
}

// group writes g in one transaction. Its error is one of the database, not of a request.
func (w *writer) group(ctx context.Context, g []request) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	t := &group{writer: w, ctx: ctx}
	for len(g) > 0 {
		n := 0
		for n < len(g) && g[n].write == nil {
			n++
		}
		if n > 0 {
			if err := t.append(g[:n]); err != nil {
				return err
			}
		} else {
			n = 1
			if err := t.write(&g[0]); err != nil {
				return err
			}
		}
		g = g[n:]
	}
	return t.commit()
}

func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.db.writes.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn = conn
	return nil
}

func (w *writer) dropConn() {
	if w.conn != nil {
		w.conn.Raw(func(any) error { return driver.ErrBadConn }) // not to be used again, whatever its state
		w.conn.Close()
		w.conn = nil
	}
}

// group is one transaction in the making.
type group struct {
	*writer
	ctx   context.Context
	begun bool
	dirty bool // something in it would be lost by a rollback
}

func (t *group) exec(query string) error {
	_, err := t.conn.ExecContext(t.ctx, query)
	return err
}

// mark opens a place to come back to: the beginning when nothing is there yet, else a savepoint.
func (t *group) mark() error {
	if t.dirty {
		return t.exec("SAVEPOINT request")
	}
	if t.begun {
		return nil
	}
	t.begun = true
	return t.exec(t.db.dialect.begin)
}

// back undoes what was done since mark.
func (t *group) back() error {
	if t.dirty {
		return errors.Join(t.exec("ROLLBACK TO request"), t.exec("RELEASE request"))
	}
	t.begun = false
	return t.exec("ROLLBACK")
}

// keep lets what was done since mark become part of the group.
func (t *group) keep() error {
	if t.dirty {
		return t.exec("RELEASE request")
	}
	t.dirty = true
	return nil
}

// try runs do between mark and keep. failed is do's error, undone; err is trouble with the database.
func (t *group) try(do func() error) (failed, err error) {
	if err := t.mark(); err != nil {
		return nil, err
	}
	if failed = do(); failed == nil {
		return nil, t.keep()
	}
	if errors.Is(failed, ErrUnavailable) {
		return nil, failed
	}
	return failed, t.back()
}

// append writes the rows of requests; when that fails, of each by itself.
func (t *group) append(g []request) error {
	failed, err := t.try(func() error { return t.rows(g) })
	if failed == nil || err != nil {
		return err
	}
	for i := range g {
		g[i].err, err = t.try(func() error { return t.rows(g[i : i+1]) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *group) rows(g []request) error {
	return t.conn.Raw(func(c any) error {
		l := c.(*link)
		for i := range g {
			for j := range g[i].rows {
				if err := t.row(l, &g[i].rows[j]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (t *group) row(l *link, r *Row) error {
	t.args = t.args[:0]
	for i, v := range r.Values {
		v, err := value(v)
		if err != nil {
			return err
		}
		t.args = append(t.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	_, err := l.ExecContext(t.ctx, r.text(), t.args)
	return err
}

func (t *group) write(r *request) error {
	if !r.write.begin() {
		return nil
	}
	failed, err := t.try(func() error { return t.run(r.write.fn) })
	r.err = failed
	return err
}

// run calls fn and believes the database rather than fn.
func (t *group) run(fn func(Tx) error) (err error) {
	t.clearFailed()
	tx := &transaction{ctx: t.ctx, conn: t.conn}
	defer func() {
		tx.close()
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v", p)
			t.db.log.Error("panic in a transaction", "err", p, "stack", string(debug.Stack()))
		}
		if cause := t.clearFailed(); cause != nil && err == nil || errors.Is(cause, ErrUnavailable) {
			err = cause
		}
	}()
	return fn(tx)
}

func (t *group) clearFailed() (err error) {
	t.conn.Raw(func(c any) error {
		l := c.(*link)
		err, l.failed = l.failed, nil
		return nil
	})
	return err
}

func (t *group) commit() error {
	if !t.begun {
		return nil
	}
	return t.exec("COMMIT")
}
