// Package store is the database handle: SQLite by default, PostgreSQL by configuration.
//
// Reads go to a pool of connections. Everything that changes rows goes through one writer, in the order it was asked for:
// Write for a transaction whose caller waits, Append for rows whose writer does not. The writer commits all that waits
// at once, so that one fsync serves many; what it has reported as written survives power loss.
//
// SQL stands beside the feature that needs it, in the words both databases know: `?` for parameters, BIGINT microseconds in
// UTC for times, int64 ids, SMALLINT for booleans, INSERT … ON CONFLICT DO UPDATE. Two traps: PostgreSQL makes SUM of integers a
// decimal, so write CAST(SUM(n) AS BIGINT); and a key column next to a range wants keyset pages, not OFFSET.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// SQLite and Postgres are the values of Config.Driver.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Config says where the rows are.
type Config struct {
	// Driver is SQLite or Postgres.
	Driver string

	// Path is the SQLite file; it is created when it does not exist, its folder is not.
	Path string

	// DSN is a PostgreSQL connection string, `postgres://user@host/db?sslmode=verify-full&sslrootcert=…&sslcert=…&sslkey=…`
	// or the key=value form.
	DSN string

	// Readers is how many queries run at the same time. 0 is 4.
	Readers int
}

// DB is an open database. It is safe for use by many goroutines.
type DB struct {
	dialect *dialect
	log     *slog.Logger
	reads   *sql.DB
	writes  *sql.DB
	writer  *writer
	moves   *checkpointer // nil on PostgreSQL
	version int64
	lock    *fileLock
	lastID  atomic.Int64
	closing sync.Once
	closed  error // what closing said
}

// Open connects, brings the schema up to date and starts the writer. A SQLite file is copied before its schema changes; a
// schema that is newer than this program is refused.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*DB, error) {
	if cfg.Readers <= 0 {
		cfg.Readers = 4
	}
	d, err := dialectOf(cfg)
	if err != nil {
		return nil, err
	}
	if danger := d.exposed(); danger != "" {
		log.Warn("the connection to the database is not verified: "+danger+"; write sslmode=verify-full and sslrootcert=FILE", "host", d.config.Host)
	}
	db := &DB{dialect: d, log: log}
	if d.path != "" {
		if db.lock, err = lockFile(d.path + ".lock"); err != nil {
			return nil, err
		}
		// What SQLite makes itself everybody could read; the log beside it takes the mode of the database.
		if err := createPrivate(d.path); err != nil {
			return nil, errors.Join(err, db.closePools())
		}
	}
	if err := db.open(ctx, cfg); err != nil {
		return nil, errors.Join(err, db.closePools())
	}
	db.writer = newWriter(db)
	if d.name == Postgres { // nothing may be read before the process before has written its last
		if err := db.Write(ctx, func(Tx) error { return nil }); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, cfg Config) (err error) {
	if db.version, err = migrate(ctx, db.dialect, db.log); err != nil {
		return err
	}
	if db.writes, err = db.dialect.pool(true, 1); err != nil {
		return err
	}
	if db.reads, err = db.dialect.pool(false, cfg.Readers); err != nil {
		return err
	}
	if db.dialect.name == SQLite {
		if db.moves, err = newCheckpointer(db.dialect, db.log); err != nil {
			return err
		}
	}
	return db.reads.PingContext(ctx)
}

// Driver is SQLite or Postgres, for the few statements that differ.
func (db *DB) Driver() string { return db.dialect.name }

// Read runs queries, each in its own snapshot. It sees everything whose Write has returned or whose done has been called. It
// does not change rows.
func (db *DB) Read() Tx { return reader{db.reads, db.dialect.name == SQLite} }

// Write runs fn in a transaction, after everything that was submitted before it, and returns when that is durable. fn
// runs in the writer: it must be short, must not wait for anything but tx, and must not call Write or Append. When fn
// or one of its statements fails nothing of it remains, even if fn itself returns nil; others are not hurt. When ctx ends
// before fn has begun, fn does not run; once begun it is completed.
func (db *DB) Write(ctx context.Context, fn func(tx Tx) error) error {
	w := &write{fn: fn, result: make(chan error, 1)}
	if err := db.writer.submit(request{write: w}); err != nil {
		return err
	}
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
		if w.withdraw() {
			return fmt.Errorf("waiting to write: %w", context.Cause(ctx))
		}
		return <-w.result
	}
}

// Append writes rows without making the caller wait: done is called when they are durable, or with the reason why they are
// not; nil is allowed. All rows of one call are written, or none.
//
// Order. Calls of Append and Write take effect in the order in which they were made, rows of a call in the order of the slice:
// a statement made with Do sees every row before it and none after it. The dones are called one at a time from one
// goroutine, in that same order. done must not wait for Write; it may call Append. Append with no rows is a barrier: its done
// says that all before it is decided.
//
// Append blocks while more than 50,000 calls or 64 MiB wait to be written or told. The rows belong to the store until done.
func (db *DB) Append(rows []Row, done func(error)) {
	if err := db.writer.submit(request{rows: rows, done: done}); err != nil && done != nil {
		done(err)
	}
}

// NewID returns an id that is larger than every one before it and roughly the time: microseconds since 2025 above 12
// random bits.
func (db *DB) NewID() int64 {
	for {
		last := db.lastID.Load()
		next := max(idAt(time.Now()), last+1)
		if db.lastID.CompareAndSwap(last, next) {
			return next
		}
	}
}

// Close refuses new work, writes what waits, calls the last done, and closes the database.
func (db *DB) Close() error {
	db.closing.Do(func() {
		db.writer.close()
		db.closed = db.closePools()
	})
	return db.closed
}

func (db *DB) closePools() error {
	errs := []error{db.moves.close()}
	for _, p := range []*sql.DB{db.reads, db.writes} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	db.lock.release()
	return errors.Join(errs...)
}
