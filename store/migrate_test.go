package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func quiet(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// atVersion makes a SQLite file with the schema of a version.
func atVersion(t *testing.T, version int64) Config {
	t.Helper()
	cfg := Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "chancery.db")}
	beside(t, cfg, func(pool *sql.DB) error {
		_, err := migrateTo(t.Context(), pool, sqliteDialect, version)
		return err
	})
	return cfg
}

// beside uses a connection beside the store.
func beside(t testing.TB, cfg Config, do func(*sql.DB) error) {
	t.Helper()
	pool := rawPool(t, cfg)
	if err := errors.Join(do(pool), pool.Close()); err != nil {
		t.Fatal(err)
	}
}

func exec(query string) func(*sql.DB) error {
	return func(pool *sql.DB) error {
		_, err := pool.Exec(query)
		return err
	}
}

func rawPool(t testing.TB, cfg Config) *sql.DB {
	t.Helper()
	d, err := dialectOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.connector(true)
	if err != nil {
		t.Fatal(err)
	}
	pool := sql.OpenDB(c)
	t.Cleanup(func() { pool.Close() })
	return pool
}

func TestAFileOfTheFirstVersionIsBroughtUpToDate(t *testing.T) {
	cfg := atVersion(t, 1)
	beside(t, cfg, exec("INSERT INTO account (id, domain, local, created) VALUES (1, 'a.example', 'romeo', 1)"))
	db, err := Open(t.Context(), cfg, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var local string
	if err := db.Read().QueryRow(t.Context(), "SELECT local FROM account WHERE id = 1").Scan(&local); err != nil || local != "romeo" {
		t.Errorf("the account is %q, %v", local, err)
	}
	if err := db.Read().QueryRow(t.Context(), "SELECT COUNT(*) FROM sm_queue").Scan(new(int)); err != nil {
		t.Errorf("a newer table: %v", err)
	}
	copies, err := filepath.Glob(cfg.Path + ".v1-*")
	if err != nil || len(copies) != 1 {
		t.Fatalf("copies before the migration: %v, %v", copies, err)
	}
	info, err := Check(t.Context(), copies[0])
	if err != nil || info.SchemaVersion != 1 || info.Accounts != 1 {
		t.Errorf("the copy: %+v, %v", info, err)
	}
}

func TestOpeningAgainChangesNothing(t *testing.T) {
	cfg := Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "chancery.db")}
	for range 2 {
		db, err := Open(t.Context(), cfg, quiet(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(cfg.Path), "*.v*"))
	if len(files) > 0 {
		t.Errorf("copies were made: %v", files)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	cfg := atVersion(t, 2)
	beside(t, cfg, exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"))
	_, err := Open(t.Context(), cfg, quiet(t))
	if !errors.Is(err, ErrTooNew) || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("opening: %v", err)
	}
	if _, err := Check(t.Context(), cfg.Path); !errors.Is(err, ErrTooNew) {
		t.Errorf("checking: %v", err)
	}
}

func TestBothDialectsHaveTheSameMigrations(t *testing.T) {
	names := func(d *dialect) []string {
		files, err := fs.Glob(d.migrations(), "*.sql")
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	lite, pg := names(sqliteDialect), names(&dialect{name: Postgres})
	if !slices.Equal(lite, pg) {
		t.Errorf("sqlite has %v, postgres has %v", lite, pg)
	}
}

func TestOnlyOneProgramHasTheFile(t *testing.T) {
	cfg := Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "chancery.db")}
	db, err := Open(t.Context(), cfg, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), cfg, quiet(t)); !errors.Is(err, ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	if !InUse(cfg.Path) {
		t.Error("InUse says no")
	}
	db.Close()
	if InUse(cfg.Path) {
		t.Error("InUse says yes after Close")
	}
}

func TestNobodyElseReadsTheFiles(t *testing.T) {
	cfg := Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "chancery.db")}
	db, err := Open(t.Context(), cfg, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Backup(t.Context(), cfg.Path+".backup"); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(cfg.Path + "*")
	if len(files) < 4 {
		t.Errorf("only %v", files)
	}
	for _, f := range files {
		if s, err := os.Stat(f); err != nil || s.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, %v", f, s.Mode(), err)
		}
	}
}

func TestBadConfigurationSaysWhatIsWrong(t *testing.T) {
	for says, cfg := range map[string]Config{
		"unknown database driver": {Driver: "oracle"},
		"needs a path":            {Driver: SQLite},
		"connection string":       {Driver: Postgres, DSN: "postgres://:::"},
		"no such file":            {Driver: SQLite, Path: "/nowhere/at/all/chancery.db"},
		"not a database":          {Driver: SQLite, Path: garbage(t)},
		"directory":               {Driver: SQLite, Path: t.TempDir()},
	} {
		db, err := Open(t.Context(), cfg, quiet(t))
		if err == nil {
			db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", cfg, err, says)
		}
	}
}

