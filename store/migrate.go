package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// ErrTooNew says that the schema was made by a newer version of this program.
var ErrTooNew = errors.New("made by a newer Chancery")

func tooNew(what string, have, known int64) error {
	return fmt.Errorf("%s has schema version %d and this program knows versions up to %d: it was %w. Start that version again, "+
		"or restore a backup that was made before the upgrade", what, have, known, ErrTooNew)
}

// migrate brings the schema up to date and returns its version.
func migrate(ctx context.Context, d *dialect, log *slog.Logger) (int64, error) {
	c, err := d.connector(true)
	if err != nil {
		return 0, err
	}
	pool := sql.OpenDB(c)
	defer pool.Close()
	pool.SetMaxOpenConns(2) // one holds the lock
	p, err := provider(pool, d)
	if err != nil {
		return 0, err
	}
	have, want, err := p.GetVersions(ctx)
	switch {
	case err != nil:
		return 0, classify(fmt.Errorf("reading the schema version: %w", err))
	case have == want:
		return have, nil
	case have > want:
		return 0, tooNew("the database", have, want)
	}
	if have > 0 && d.path != "" {
		copied := fmt.Sprintf("%s.v%d-%s", d.path, have, time.Now().UTC().Format("20060102T150405Z"))
		if err := vacuumInto(ctx, pool, copied); err != nil {
			return 0, fmt.Errorf("the backup before the migration: %w", err)
		}
		log.Info("database copied before its schema changes", "file", copied, "from", have, "to", want)
	}
	if have == 0 {
		log.Debug("making the schema", "to", want)
	} else {
		log.Info("changing the schema", "from", have, "to", want)
	}
	return migrateTo(ctx, pool, d, want)
}

// migrateTo brings the schema to a version that it has not reached yet.
func migrateTo(ctx context.Context, pool *sql.DB, d *dialect, version int64) (int64, error) {
	p, err := provider(pool, d)
	if err != nil {
		return 0, err
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return 0, classify(fmt.Errorf("bringing the schema to version %d: %w", version, err))
	}
	return version, nil
}

func provider(pool *sql.DB, d *dialect) (*goose.Provider, error) {
	options := []goose.ProviderOption{goose.WithLogger(goose.NopLogger())}
	if d.name == Postgres { // other nodes may start at this moment
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(d.goose, pool, d.migrations(), options...)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

// versionOf reads the version without changing anything.
func versionOf(ctx context.Context, pool *sql.DB) (v int64, err error) {
	err = pool.QueryRowContext(ctx, `SELECT MAX(version_id) FROM goose_db_version WHERE is_applied = 1`).Scan(&v)
	return v, err
}

// latestVersion is the newest that this program knows.
func latestVersion() (latest int64, err error) {
	files, err := fs.Glob(sqliteDialect.migrations(), "*.sql")
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		v, err := goose.NumericComponent(f)
		if err != nil {
			return 0, err
		}
		latest = max(latest, v)
	}
	return latest, nil
}
