package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"
)

// maxStatements bounds the prepared statements of one connection. The program has some hundred; only SQL made at run time
// could exceed it.
const maxStatements = 512

// link is a driver's connection as the rest of the package wants it: errors say what they mean, statements stay prepared,
// placeholders are `?` everywhere, and arguments are the same few types on both databases.
type link struct {
	raw    rawConn
	pg     *stdlib.Conn // nil for SQLite
	stmts  map[string]*statement
	failed error // the first error since it was last cleared; only the writer looks
}

// rawConn is what both drivers' connections can do.
type rawConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Pinger
}

// statement is prepared on SQLite, and translated on PostgreSQL, where pgx keeps the prepared ones.
type statement struct {
	text string
	stmt rawStmt
	busy bool // its rows are still being read
}

type rawStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type connector struct {
	driver.Connector
	pg bool
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, classify(err)
	}
	l := &link{raw: conn.(rawConn), stmts: map[string]*statement{}}
	if c.pg {
		l.pg = conn.(*stdlib.Conn)
	}
	return l, nil
}

func (l *link) fail(err error) error {
	if err = classify(err); err != nil && l.failed == nil {
		l.failed = err
	}
	return err
}

// prepared finds or makes the statement for a query.
func (l *link) prepared(ctx context.Context, query string) (*statement, error) {
	if s := l.stmts[query]; s != nil && !s.busy {
		return s, nil
	}
	s := &statement{text: query}
	if l.pg != nil {
		s.text = rebind(query)
	} else {
		stmt, err := l.raw.PrepareContext(ctx, query)
		if err != nil {
			return nil, err
		}
		s.stmt = stmt.(rawStmt)
	}
	if l.stmts[query] == nil && len(l.stmts) < maxStatements {
		l.stmts[query] = s
	}
	return s, nil
}

// done gives a statement back, or away when the cache did not take it.
func (l *link) done(query string, s *statement) {
	s.busy = false
	if s.stmt != nil && l.stmts[query] != s {
		s.stmt.Close()
	}
}

func (l *link) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := l.prepared(ctx, query)
	if err != nil {
		return nil, l.fail(err)
	}
	defer l.done(query, s)
	var r driver.Result
	if l.pg != nil {
		r, err = l.raw.ExecContext(ctx, s.text, args)
	} else {
		r, err = s.stmt.ExecContext(ctx, args)
	}
	return r, l.fail(err)
}

func (l *link) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := l.prepared(ctx, query)
	if err != nil {
		return nil, l.fail(err)
	}
	var r driver.Rows
	if l.pg != nil {
		r, err = l.raw.QueryContext(ctx, s.text, args)
	} else {
		r, err = s.stmt.QueryContext(ctx, args)
	}
	if err != nil {
		l.done(query, s)
		return nil, l.fail(err)
	}
	s.busy = true
	return &linkRows{Rows: r, link: l, query: query, s: s}, nil
}

type linkRows struct {
	driver.Rows
	link  *link
	query string
	s     *statement
}

func (r *linkRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err == nil {
		return nil
	}
	if errors.Is(err, driver.ErrSkip) || err.Error() == "EOF" {
		return err
	}
	return r.link.fail(err)
}

func (r *linkRows) Close() error {
	err := r.Rows.Close()
	if r.s != nil {
		r.link.done(r.query, r.s)
		r.s = nil
	}
	return r.link.fail(err)
}

func (l *link) Prepare(query string) (driver.Stmt, error) {
	return l.PrepareContext(context.Background(), query)
}

func (l *link) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := l.raw.PrepareContext(ctx, query)
	return s, classify(err)
}

func (l *link) Begin() (driver.Tx, error) { return l.BeginTx(context.Background(), driver.TxOptions{}) }

func (l *link) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := l.raw.BeginTx(ctx, opts)
	return tx, classify(err)
}

func (l *link) ResetSession(ctx context.Context) error { return l.raw.ResetSession(ctx) }
func (l *link) Ping(ctx context.Context) error         { return classify(l.raw.Ping(ctx)) }

func (l *link) IsValid() bool {
	v, ok := l.raw.(driver.Validator)
	return !ok || v.IsValid()
}

func (l *link) Close() error {
	for _, s := range l.stmts {
		if s.stmt != nil {
			s.stmt.Close()
		}
	}
	l.stmts = nil
	return classify(l.raw.Close())
}

// CheckNamedValue admits the types that mean the same on both databases.
func (l *link) CheckNamedValue(v *driver.NamedValue) (err error) {
	v.Value, err = value(v.Value)
	return err
}

// value turns an argument into what a column holds: nil, int64, float64, string, []byte. Booleans are SMALLINT.
func value(v any) (any, error) {
	switch v := v.(type) {
	case nil, int64, string, float64:
		return v, nil
	case []byte:
		return v, nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case int:
		return int64(v), nil
	}
	x, err := driver.DefaultParameterConverter.ConvertValue(v)
	if err != nil {
		return nil, err
	}
	switch x.(type) {
	case nil, int64, string, float64, []byte:
		return x, nil
	case bool:
		return value(x)
	}
	return nil, fmt.Errorf("store: a %T does not go into a column; times are int64 microseconds", v)
}

// rebind turns ? into $1, $2 …, except in quotes and comments.
func rebind(query string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	out := make([]byte, 0, len(query)+16)
	n := 0
	for i := 0; i < len(query); i++ {
		switch c := query[i]; {
		case c == '?':
			n++
			out = strconv.AppendInt(append(out, '$'), int64(n), 10)
		case c == '\'' || c == '"':
			end := closing(query, i, string(c))
			out = append(out, query[i:end]...)
			i = end - 1
		case strings.HasPrefix(query[i:], "--"):
			end := closing(query, i, "\n")
			out = append(out, query[i:end]...)
			i = end - 1
		default:
			out = append(out, c)
		}
	}
	return string(slices.Clip(out))
}

// closing is the index behind the next mark after position i.
func closing(s string, i int, mark string) int {
	if j := strings.Index(s[i+1:], mark); j >= 0 {
		return i + 1 + j + len(mark)
	}
	return len(s)
}
