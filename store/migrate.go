package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
)

// migrate brings the schema up to date and returns its version.
func migrate(ctx context.Context, d *dialect, log *slog.Logger) (int64, error) {
	c, err := d.connector(true)
	if err != nil {
		return 0, err
	}
	pool := sql.OpenDB(c)
	defer pool.Close()
	p, err := goose.NewProvider(d.goose, pool, d.migrations(), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return 0, fmt.Errorf("migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the schema version: %w", err)
	}
	switch {
	case have == want:
		return have, nil
	case have > want:
		return 0, fmt.Errorf("the database has schema version %d, and this program knows versions up to %d: it was last used by a newer Chancery. "+
			"Start that version again, or restore a backup that was made before the upgrade", have, want)
	}
	if have > 0 && d.path != "" {
		copied := fmt.Sprintf("%s.v%d-%s", d.path, have, time.Now().UTC().Format("20060102T150405Z"))
		if err := vacuumInto(ctx, pool, copied); err != nil {
			return 0, fmt.Errorf("the backup before the migration: %w", err)
		}
		log.Info("database copied before its schema changes", "file", copied, "from", have, "to", want)
	}
	if _, err := p.Up(ctx); err != nil {
		return 0, fmt.Errorf("migrating the schema from version %d to %d: %w", have, want, err)
	}
	return want, nil
}
