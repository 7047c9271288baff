package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chancery/store"
	"chancery/store/storetest"
)

func TestBothSchemasAreTheSame(t *testing.T) {
	pg := storetest.PostgresConfig(t)
	storetest.Open(t, pg)
	lite := storetest.SQLiteConfig(t)
	storetest.Open(t, lite)
	if diff := store.SchemaDiff(t, lite, pg); diff != "" {
		t.Error(diff)
	}
}

// TestBackupIsConsistentWhileWorkGoesOn: each commit has two rows, so a copy has an even number of them.
func TestBackupIsConsistentWhileWorkGoesOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, stop := context.WithCancel(t.Context())
		written := make(chan int)
		go func() {
			n := 0
			for ; ctx.Err() == nil; n += 2 {
				db.Append([]store.Row{put("s", n, "a"), put("s", n+1, strings.Repeat("b", 2000))}, nil)
				if n == 1000 {
					barrier(t, db)
					written <- n
				}
			}
			written <- n
		}()
		<-written
		path := filepath.Join(t.TempDir(), "copy")
		err := db.Backup(t.Context(), path)
		stop()
		<-written
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Backup(t.Context(), path); !errors.Is(err, store.ErrExists) {
			t.Errorf("over an older one: %v", err)
		}
		if left, _ := filepath.Glob(path + ".part*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if _, err := store.Check(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		restored := storetest.SQLiteConfig(t)
		if err := store.Restore(t.Context(), path, restored, storetest.Log(t)); err != nil {
			t.Fatal(err)
		}
		var n, most int
		if err := storetest.Open(t, restored).Read().QueryRow(t.Context(), "SELECT COUNT(*), MAX(seq) FROM sm_queue").Scan(&n, &most); err != nil || n%2 != 0 || n < 2 || most != n-1 {
			t.Errorf("%d rows, the last is %d, %v", n, most, err)
		}
	})
}

// TestEveryBackupGoesToEveryDatabase moves rows of all types from each kind to each kind.
func TestEveryBackupGoesToEveryDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		err := db.Write(ctx, func(tx store.Tx) error {
			for i := range 3000 {
				if _, err := tx.Exec(ctx, "INSERT INTO account (id, domain, local, disabled, created) VALUES (?, 'a.example', ?, ?, ?)", i, fmt.Sprintf("user%d", i), i%2 == 0, i); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, "INSERT INTO message (id, sender, recipient, conversation, stanza) VALUES (5, 1, NULL, -9, ?)", []byte("<message/>")); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "INSERT INTO vcard (account, xml, hash) VALUES (1, ?, 'é\U0001F642')", []byte{0, 1, 0xff, '<'})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "copy")
		if err := db.Backup(ctx, path); err != nil {
			t.Fatal(err)
		}
		info, err := store.Check(ctx, path)
		if err != nil || info.Accounts != 3000 || info.SchemaVersion != db.Status().SchemaVersion {
			t.Errorf("the copy: %+v, %v", info, err)
		}
		storetest.EachConfig(t, func(t *testing.T, cfg store.Config) {
			if err := store.Restore(ctx, path, cfg, storetest.Log(t)); err != nil {
				t.Fatal(err)
			}
			if err := store.Restore(ctx, path, cfg, storetest.Log(t)); err == nil {
				t.Error("restored over what was there")
			}
			back := storetest.Open(t, cfg)
			var n, disabled int
			if err := back.Read().QueryRow(ctx, "SELECT COUNT(*), CAST(SUM(disabled) AS BIGINT) FROM account").Scan(&n, &disabled); err != nil || n != 3000 || disabled != 1500 {
				t.Errorf("%d accounts, %d disabled, %v", n, disabled, err)
			}
			var xml []byte
			var hash string
			if err := back.Read().QueryRow(ctx, "SELECT xml, hash FROM vcard").Scan(&xml, &hash); err != nil || string(xml) != "\x00\x01\xff<" || hash != "é\U0001F642" {
				t.Errorf("the card is %q, %q, %v", xml, hash, err)
			}
			var tail int
			if db.Driver() == store.Postgres && cfg.Driver == store.SQLite {
				if err := back.Read().QueryRow(ctx, "SELECT id FROM archive_tail").Scan(&tail); err != nil || tail != 5 {
					t.Errorf("the tail of the archive is %d, %v", tail, err)
				}
			}
		})
	})
}

func TestDamagedAndForeignFilesAreNoBackups(t *testing.T) {
	db := storetest.SQLite(t)
	var rows []store.Row
	for i := range 3000 {
		rows = append(rows, put("s", i, strings.Repeat("x", 300)))
	}
	db.Append(rows, nil)
	barrier(t, db)
	good := filepath.Join(t.TempDir(), "good")
	if err := db.Backup(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	holed := append([]byte(nil), whole...)
	for page := len(holed) / 8192 * 4096; page < len(holed); page += 4096 {
		copy(holed[page:], strings.Repeat("\xa5", 64))
	}
	for name, content := range map[string][]byte{"text": []byte("hello"), "empty": nil, "cut": whole[:len(whole)/2], "holes": holed} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if info, err := store.Check(t.Context(), path); err == nil {
			t.Errorf("%s: taken for %+v", name, info)
		}
		if err := store.Restore(t.Context(), path, storetest.SQLiteConfig(t), storetest.Log(t)); err == nil {
			t.Errorf("%s: restored", name)
		}
	}
	if _, err := store.Check(t.Context(), filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
