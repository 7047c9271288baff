package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"chancery/admin/api"
	"chancery/base/config"
	"chancery/store"
)

func (c *cli) backup() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the database while the server works",
		Long: `Copy the database while the server works: accounts, contacts, archives, settings, as of one moment. FILE (- is standard output)
is a SQLite file whatever the database, and can be restored to either; it is as secret as the database. Keys and certificates
are not in it: they are the folders tls and ca in the data folder.`,
		Example: "  chancery backup /backup/chancery-$(date +%F).db\n  chancery backup - | ssh safe.example.org 'cat > chancery.db'",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			if args[0] == "-" {
				_, err := client.Backup(cmd.Context(), c.out)
				return err
			}
			n, err := backupTo(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			return c.print(map[string]any{"file": absolute(args[0]), "bytes": n}, func(w io.Writer) {
				fmt.Fprintf(w, "Wrote %s, %d bytes. To use it: chancery restore %s --data FOLDER\n", args[0], n, args[0])
			})
		},
	}
}

// backupTo writes a new file; it has its name only when it is complete and on disk.
func backupTo(ctx context.Context, client *api.Client, path string) (n int64, err error) {
	if _, err := os.Lstat(path); err == nil {
		return 0, fmt.Errorf("%s exists already; a backup never replaces another", path)
	}
	err = writeWhole(path, func(w io.Writer) error {
		n, err = client.Backup(ctx, w)
		return err
	})
	return n, err
}

// writeWhole writes a file beside path and gives it its name when it is complete and on disk.
func writeWhole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // of what is not renamed
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (c *cli) restore() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of a stopped server's database",
		Long: `Put a backup in the place of a stopped server's database, named by --data or --config. The backup is checked first. A SQLite
database that was there is kept beside it; a PostgreSQL database must be empty. A backup of either goes into either: that is also the
way from one to the other.`,
		Example: "  systemctl stop chancery && chancery restore /backup/chancery.db --config chancery.toml",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.stopped(cmd.Context())
			if err != nil {
				return err
			}
			info, err := store.Check(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			kept, err := c.restoreInto(cmd.Context(), args[0], cfg)
			if err != nil {
				return err
			}
			return c.print(map[string]any{"database": cfg.SafeDatabase(), "kept": kept, "backup": info}, func(w io.Writer) {
				fmt.Fprintf(w, "Restored %s, %s, to %s.\n", args[0], some(int(info.Accounts), "account"), cfg.SafeDatabase())
				if kept != "" {
					fmt.Fprintf(w, "What was there is now %s; remove it when you are content.\n", kept)
				}
			})
		},
	}
}

// stopped is the configuration of a server that must not be running.
func (c *cli) stopped(ctx context.Context) (*config.Config, error) {
	var cfg *config.Config
	var err error
	switch {
	case c.data != "" && c.config != "":
		return nil, usagef("--data and --config name the server twice; use one of them")
	case c.data != "":
		cfg = config.Default(absolute(c.data))
		cfg.Data, cfg.Database = absolute(c.data), filepath.Join(absolute(c.data), "chancery.db")
	case c.config != "":
		cfg, err = config.Load(c.config)
	default:
		return nil, usagef("name the server with --data FOLDER or --config FILE")
	}
	switch {
	case err != nil:
		return nil, err
	case api.Running(ctx, cfg.AdminSocket()), !cfg.Postgres() && store.InUse(cfg.Database):
		return nil, fmt.Errorf("a server is running on %s; stop it first", cfg.Data)
	}
	return cfg, nil
}

// restoreInto returns the name under which the old database was kept; "" when there was none.
func (c *cli) restoreInto(ctx context.Context, backup string, cfg *config.Config) (kept string, err error) {
	log, _ := c.newLog(config.Log{Level: "warn"})
	if cfg.Postgres() {
		return "", store.Restore(ctx, backup, store.Config{Driver: store.Postgres, DSN: cfg.Database}, log)
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Database), 0o700); err != nil {
		return "", err
	}
	if _, err := os.Stat(cfg.Database); err == nil {
		kept = cfg.Database + ".before-" + time.Now().Format("20060102-150405")
		if err := moveDatabase(cfg.Database, kept); err != nil {
			return "", err
		}
	}
	err = store.Restore(ctx, backup, store.Config{Driver: store.SQLite, Path: cfg.Database}, log)
	if err != nil && kept != "" {
		return "", errors.Join(err, moveDatabase(kept, cfg.Database))
	}
	return kept, err
}

// moveDatabase renames all files of a SQLite database. The log goes first: a database without its log is not the same.
func moveDatabase(from, to string) error {
	for _, suffix := range []string{"-wal", "-shm", "-journal", ""} {
		if err := os.Rename(from+suffix, to+suffix); err != nil && !(suffix != "" && errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	return nil
}
