package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrNone says that there is no such row.
	ErrNone = sql.ErrNoRows

	// ErrExists says that a row with that key is there already.
	ErrExists = errors.New("exists already")

	// ErrUnavailable says that the database cannot be used just now: disk full, read-only, gone. It is worth trying later. What
	// was to be written may be there nevertheless: the answer of a commit can get lost.
	ErrUnavailable = errors.New("database unavailable")

	// ErrInUse says that another running program has the SQLite file.
	ErrInUse = errors.New("in use by another running server")

	// ErrClosed is what a closed DB answers.
	ErrClosed = errors.New("database is closed")
)

// classed is a driver's error with what it means to us. Both can be asked for with errors.Is and errors.As.
type classed struct{ class, cause error }

func (e *classed) Error() string   { return e.class.Error() + ": " + e.cause.Error() }
func (e *classed) Unwrap() []error { return []error{e.class, e.cause} }

// classify gives a driver's error its meaning, once.
func classify(err error) error {
	var known *classed
	switch {
	case err == nil, err == io.EOF, err == driver.ErrSkip, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	}
	if class := classOf(err); class != nil {
		return &classed{class, err}
	}
	return err
}

func classOf(err error) error {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return sqliteClass(lite.Code())
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return postgresClass(pg.Code)
	}
	var network net.Error
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &network), errors.As(err, &connect), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), pgconn.Timeout(err), strings.HasSuffix(err.Error(), "conn closed"):
		return ErrUnavailable
	}
	return nil
}

func sqliteClass(code int) error {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return ErrExists
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
		sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return ErrUnavailable
	}
	return nil
}

// postgresClass reads SQLSTATE (PostgreSQL manual, appendix A).
func postgresClass(code string) error {
	switch {
	case code == "23505":
		return ErrExists
	case isConflict(code), code == "25006": // the latter: a standby, or a primary that was told to be read-only
		return ErrUnavailable
	}
	for _, class := range []string{
		"08",   // connection
		"28",   // may not log in (any more)
		"53",   // disk full, out of memory, too many connections
		"57P0", // shutting down, starting up, crashed
		"58",   // input/output
	} {
		if strings.HasPrefix(code, class) {
			return ErrUnavailable
		}
	}
	return nil
}

// isConflict is for serialisation failures and deadlocks: this transaction has lost against another.
func isConflict(code string) bool { return code == "40001" || code == "40P01" }

// isTrouble says that the database as a whole is unavailable, and not only one transaction.
func isTrouble(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, ErrUnavailable) && !(errors.As(err, &pg) && isConflict(pg.Code))
}
