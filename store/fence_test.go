package store_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"

	"chancery/store"
	"chancery/store/storetest"
)

// A backend whose client was killed in the middle of COMMIT still commits. What it wrote must be there when the next process
// has opened the database.
func TestOpenWaitsForTheLastCommitOfTheProcessBefore(t *testing.T) {
	cfg := storetest.PostgresConfig(t)
	first, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	late, other := connect(t, cfg.DSN), connect(t, cfg.DSN)
	run(t, late, `SELECT pg_advisory_lock(hashtext('chancery writer'), hashtext(current_schema()))`)
	run(t, late, `BEGIN`)
	run(t, late, `INSERT INTO host (domain, created) VALUES ('late.example', 0)`)

	opened := make(chan *store.DB, 1)
	go func() {
		db, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Error(err)
		}
		opened <- db
	}()
	for waiting := 0; waiting == 0; {
		select {
		case <-opened:
			t.Fatal("the database was opened while somebody else was writing")
		default:
		}
		if err := other.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	run(t, late, `COMMIT`)
	if err := late.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := <-opened
	if db == nil {
		return
	}
	defer db.Close()
	var n int
	if err := db.Read().QueryRow(t.Context(), `SELECT count(*) FROM host WHERE domain = 'late.example'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows of the last commit, %v", n, err)
	}
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func run(t *testing.T, c *pgx.Conn, query string) {
	t.Helper()
	if _, err := c.Exec(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}