func garbage(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "garbage.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("This is no database. ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// logical is the schema without what only one database has: for each table its columns with kind and NOT NULL, its key, and its
// indexes.
func logical(ctx context.Context, pool *sql.DB, queries [2]string) (string, error) {
	var lines []string
	for _, q := range queries {
		rows, err := pool.QueryContext(ctx, q)
		if err != nil {
			return "", err
		}
		defer rows.Close()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				return "", err
			}
			lines = append(lines, line)
		}
		if err := rows.Err(); err != nil {
			return "", err
		}
	}
	return strings.Join(lines, "\n"), nil
}

// sqliteSchema and postgresSchema give the same text for the same schema.
var (
	sqliteSchema = [2]string{
		`SELECT t.name || '.' || c.cid || ' ' || c.name || ' ' || CASE c.type WHEN 'INTEGER' THEN 'int' WHEN 'TEXT' THEN 'text' WHEN 'BLOB' THEN 'bytes' WHEN 'REAL' THEN 'real' ELSE c.type END ||
			CASE WHEN c."notnull" = 1 THEN ' not null' ELSE '' END || CASE WHEN c.dflt_value IS NOT NULL THEN ' default ' || c.dflt_value ELSE '' END
		FROM pragma_table_list t JOIN pragma_table_xinfo(t.name) c
		WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'goose_db_version'`,
		`SELECT line FROM (
			SELECT t.name AS tab, 'key ' || t.name || ' (' || group_concat(c.name, ',' ORDER BY c.pk) || ')' AS line
			FROM pragma_table_list t JOIN pragma_table_xinfo(t.name) c WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'goose_db_version' AND c.pk > 0 GROUP BY t.name
			UNION ALL
			SELECT t.name, CASE WHEN i."unique" = 1 THEN 'unique ' ELSE 'index ' END || t.name || ' (' || (SELECT group_concat(x.name, ',' ORDER BY x.seqno) FROM pragma_index_info(i.name) x) || ')'
			FROM pragma_table_list t JOIN pragma_index_list(t.name) i WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'goose_db_version' AND i.origin <> 'pk'
		)`,
	}
	postgresSchema = [2]string{
		`SELECT table_name || '.' || ordinal_position - 1 || ' ' || column_name || ' ' || CASE data_type WHEN 'bigint' THEN 'int' WHEN 'smallint' THEN 'int' WHEN 'integer' THEN 'int' WHEN 'bytea' THEN 'bytes' WHEN 'double precision' THEN 'real' ELSE data_type END ||
			CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END || CASE WHEN column_default IS NOT NULL THEN ' default ' || column_default ELSE '' END
		FROM information_schema.columns WHERE table_schema = current_schema() AND table_name <> 'goose_db_version'`,
		`SELECT CASE WHEN i.indisprimary THEN 'key ' WHEN i.indisunique THEN 'unique ' ELSE 'index ' END || t.relname || ' (' ||
			(SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY k(att, n) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.att) || ')' AS line
		FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace s ON s.oid = t.relnamespace
		WHERE s.nspname = current_schema() AND t.relname <> 'goose_db_version'`,
	}
)

// deliberate differences: on SQLite the archive's indexes are tables, so that they can be filled later.
var deliberate = regexp.MustCompile(`^only in sqlite: (key |index )?archive(_tail|_with)?[. ]|^only in postgres: index message `)

// SchemaDiff is for the test in package store_test, which has PostgreSQL.
func SchemaDiff(t *testing.T, lite, pg Config) string {
	t.Helper()
	a, err := logical(t.Context(), rawPool(t, lite), sqliteSchema)
	if err != nil {
		t.Fatal(err)
	}
	b, err := logical(t.Context(), rawPool(t, pg), postgresSchema)
	if err != nil {
		t.Fatal(err)
	}
	if len(strings.Split(a, "\n")) < 50 {
		t.Fatalf("the schema is suspiciously small:\n%s", a)
	}
	var diff []string
	only := func(mark, a, b string) {
		for line := range strings.Lines(a + "\n") {
			d := fmt.Sprintf("only in %s: %s", mark, strings.TrimSpace(line))
			if !strings.Contains("\n"+b+"\n", "\n"+line) && !deliberate.MatchString(d) {
				diff = append(diff, d)
			}
		}
	}
	only(SQLite, a, b)
	only(Postgres, b, a)
	return strings.Join(diff, "\n")
}

// Lock takes the write lock of a SQLite file, as another program would, for a test of package store_test.
func Lock(t testing.TB, cfg Config) (unlock func()) {
	t.Helper()
	pool := rawPool(t, cfg)
	pool.SetMaxOpenConns(1)
	if err := exec("BEGIN IMMEDIATE")(pool); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := exec("ROLLBACK")(pool); err != nil {
			t.Error(err)
		}
	}
}
