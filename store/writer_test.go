package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chancery/store"
	"chancery/store/storetest"
)

// held lets the writer wait in a transaction until release is called, so that what comes meanwhile is one group.
func held(t testing.TB, db *store.DB) (release func()) {
	t.Helper()
	inside, hold := make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- db.Write(context.Background(), func(store.Tx) error {
			close(inside)
			<-hold
			return nil
		})
	}()
	<-inside
	return func() {
		close(hold)
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

func TestOfRowsThatReplaceEachOtherTheLastStays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		release := held(t, db)
		replace := func(seq int, key, stanza string) []store.Row {
			r := put("s", seq, stanza)
			r.Replace = key
			return []store.Row{r}
		}
		var told atomic.Int32
		for i := range 10 {
			db.Append(replace(1, "a", fmt.Sprint(i)), func(error) { told.Add(1) })
			db.Append(replace(2, "b", fmt.Sprint(-i)), func(error) { told.Add(1) })
		}
		db.Append([]store.Row{put("s", 3, "plain")}, nil)
		release()
		barrier(t, db)
		if got := read(t, db, "s"); got != "1=9 2=-9 3=plain " {
			t.Errorf("rows are %q", got)
		}
		if told.Load() != 20 {
			t.Errorf("%d of 20 were told", told.Load())
		}
	})
}

func TestATransactionIsWholeOrNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		insert := func(tx store.Tx, seq int) error {
			_, err := tx.Exec(ctx, "INSERT INTO sm_queue (session, seq, at, stanza) VALUES ('s', ?, 0, ?)", seq, []byte("x"))
			return err
		}
		for what, fn := range map[string]func(tx store.Tx) error{
			"error":             func(tx store.Tx) error { return errors.Join(insert(tx, 1), errors.New("no")) },
			"panic":             func(tx store.Tx) error { insert(tx, 2); panic("no") },
			"overlooked error":  func(tx store.Tx) error { insert(tx, 3); insert(tx, 3); return nil },
			"error in a query":  func(tx store.Tx) error { insert(tx, 4); tx.Query(ctx, "SELECT nothing"); return nil },
			"too few arguments": func(tx store.Tx) error { insert(tx, 5); tx.Exec(ctx, "DELETE FROM sm_queue WHERE seq = ?"); return nil },
		} {
			if err := db.Write(ctx, fn); err == nil {
				t.Errorf("%s: succeeded", what)
			}
		}
		if got := read(t, db, "s"); got != "" {
			t.Errorf("left behind: %q", got)
		}
		if err := db.Write(ctx, func(tx store.Tx) error { return insert(tx, 9) }); err != nil {
			t.Error("the next one:", err)
		}
	})
}

func TestATransactionSeesItselfAndWhatCameBefore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		for i := range 5 {
			db.Append([]store.Row{put("s", i, "x")}, nil)
		}
		var n int
		err := db.Write(ctx, func(tx store.Tx) error {
			rows, err := tx.Query(ctx, "SELECT seq FROM sm_queue WHERE session = ? ORDER BY seq", "s")
			if err != nil {
				return err
			}
			var all []int
			for rows.Next() {
				var seq int
				if err := rows.Scan(&seq); err != nil {
					return err
				}
				all = append(all, seq)
			}
			if err := rows.Close(); err != nil {
				return err
			}
			for _, seq := range all {
				if _, err := tx.Exec(ctx, "UPDATE sm_queue SET seq = ? WHERE seq = ?", seq+100, seq); err != nil {
					return err
				}
			}
			if _, err := tx.Query(ctx, "SELECT seq FROM sm_queue"); err != nil { // not closed: the store does
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Read().QueryRow(ctx, "SELECT COUNT(*) FROM sm_queue WHERE seq >= 100").Scan(&n); err != nil || n != 5 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

func TestReadDoesNotWrite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if _, err := db.Read().Exec(t.Context(), "DELETE FROM account"); err == nil {
			t.Error("Exec")
		}
		if err := db.Read().QueryRow(t.Context(), "INSERT INTO revision (name, n) VALUES ('x', 1) RETURNING n").Scan(new(int)); err == nil {
			t.Error("QueryRow")
		}
	})
}

func TestOneQueryManyTimesAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for i := range 20 {
			db.Append([]store.Row{put("s", i, "x")}, nil)
		}
		barrier(t, db)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 20 {
					if got := strings.Count(read(t, db, "s"), "x"); got != 20 {
						t.Errorf("%d rows", got)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestWhoGivesUpInTimeHasNotWritten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		release := held(t, db)
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error)
		go func() {
			result <- db.Write(ctx, func(store.Tx) error { t.Error("it ran"); return nil })
		}()
		reason := errors.New("no patience")
		cancel(reason)
		if err := <-result; !errors.Is(err, reason) {
			t.Error(err)
		}
		release()
		barrier(t, db)
	})
}

func TestWhoGivesUpLateHears(t *testing.T) {
	db := storetest.SQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Write(ctx, func(tx store.Tx) error {
		cancel()
		_, err := tx.Exec(ctx, "INSERT INTO revision (name, n) VALUES ('x', 1)")
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if n, err := store.Revision(t.Context(), db.Read(), "x"); n != 1 || err != nil {
		t.Errorf("revision %d, %v", n, err)
	}
}

func TestAppendWaitsWhenThereIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.SQLite(t)
		release := held(t, db)
		var taken, told atomic.Int32
		go func() {
			for i := range 100 {
				db.Append([]store.Row{put("s", i, strings.Repeat("x", 1<<20))}, func(err error) {
					if err != nil {
						t.Error(err)
					}
					told.Add(1)
				})
				taken.Add(1)
			}
		}()
		synctest.Wait()
		if n := taken.Load(); n < 60 || n > 65 {
			t.Errorf("%d calls of 1 MiB were taken", n)
		}
		if s := db.Status(); s.WaitingBytes < 60<<20 {
			t.Errorf("status: %+v", s)
		}
		release()
		synctest.Wait()
		barrier(t, db)
		if told.Load() != 100 {
			t.Errorf("%d were told", told.Load())
		}
		if s := db.Status(); s.Waiting > 1 || s.WaitingBytes != 0 {
			t.Errorf("status: %+v", s)
		}
	})
}

// TestDoneMayAppend even when everybody else has filled the queue.
func TestDoneMayAppend(t *testing.T) {
	db := storetest.SQLite(t)
	big := strings.Repeat("x", 1<<20)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				wg.Add(1)
				db.Append([]store.Row{put("s", g*100+i, big)}, func(error) {
					db.Append([]store.Row{put("t", g*100+i, big)}, func(error) { wg.Done() })
				})
			}
		})
	}
	wg.Wait()
}

func TestCloseWritesWhatWaits(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, cfg store.Config) {
		db, err := store.Open(t.Context(), cfg, storetest.Log(t))
		if err != nil {
			t.Fatal(err)
		}
		release := held(t, db)
		var told int
		for i := range 3000 {
			db.Append([]store.Row{put("s", i, "x")}, func(err error) {
				if err == nil {
					told++
				}
			})
		}
		release()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if told != 3000 {
			t.Errorf("%d were told", told)
		}
		late := make(chan error, 1)
		db.Append(nil, func(err error) { late <- err })
		if err := <-late; !errors.Is(err, store.ErrClosed) {
			t.Error("afterwards:", err)
		}
		if err := db.Write(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Error("afterwards:", err)
		}
		var n int
		if err := storetest.Open(t, cfg).Read().QueryRow(t.Context(), "SELECT COUNT(*) FROM sm_queue").Scan(&n); err != nil || n != 3000 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

func TestAPanicInDoneDoesNotStopTheStore(t *testing.T) {
	db := storetest.SQLite(t)
	db.Append(nil, func(error) { panic("ouch") })
	barrier(t, db)
}

func TestBooleansAndNothingElseIsConverted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		account := &store.Table{Name: "account", Columns: []string{"id", "domain", "local", "disabled", "created"}, Key: 1}
		db.Append([]store.Row{{Table: account, Values: []any{1, "a.example", "romeo", true, uint8(7)}}}, nil)
		bad := make(chan error, 1)
		db.Append([]store.Row{{Table: account, Values: []any{2, "a.example", []string{"list"}, true, 7}}}, func(err error) { bad <- err })
		if err := <-bad; err == nil {
			t.Error("a list went into a column")
		}
		var disabled bool
		var created int
		if err := db.Read().QueryRow(ctx, "SELECT disabled, created FROM account WHERE disabled = ?", true).Scan(&disabled, &created); err != nil || !disabled || created != 7 {
			t.Error(disabled, created, err)
		}
	})
}

