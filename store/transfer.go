package store

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// The rows of a database of one kind go to one of the other kind table by table: the schemas are the same, names and all, but for
// tables that do on SQLite what an index does on PostgreSQL.

//go:embed migrations/refill.sql
var refill string

// export writes the rows of PostgreSQL to a new SQLite file.
func (db *DB) export(ctx context.Context, path string) error {
	pool, err := db.dialect.pool(false, 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	from, err := pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}) // one snapshot for all tables
	if err != nil {
		return err
	}
	defer from.Rollback()
	return whole(path, func(part string) error {
		to, err := openFresh(part)
		if err != nil {
			return err
		}
		defer to.Close()
		if _, err := migrateTo(ctx, to, sqliteDialect, db.version); err != nil {
			return err
		}
		tables, err := common(ctx, to, from)
		if err != nil {
			return err
		}
		tx, err := to.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		for _, t := range tables {
			if err := t.copy(ctx, from, tx); err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
		}
		if _, err := tx.ExecContext(ctx, refill); err != nil {
			return fmt.Errorf("filling what only SQLite has: %w", err)
		}
		return errors.Join(tx.Commit(), to.Close())
	})
}

// openFresh opens a SQLite file that is thrown away when we fail, so it need not be safe meanwhile.
func openFresh(path string) (*sql.DB, error) {
	q := url.Values{"_pragma": {"journal_mode(OFF)", "synchronous(OFF)"}}
	c, err := sqlite.NewConnector((&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(c)
	pool.SetMaxOpenConns(1)
	return pool, nil
}

// load fills an empty PostgreSQL database from a SQLite file of the given schema version.
func load(ctx context.Context, backup string, version int64, d *dialect) error {
	from, err := openFrozen(backup)
	if err != nil {
		return err
	}
	defer from.Close()
	c, err := d.connector(true)
	if err != nil {
		return err
	}
	pool := sql.OpenDB(c)
	defer pool.Close()
	if err := isEmpty(ctx, pool); err != nil {
		return err
	}
	if _, err := migrateTo(ctx, pool, d, version); err != nil {
		return err
	}
	tables, err := common(ctx, from, pool)
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		return pgx.BeginFunc(ctx, c.(*stdlib.Conn).Conn(), func(tx pgx.Tx) error {
			for _, t := range tables {
				if err := t.load(ctx, from, tx); err != nil {
					return fmt.Errorf("table %s: %w", t.name, err)
				}
			}
			return nil
		})
	})
}

func isEmpty(ctx context.Context, pool *sql.DB) error {
	var name string
	err := pool.QueryRowContext(ctx, `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY table_name LIMIT 1`).Scan(&name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("the PostgreSQL database is not empty, it has a table %q; restore into a new database", name)
}

// columns of a table, in their order.
type columns struct {
	name  string
	names []string
}

// querier is a database or a transaction in it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

const (
	sqliteColumns = `SELECT t.name, c.name FROM pragma_table_list t JOIN pragma_table_xinfo(t.name) c
		WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND c.hidden = 0 ORDER BY t.name, c.cid`
	postgresColumns = `SELECT table_name, column_name FROM information_schema.columns
		WHERE table_schema = current_schema() AND is_generated = 'NEVER' ORDER BY table_name COLLATE "C", ordinal_position`
)

// common lists what both databases have, except the account of migrations.
func common(ctx context.Context, lite, pg querier) ([]columns, error) {
	a, err := columnsOf(ctx, lite, sqliteColumns)
	if err != nil {
		return nil, err
	}
	b, err := columnsOf(ctx, pg, postgresColumns)
	if err != nil {
		return nil, err
	}
	var both []columns
	for _, t := range a {
		i := slices.IndexFunc(b, func(o columns) bool { return o.name == t.name })
		if i < 0 || t.name == "goose_db_version" {
			continue
		}
		t.names = slices.DeleteFunc(t.names, func(c string) bool { return !slices.Contains(b[i].names, c) })
		both = append(both, t)
	}
	return both, nil
}

func columnsOf(ctx context.Context, db querier, query string) ([]columns, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []columns
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, err
		}
		if len(all) == 0 || all[len(all)-1].name != table {
			all = append(all, columns{name: table})
		}
		t := &all[len(all)-1]
		t.names = append(t.names, column)
	}
	return all, rows.Err()
}

func (t columns) list() string { return strings.Join(t.names, ", ") }

func (t columns) values() (values, pointers []any) {
	values = make([]any, len(t.names))
	pointers = make([]any, len(t.names))
	for i := range values {
		pointers[i] = &values[i]
	}
	return values, pointers
}

// copy takes all rows from PostgreSQL to SQLite.
func (t columns) copy(ctx context.Context, from, to *sql.Tx) error {
	insert, err := to.PrepareContext(ctx, "INSERT INTO "+t.name+" ("+t.list()+") VALUES (?"+strings.Repeat(", ?", len(t.names)-1)+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	// A migration may have put rows into the new file.
	if _, err := to.ExecContext(ctx, "DELETE FROM "+t.name); err != nil {
		return err
	}
	rows, err := from.QueryContext(ctx, "SELECT "+t.list()+" FROM "+t.name)
	if err != nil {
		return err
	}
	defer rows.Close()
	values, pointers := t.values()
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// load takes all rows from SQLite to PostgreSQL.
func (t columns) load(ctx context.Context, from *sql.DB, to pgx.Tx) error {
	if _, err := to.Exec(ctx, "DELETE FROM "+t.name); err != nil {
		return err
	}
	rows, err := from.QueryContext(ctx, "SELECT "+t.list()+" FROM "+t.name)
	if err != nil {
		return err
	}
	defer rows.Close()
	values, pointers := t.values()
	_, err = to.CopyFrom(ctx, pgx.Identifier{t.name}, t.names, pgx.CopyFromFunc(func() ([]any, error) {
		if !rows.Next() {
			return nil, rows.Err()
		}
		err := rows.Scan(pointers...)
		return slices.Clone(values), err
	}))
	return err
}
