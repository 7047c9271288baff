package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup writes a consistent copy of the whole database to a new file while work goes on. The copy is on disk when it
// returns. Its format is a SQLite file.
func (db *DB) Backup(ctx context.Context, path string) error {
	if db.dialect.path == "" {
		return errors.New("backup of PostgreSQL is not supported yet")
	}
	// The readers are query_only, which refuses VACUUM INTO although it only reads.
	pool, err := db.dialect.pool(true, 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	return vacuumInto(ctx, pool, path)
}

// vacuumInto copies a SQLite database to a file that does not exist yet. The copy gets its name when it is complete.
func vacuumInto(ctx context.Context, pool *sql.DB, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists already", path)
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := pool.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return settle(part, path)
}

// settle makes a finished file durable under its name.
func settle(part, path string) error {
	if err := syncFile(part); err != nil {
		return err
	}
	if err := os.Chmod(part, 0o600); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(path))
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
