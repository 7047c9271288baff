package store

import (
	"context"
	"database/sql"
	"errors"
)

// Tx runs statements: inside a transaction, or each by itself for DB.Read. Placeholders are ?. Arguments are nil, integers,
// booleans (kept as 0 and 1), float64, string and []byte.
type Tx interface {
	// Exec returns how many rows were changed.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	// Query's rows must be closed.
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	// QueryRow's Scan gives ErrNone when there is no row.
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// reader runs each query by itself on any connection of the pool.
type reader struct {
	pool *sql.DB
	// A context that can end costs SQLite two goroutines for each query, which is more than a look for one row takes.
	short bool
}

func (r reader) Exec(context.Context, string, ...any) (int64, error) {
	return 0, errors.New("store: DB.Read does not change rows; use DB.Write")
}

func (r reader) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.pool.QueryContext(ctx, query, args...)
}

func (r reader) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	if r.short && ctx.Err() == nil {
		ctx = context.WithoutCancel(ctx)
	}
	return r.pool.QueryRowContext(ctx, query, args...)
}

// transaction runs statements on the writer's connection. The context of a caller does not reach the driver: a statement
// interrupted half-way would take the transactions of others with it.
type transaction struct {
	ctx  context.Context // of the whole group
	conn *sql.Conn
	open []*sql.Rows
}

func (t *transaction) Exec(_ context.Context, query string, args ...any) (int64, error) {
	r, err := t.conn.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t *transaction) Query(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := t.conn.QueryContext(t.ctx, query, args...)
	if err == nil {
		t.open = append(t.open, rows)
	}
	return rows, err
}

func (t *transaction) QueryRow(_ context.Context, query string, args ...any) *sql.Row {
	return t.conn.QueryRowContext(t.ctx, query, args...)
}

// close ends queries whose rows were not closed.
func (t *transaction) close() {
	for _, r := range t.open {
		r.Close()
	}
	t.open = nil
}
