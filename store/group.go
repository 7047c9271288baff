package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"

	"github.com/jackc/pgx/v5"
)

// group is one transaction in the making. Requests are written in their order, neighbouring Appends together. A request that
// fails is undone alone: by going back to a savepoint, or to the beginning while there is nothing else to lose.
type group struct {
	*writer
	ctx   context.Context
	began bool // a transaction was begun once
	open  bool // it is open
	dirty bool // something of others would be lost by going back to the beginning
}

func (t *group) commit(g []request) error {
	for len(g) > 0 {
		n := 0
		for n < len(g) && g[n].write == nil {
			n++
		}
		var err error
		if n > 0 {
			err = t.append(g[:n])
		} else {
			n = 1
			err = t.write(&g[0])
		}
		if err != nil {
			return err
		}
		g = g[n:]
	}
	if !t.open {
		return nil
	}
	return t.exec("COMMIT")
}

// append writes the rows of requests; when that fails, of each by itself.
func (t *group) append(g []request) error {
	if empty(g) {
		return nil
	}
	failed, err := t.try(func() error { return t.rows(g) })
	switch {
	case err != nil:
		return err
	case failed != nil && len(g) == 1:
		g[0].err = failed
	case failed != nil:
		for i := range g {
			if err := t.append(g[i : i+1]); err != nil {
				return err
			}
		}
	}
	return nil
}

func empty(g []request) bool {
	for i := range g {
		if len(g[i].rows) > 0 {
			return false
		}
	}
	return true
}

// write runs the function of a request, unless its caller has given up.
func (t *group) write(r *request) (err error) {
	r.err, err = t.try(func() error {
		if !r.write.begin() {
			return nil
		}
		return t.call(r.write.fn)
	})
	return err
}

// try runs do in a part of the transaction that can be undone. failed is why do was undone; err is trouble of the database,
// and the end of the group.
func (t *group) try(do func() error) (failed, err error) {
	if err := t.mark(); err != nil {
		return nil, err
	}
	t.takeFailure()
	failed = do()
	// The database is believed rather than do, which may have overlooked an error.
	if cause := t.takeFailure(); cause != nil {
		if isTrouble(cause) {
			return nil, cause
		}
		if failed == nil {
			failed = cause
		}
	}
	if failed != nil {
		return failed, t.back()
	}
	return nil, t.keep()
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
	if t.open {
		return nil
	}
	if err := t.exec(t.db.dialect.begin); err != nil {
		return err
	}
	t.began, t.open = true, true
	return nil
}

// back undoes what was done since mark.
func (t *group) back() error {
	if t.dirty {
		return errors.Join(t.exec("ROLLBACK TO request"), t.exec("RELEASE request"))
	}
	t.open = false
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

// takeFailure returns the first error of the connection since the last call.
func (t *group) takeFailure() (err error) {
	t.conn.Raw(func(c any) error {
		l := c.(*link)
		err, l.failed = l.failed, nil
		return nil
	})
	return err
}

// call runs fn, whose rows and panics do not get out.
func (t *group) call(fn func(Tx) error) (err error) {
	tx := &transaction{ctx: t.ctx, conn: t.conn}
	defer tx.close()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v", p)
			t.db.log.Error("panic in a transaction", "err", p, "stack", string(debug.Stack()))
		}
	}()
	return fn(tx)
}

// rows writes the rows of requests in their order.
func (t *group) rows(g []request) error {
	return t.conn.Raw(func(c any) error {
		l := c.(*link)
		if l.pg != nil {
			return l.fail(t.send(l.pg.Conn(), g))
		}
		for r := range live(g) {
			// HOT: a statement kept prepared, one row each. Many rows in one INSERT saved 10 % of 3 µs on SQLite.
			args, err := t.values(r)
			if err != nil {
				return err
			}
			if _, err := l.ExecContext(t.ctx, r.text(), args); err != nil {
				return err
			}
		}
		return nil
	})
}

// values are the arguments of a row; they are good until the next call.
func (t *group) values(r *Row) (args []driver.NamedValue, err error) {
	t.args = t.args[:0]
	for i, v := range r.Values {
		if v, err = value(v); err != nil {
			return nil, err
		}
		t.args = append(t.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return t.args, nil
}

// send gives PostgreSQL all the rows at once and then reads all the answers: one journey for the group instead of one for
// each row.
func (t *group) send(conn *pgx.Conn, g []request) error {
	var b pgx.Batch
	for r := range live(g) {
		args := make([]any, len(r.Values))
		for i, v := range r.Values {
			var err error
			if args[i], err = value(v); err != nil {
				return err
			}
		}
		b.Queue(r.postgres(), args...)
	}
	return conn.SendBatch(t.ctx, &b).Close()
}

// live are the rows that have to be written: of those with the same Replace only the last.
func live(g []request) iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		last := lastOf(g)
		for i := range g {
			for j := range g[i].rows {
				r := &g[i].rows[j]
				if r.Replace != "" && last[replaceKey{r.Table, r.Replace}] != r {
					continue
				}
				if !yield(r) {
					return
				}
			}
		}
	}
}

type replaceKey struct {
	table *Table
	key   string
}

func lastOf(g []request) map[replaceKey]*Row {
	var last map[replaceKey]*Row
	for i := range g {
		for j := range g[i].rows {
			if r := &g[i].rows[j]; r.Replace != "" {
				if last == nil {
					last = map[replaceKey]*Row{}
				}
				last[replaceKey{r.Table, r.Replace}] = r
			}
		}
	}
	return last
}
