package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

//go:embed migrations
var migrations embed.FS

// dialect is what differs between the two databases.
type dialect struct {
	name   string
	path   string // of the SQLite file
	begin  string
	goose  goose.Dialect
	config *pgx.ConnConfig
}

var sqliteDialect = &dialect{name: SQLite, begin: "BEGIN IMMEDIATE", goose: goose.DialectSQLite3}

func dialectOf(cfg Config) (*dialect, error) {
	switch cfg.Driver {
	case SQLite:
		if cfg.Path == "" {
			return nil, errors.New("the SQLite database needs a path")
		}
		path, err := filepath.Abs(cfg.Path)
		if err != nil {
			return nil, err
		}
		d := *sqliteDialect
		d.path = path
		return &d, nil
	case Postgres:
		config, err := pgx.ParseConfig(cfg.DSN)
		if err != nil {
			return nil, fmt.Errorf("the PostgreSQL connection string: %w", err)
		}
		return &dialect{name: Postgres, begin: "BEGIN", goose: goose.DialectPostgres, config: config}, nil
	}
	return nil, fmt.Errorf("unknown database driver %q; write %s or %s", cfg.Driver, SQLite, Postgres)
}

func (d *dialect) migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations/"+d.name)
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return sub
}

// connector makes the driver's own connections.
func (d *dialect) connector(writable bool) (driver.Connector, error) {
	if d.name == Postgres {
		return d.postgres(writable), nil
	}
	return sqlite.NewConnector(d.sqlite(writable))
}

// pool opens no connection yet.
func (d *dialect) pool(writable bool, size int) (*sql.DB, error) {
	base, err := d.connector(writable)
	if err != nil {
		return nil, err
	}
	p := sql.OpenDB(connector{base, d.name == Postgres})
	p.SetMaxOpenConns(size)
	p.SetMaxIdleConns(size)
	return p, nil
}

// groupContext bounds a commit. A PostgreSQL server that has gone without a word must not stop the writer for ever; for SQLite
// a context that can end would cost a goroutine for each statement.
func (d *dialect) groupContext() (context.Context, context.CancelFunc) {
	if d.name == Postgres {
		return context.WithTimeout(context.Background(), groupTime)
	}
	return context.Background(), func() {}
}

// fence makes the connection the only one that writes. A PostgreSQL backend does not notice at once that its client was killed, and
// may commit a last time after the next process has read its rows; its lock goes when it is done. For SQLite the file's lock does it.
func (d *dialect) fence(ctx context.Context, conn *sql.Conn) error {
	if d.name != Postgres {
		return nil
	}
	_, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock(hashtext('chancery writer'), hashtext(current_schema()))`)
	if err != nil && ctx.Err() != nil {
		return &classed{ErrUnavailable, ErrInUse}
	}
	return err
}

const (
	groupTime   = 8 * time.Second
	connectTime = 5 * time.Second
)

// sqlite is the DSN. WAL with synchronous=FULL syncs each commit before it is reported.
func (d *dialect) sqlite(writable bool) string {
	q := url.Values{"_pragma": {"busy_timeout(5000)", "synchronous(FULL)", "temp_store(MEMORY)"}}
	if writable {
		q["_pragma"] = append(q["_pragma"], "journal_mode(WAL)", "cache_size(-16384)", fmt.Sprintf("wal_autocheckpoint(%d)", walPages), "journal_size_limit(100000000)")
	} else {
		q["_pragma"] = append(q["_pragma"], "query_only(1)", "cache_size(-4096)")
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(d.path), RawQuery: q.Encode()}).String()
}

// exposed says what is wrong with a connection that leaves this machine; "" when nothing is.
func (d *dialect) exposed() string {
	if d.name != Postgres || strings.HasPrefix(d.config.Host, "/") || d.config.Host == "localhost" {
		return ""
	}
	if a, err := netip.ParseAddr(d.config.Host); err == nil && a.IsLoopback() {
		return ""
	}
	switch tls := d.config.TLSConfig; {
	case tls == nil, len(d.config.Fallbacks) > 0 && d.config.Fallbacks[0].TLSConfig == nil:
		return "passwords and messages may cross the network in the clear"
	case tls.InsecureSkipVerify:
		return "whoever can redirect the connection reads and changes everything"
	}
	return ""
}

func (d *dialect) postgres(writable bool) driver.Connector {
	config := d.config.Copy()
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "chancery"
	}
	config.RuntimeParams["synchronous_commit"] = "on" // whatever the server's default
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTime
	}
	if !writable {
		config.RuntimeParams["default_transaction_read_only"] = "on"
	}
	return stdlib.GetConnector(*config)
}
