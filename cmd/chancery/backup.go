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
	"chancery/base/obs"
	"chancery/store"
)

func (c *cli) backup() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the database while the server works",
		Long: `Copy the database while the server works: accounts, contacts, archives, settings, as of one moment. FILE (- is standard output)
is a SQLite file, and as secret as the database. Keys and certificates are not in it; they are the folders tls and ca in the
data folder.

A server on PostgreSQL is backed up with pg_dump.`,
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
		Long: `Put a backup in the place of a stopped server's database, named by --data or --config. The backup is checked first, and brought up
to the schema of this version. The database that was there is kept beside it.`,
		Example: "  systemctl stop chancery && chancery restore /backup/chancery.db --config chancery.toml",
		Args:    exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.stopped(cmd.Context())
			if err != nil {
				return err
			}
			kept, err := c.restoreInto(cmd.Context(), args[0], cfg)
			if err != nil {
				return err
			}
			return c.print(map[string]string{"database": cfg.Database, "kept": kept}, func(w io.Writer) {
				fmt.Fprintf(w, "Restored %s to %s.\n", args[0], cfg.Database)
				if kept != "" {
					fmt.Fprintf(w, "What was there is now %s; remove it when you are content.\n", kept)
				}
			})
		},
	}
}

// stopped is the configuration of a server that must not be running, and is on SQLite.
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
	case cfg.Postgres():
		return nil, errors.New("this server keeps its rows in PostgreSQL; restore them with pg_restore or psql")
	case api.Running(ctx, cfg.AdminSocket()), store.InUse(cfg.Database):
		return nil, fmt.Errorf("a server is running on %s; stop it first", cfg.Data)
	}
	return cfg, nil
}

// restoreInto returns the name under which the old database was kept; "" when there was none.
func (c *cli) restoreInto(ctx context.Context, backup string, cfg *config.Config) (kept string, err error) {
	if err := os.MkdirAll(filepath.Dir(cfg.Database), 0o700); err != nil {
		return "", err
	}
	fresh := cfg.Database + ".restored"
	defer removeDatabase(fresh)
	err = writeWhole(fresh, func(w io.Writer) error {
		in, err := os.Open(backup)
		if err != nil {
			return err
		}
		defer in.Close()
		return copyDatabase(w, in, backup)
	})
	if err != nil {
		return "", err
	}
	if err := c.checkDatabase(ctx, fresh); err != nil {
		return "", fmt.Errorf("%s cannot be used: %w", backup, err)
	}
	if _, err := os.Stat(cfg.Database); err == nil {
		kept = cfg.Database + ".before-" + time.Now().Format("20060102-150405")
		if err := moveDatabase(cfg.Database, kept); err != nil {
			return "", err
		}
	}
	if err := os.Rename(fresh, cfg.Database); err != nil {
		return kept, err
	}
	return kept, syncDir(filepath.Dir(cfg.Database))
}

func copyDatabase(w io.Writer, in io.Reader, name string) error {
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(in, head); err != nil || string(head) != magic {
		return fmt.Errorf("%s is not a backup of Chancery", name)
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := io.Copy(w, in)
	return err
}

// checkDatabase opens it as the server would, and looks at every page.
func (c *cli) checkDatabase(ctx context.Context, path string) error {
	log, _ := obs.NewLog(c.err, obs.LogOptions{})
	db, err := store.Open(ctx, store.Config{Driver: store.SQLite, Path: path}, log)
	if err != nil {
		return err
	}
	var verdict string
	err = db.Read().QueryRow(ctx, "PRAGMA quick_check(1)").Scan(&verdict)
	if err == nil && verdict != "ok" {
		err = fmt.Errorf("it is damaged: %s", verdict)
	}
	return errors.Join(err, db.Close())
}

// suffixes of the files that belong to one SQLite database.
func suffixes() []string { return []string{"", "-wal", "-shm"} }

func moveDatabase(from, to string) error {
	for _, s := range suffixes() {
		if err := os.Rename(from+s, to+s); err != nil && !(s != "" && errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	return nil
}

func removeDatabase(path string) {
	for _, s := range append(suffixes(), ".lock") {
		_ = os.Remove(path + s)
	}
}
