// Package storetest gives tests real databases: SQLite always, PostgreSQL where it is installed.
package storetest

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"chancery/store"
)

// Each runs test on every database, each time an empty one of the current schema.
//
// PostgreSQL is the server that $CHANCERY_TEST_POSTGRES names (a connection string of a role that may create databases), or
// else a throw-away one, when the server's programs are installed. With $CHANCERY_REQUIRE_POSTGRES=1 its absence is a failure.
func Each(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	EachConfig(t, func(t *testing.T, cfg store.Config) { test(t, Open(t, cfg)) })
}

// EachConfig is Each for tests that open the database themselves; it is empty and has no schema.
func EachConfig(t *testing.T, test func(t *testing.T, cfg store.Config)) {
	t.Helper()
	t.Run(store.SQLite, func(t *testing.T) { test(t, SQLiteConfig(t)) })
	t.Run(store.Postgres, func(t *testing.T) { test(t, PostgresConfig(t)) })
}

// SQLite opens an empty SQLite database in a file that the test removes.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, SQLiteConfig(t))
}

// SQLiteConfig names a file that does not exist yet.
func SQLiteConfig(t testing.TB) store.Config {
	return store.Config{Driver: store.SQLite, Path: filepath.Join(t.TempDir(), "chancery.db")}
}

// Open opens a database and closes it when the test ends.
func Open(t testing.TB, cfg store.Config) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), cfg, Log(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error("closing the database:", err)
		}
	})
	return db
}

// Log writes to the test's output.
func Log(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// PostgresConfig names an empty PostgreSQL database that the test removes. Without PostgreSQL the test is skipped, or fails when
// $CHANCERY_REQUIRE_POSTGRES is 1.
func PostgresConfig(t testing.TB) store.Config {
	t.Helper()
	c, err := shared()
	if err == nil && c == nil {
		if os.Getenv("CHANCERY_REQUIRE_POSTGRES") == "1" {
			t.Fatal("PostgreSQL is required and not there: install its server, or set CHANCERY_TEST_POSTGRES")
		}
		t.Skip("PostgreSQL is not installed; set CHANCERY_TEST_POSTGRES to use a server elsewhere")
	}
	if err != nil {
		t.Fatal("starting PostgreSQL:", err)
	}
	return store.Config{Driver: store.Postgres, DSN: c.database(t)}
}
