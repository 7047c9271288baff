package store

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheLogIsMovedBesideTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := Open(t.Context(), Config{Driver: SQLite, Path: filepath.Join(t.TempDir(), "chancery.db")}, quiet(t))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		page := make([]byte, 4096)
		for i := range checkpointPages + 100 {
			db.Append([]Row{Do("INSERT INTO sm_queue (session, seq, at, stanza) VALUES ('s', ?, 0, ?)", i, page)}, nil)
		}
		if err := db.Write(t.Context(), func(Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
		waiting := func() int {
			t.Helper()
			n, err := db.moves.pragma(t.Context(), "NOOP")
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := waiting(); n < checkpointPages {
			t.Errorf("%d pages wait in the log right after the commits", n)
		}
		time.Sleep(2 * checkpointPause)
		synctest.Wait()
		if n := waiting(); n >= checkpointPages {
			t.Errorf("%d pages wait in the log after a pause", n)
		}
	})
}
