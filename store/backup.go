package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
)

// Backup writes a consistent copy of the whole database to a new file while work goes on. The copy is on disk when Backup
// returns. Whatever the database, the copy is a SQLite file: it can be restored to either, and opened as it is.
func (db *DB) Backup(ctx context.Context, path string) error {
	if db.dialect.name == Postgres {
		return db.export(ctx, path)
	}
	// The readers are query_only, which refuses VACUUM INTO although it only reads.
	pool, err := db.dialect.pool(true, 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	return vacuumInto(ctx, pool, path)
}

// vacuumInto copies a SQLite database to a file that does not exist yet.
func vacuumInto(ctx context.Context, pool *sql.DB, path string) error {
	return whole(path, func(part string) error {
		_, err := pool.ExecContext(ctx, "VACUUM INTO ?", part)
		return err
	})
}

// whole makes a file that nobody else may read, and that has its name only when it is complete and on disk.
func whole(path string, fill func(part string) error) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s: %w", path, ErrExists)
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := createPrivate(part); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	if err := fill(part); err != nil {
		return err
	}
	if err := syncFile(part); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(path))
}

// createPrivate makes an empty file for us alone; one that exists stays as it is.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// BackupInfo is what Check finds in a backup.
type BackupInfo struct {
	SchemaVersion int64     `json:"schema_version"`
	Accounts      int64     `json:"accounts"`
	Bytes         int64     `json:"bytes"`
	Modified      time.Time `json:"modified"`
}

// Check reads every page of a backup. Its error says what is wrong: not a backup of ours, damaged, or of a newer version.
func Check(ctx context.Context, path string) (BackupInfo, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return BackupInfo{}, err
	}
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
		return BackupInfo{}, fmt.Errorf("%s is the database of a server, with its latest changes in %[1]s-wal, and no backup: make one with `chancery backup`, "+
			"or start and stop the server once", path)
	}
	pool, err := openFrozen(path)
	if err != nil {
		return BackupInfo{}, err
	}
	defer pool.Close()
	info := BackupInfo{Bytes: stat.Size(), Modified: stat.ModTime()}
	if info.SchemaVersion, err = versionOf(ctx, pool); err != nil {
		return info, fmt.Errorf("%s is not a backup of Chancery: %w", path, err)
	}
	latest, err := latestVersion()
	if err != nil {
		return info, err
	}
	if info.SchemaVersion > latest {
		return info, tooNew(path, info.SchemaVersion, latest)
	}
	var verdict string
	if err := pool.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil || verdict != "ok" {
		return info, fmt.Errorf("%s is damaged: %w", path, errors.Join(err, errors.New(verdict)))
	}
	return info, pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM account").Scan(&info.Accounts)
}

// openFrozen opens a SQLite file that nobody writes, and leaves no trace beside it.
func openFrozen(path string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c, err := sqlite.NewConnector((&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "mode=ro&immutable=1"}).String())
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector{c, false})
	pool.SetMaxOpenConns(1)
	return pool, nil
}

// Restore puts a backup in the place of a database that does not exist yet: a path where there is no file, or an empty
// PostgreSQL database. It is checked first. No server may use the database; Open brings its schema up to date.
func Restore(ctx context.Context, backup string, cfg Config, log *slog.Logger) error {
	info, err := Check(ctx, backup)
	if err != nil {
		return err
	}
	d, err := dialectOf(cfg)
	if err != nil {
		return err
	}
	log.Info("restoring a backup", "file", backup, "schema", info.SchemaVersion, "accounts", info.Accounts)
	if d.name == Postgres {
		return load(ctx, backup, info.SchemaVersion, d)
	}
	lock, err := lockFile(d.path + ".lock")
	if err != nil {
		return err
	}
	defer lock.release()
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(d.path + suffix); err == nil {
			return fmt.Errorf("%s: %w; move it away first", d.path+suffix, ErrExists)
		}
	}
	pool, err := openFrozen(backup)
	if err != nil {
		return err
	}
	defer pool.Close()
	return vacuumInto(ctx, pool, d.path)
}
