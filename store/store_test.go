package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"chancery/store"
	"chancery/store/storetest"
)

var queue = &store.Table{Name: "sm_queue", Columns: []string{"session", "seq", "at", "stanza"}, Key: 2}

// put is one row of sm_queue.
func put(session string, seq int, stanza string) store.Row {
	return store.Row{Table: queue, Values: []any{session, seq, int64(0), []byte(stanza)}}
}

// barrier waits for all that was appended before.
func barrier(t testing.TB, db *store.DB) {
	t.Helper()
	c := make(chan error, 1)
	db.Append(nil, func(err error) { c <- err })
	if err := <-c; err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, db *store.DB, session string) string {
	t.Helper()
	rows, err := db.Read().Query(t.Context(), "SELECT seq, stanza FROM sm_queue WHERE session = ? ORDER BY seq", session)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := ""
	for rows.Next() {
		var seq int
		var stanza []byte
		if err := rows.Scan(&seq, &stanza); err != nil {
			t.Fatal(err)
		}
		all += fmt.Sprintf("%d=%s ", seq, stanza)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAppendTakesEffectInOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var told []int
		for i := range 50 {
			db.Append([]store.Row{put("s", i, "a")}, func(err error) {
				if err != nil {
					t.Error(err)
				}
				told = append(told, i)
			})
		}
		db.Append([]store.Row{store.Do("DELETE FROM sm_queue WHERE session = ? AND seq < ?", "s", 48), put("s", 48, "b")}, nil)
		if err := db.Write(t.Context(), func(tx store.Tx) error {
			_, err := tx.Exec(t.Context(), "UPDATE sm_queue SET stanza = ? WHERE seq = ?", []byte("w"), 49)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(told) != 50 || told[0] != 0 || told[49] != 49 {
			t.Errorf("told in the order %v", told)
		}
		if got := read(t, db, "s"); got != "48=b 49=w " {
			t.Errorf("rows are %q", got)
		}
	})
}

func TestOneFailureDoesNotHurtOthers(t *testing.T) {
	account := &store.Table{Name: "account", Columns: []string{"id", "domain", "local", "created"}}
	row := func(id int) store.Row {
		return store.Row{Table: account, Values: []any{id, "a.example", fmt.Sprint("user", id), 1}}
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		hold := make(chan struct{})
		go db.Write(t.Context(), func(store.Tx) error { <-hold; return nil }) // so that the rest becomes one group
		errs := make([]error, 6)
		keep := func(i int) func(error) { return func(err error) { errs[i] = err } }
		db.Append([]store.Row{row(1)}, keep(0))
		db.Append([]store.Row{row(2), row(1)}, keep(1))
		db.Append([]store.Row{row(3)}, keep(2))
		writes := make(chan error, 2)
		go func() {
			writes <- db.Write(t.Context(), func(tx store.Tx) error {
				tx.Exec(t.Context(), "INSERT INTO account (id, domain, local, created) VALUES (9, 'x', 'y', 1)")
				return errors.New("changed my mind")
			})
			writes <- db.Write(t.Context(), func(tx store.Tx) error {
				tx.Exec(t.Context(), "INSERT INTO nowhere (id) VALUES (1)") // the error is not looked at
				return nil
			})
		}()
		close(hold)
		if err := <-writes; err == nil || err.Error() != "changed my mind" {
			t.Errorf("the first write says %v", err)
		}
		if err := <-writes; err == nil {
			t.Error("a failed statement went unnoticed")
		}
		db.Append([]store.Row{row(4)}, keep(3))
		barrier(t, db)
		for i, want := range []error{nil, store.ErrExists, nil, nil} {
			if !errors.Is(errs[i], want) {
				t.Errorf("request %d: %v, want %v", i, errs[i], want)
			}
		}
		var n, sum int
		if err := db.Read().QueryRow(t.Context(), "SELECT COUNT(*), CAST(SUM(id) AS BIGINT) FROM account").Scan(&n, &sum); err != nil || n != 3 || sum != 8 {
			t.Errorf("%d rows, sum of ids %d, %v; want 3, 8", n, sum, err)
		}
	})
}

func TestNoRowIsErrNone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var n int
		err := db.Read().QueryRow(context.Background(), "SELECT id FROM account WHERE local = ?", "nobody").Scan(&n)
		if !errors.Is(err, store.ErrNone) {
			t.Error(err)
		}
	})
}