func TestIDsGrow(t *testing.T) {
	db := storetest.SQLite(t)
	last := int64(0)
	seen := map[int64]bool{}
	for range 10_000 {
		id := db.NewID()
		if id <= last {
			t.Fatalf("%d after %d", id, last)
		}
		if last = id; seen[id] {
			t.Fatal("twice")
		}
		seen[id] = true
	}
	if at := store.IDTime(last); store.IDFrom(at) > last || store.IDFrom(at.Add(2*time.Microsecond)) <= last {
		t.Errorf("id %d is of %s", last, at)
	}
}

// TestAgainstAModel does random things and compares with a map.
func TestAgainstAModel(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		seed := rand.Uint64()
		t.Log("seed", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		model := map[int]string{}
		var wg sync.WaitGroup
		next := 0 // the order in which results are told
		expect := func(want bool) func(error) {
			n := next
			next++
			wg.Add(1)
			return func(err error) {
				defer wg.Done()
				if (err == nil) != want {
					t.Errorf("request %d: %v, want success %t", n, err, want)
				}
			}
		}
		row := func(seq int, stanza string) store.Row {
			w := put("s", seq, stanza)
			if r.IntN(2) == 0 {
				w.Replace = fmt.Sprint(seq)
			}
			return w
		}
		for step := range 2000 {
			seq, stanza := r.IntN(20), fmt.Sprint(step)
			switch r.IntN(8) {
			case 0, 1, 2:
				other := r.IntN(20)
				db.Append([]store.Row{row(seq, stanza), row(other, stanza+"b")}, expect(true))
				model[seq] = stanza
				model[other] = stanza + "b"
			case 3:
				db.Append([]store.Row{store.Do("DELETE FROM sm_queue WHERE session = ? AND seq <= ?", "s", seq)}, expect(true))
				maps.DeleteFunc(model, func(k int, _ string) bool { return k <= seq })
			case 4: // a failure in the middle
				db.Append([]store.Row{row(seq, "lost"), store.Do("INSERT INTO nowhere VALUES (1)"), row(seq, "lost")}, expect(false))
			case 5:
				db.Append(nil, expect(true))
			case 6, 7:
				fails := r.IntN(2) == 0
				err := db.Write(t.Context(), func(tx store.Tx) error {
					_, err := tx.Exec(t.Context(), "UPDATE sm_queue SET stanza = ? WHERE seq = ?", []byte(stanza), seq)
					if fails {
						return errors.Join(err, errors.New("no"))
					}
					return err
				})
				if (err != nil) != fails {
					t.Errorf("step %d: %v", step, err)
				}
				if _, there := model[seq]; there && !fails {
					model[seq] = stanza
				}
			}
		}
		wg.Wait()
		var want strings.Builder
		for _, k := range slices.Sorted(maps.Keys(model)) {
			fmt.Fprintf(&want, "%d=%s ", k, model[k])
		}
		if got := read(t, db, "s"); got != want.String() {
			t.Errorf("got  %s\nwant %s", got, want.String())
		}
	})
}
