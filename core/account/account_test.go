package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/jid"
	"chancery/xmpp/sasl"
)

// quick are settings with which tests do not wait for hashes.
func quick() *settings.Live {
	s := settings.Defaults()
	s.Login.Iterations = 4096
	return settings.Fixed(s)
}

func open(t testing.TB, db *store.DB) *Accounts {
	t.Helper()
	a, err := Open(t.Context(), db, quick())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var (
	romeo  = jid.MustParse("romeo@a.example")
	juliet = jid.MustParse("juliet@a.example")
)

func create(t testing.TB, a *Accounts, bare jid.JID, password string) (acc Account) {
	t.Helper()
	err := a.db.Write(t.Context(), func(tx store.Tx) (err error) {
		acc, err = a.Create(t.Context(), tx, bare, password, false)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Changed(bare)
	return acc
}

func write(t testing.TB, a *Accounts, do func(ctx context.Context, tx store.Tx) error) {
	t.Helper()
	if err := a.db.Write(t.Context(), func(tx store.Tx) error { return do(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func TestAnAccountLogsInUntilItIsDisabledOrDeleted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a, ctx := open(t, db), t.Context()
		if _, err := a.Find(ctx, romeo); !errors.Is(err, ErrNone) {
			t.Fatal("before: ", err)
		}
		made := create(t, a, romeo, "shallow bay")
		found, err := a.Find(ctx, romeo)
		if err != nil || found != made {
			t.Fatalf("found %+v, %v; made %+v", found, err, made)
		}
		if got, err := a.CheckPassword(ctx, romeo, "shallow bay"); err != nil || got != made {
			t.Errorf("the right password: %+v, %v", got, err)
		}
		for _, wrong := range []string{"shallow Bay", "", "shallow bay ", strings.Repeat("x", 5000), "\x00"} {
			if _, err := a.CheckPassword(ctx, romeo, wrong); !errors.Is(err, ErrDenied) {
				t.Errorf("password %.20q: %v", wrong, err)
			}
		}
		for _, h := range sasl.Hashes() {
			k, err := a.Keys(ctx, romeo, h)
			if err != nil || k.Fake || !k.Matches(h, "shallow bay") {
				t.Errorf("%s: %+v, %v", h, k, err)
			}
		}
		write(t, a, func(ctx context.Context, tx store.Tx) error { return a.SetPassword(ctx, tx, made.ID, "new") })
		if _, err := a.CheckPassword(ctx, romeo, "shallow bay"); !errors.Is(err, ErrDenied) {
			t.Error("the old password:", err)
		}
		write(t, a, func(ctx context.Context, tx store.Tx) error { return a.SetDisabled(ctx, tx, made.ID, true) })
		a.Changed(romeo)
		if _, err := a.CheckPassword(ctx, romeo, "new"); !errors.Is(err, ErrDenied) {
			t.Error("disabled:", err)
		}
		if f, err := a.Find(ctx, romeo); err != nil || !f.Disabled {
			t.Errorf("disabled: %+v, %v", f, err)
		}
		write(t, a, func(ctx context.Context, tx store.Tx) error {
			return errors.Join(a.SetDisabled(ctx, tx, made.ID, false), a.SetAdmin(ctx, tx, made.ID, true))
		})
		a.Changed(romeo)
		if f, err := a.CheckPassword(ctx, romeo, "new"); err != nil || !f.Admin {
			t.Errorf("enabled: %+v, %v", f, err)
		}
		write(t, a, func(ctx context.Context, tx store.Tx) error { return a.Delete(ctx, tx, made.ID) })
		a.Changed(romeo)
		if _, err := a.Find(ctx, romeo); !errors.Is(err, ErrNone) {
			t.Error("deleted:", err)
		}
		var left int
		if err := db.Read().QueryRow(ctx, "SELECT COUNT(*) FROM credential").Scan(&left); err != nil || left != 0 {
			t.Error(left, "keys are left of it", err)
		}
	})
}

func TestWhatIsNotThereIsErrNone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := open(t, db)
		for what, do := range map[string]func(ctx context.Context, tx store.Tx) error{
			"SetDisabled": func(ctx context.Context, tx store.Tx) error { return a.SetDisabled(ctx, tx, 7, true) },
			"SetAdmin":    func(ctx context.Context, tx store.Tx) error { return a.SetAdmin(ctx, tx, 7, true) },
			"Delete":      func(ctx context.Context, tx store.Tx) error { return a.Delete(ctx, tx, 7) },
			"ByID":        func(ctx context.Context, tx store.Tx) error { _, err := ByID(ctx, tx, 7); return err },
		} {
			if err := db.Write(t.Context(), func(tx store.Tx) error { return do(t.Context(), tx) }); !errors.Is(err, ErrNone) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestAnAddressIsTakenOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := open(t, db)
		create(t, a, romeo, "one")
		err := db.Write(t.Context(), func(tx store.Tx) error {
			_, err := a.Create(t.Context(), tx, romeo, "two", true)
			return err
		})
		if !errors.Is(err, store.ErrExists) {
			t.Error(err)
		}
		if _, err := a.CheckPassword(t.Context(), romeo, "one"); err != nil {
			t.Error("the first one suffered:", err)
		}
	})
}

func TestBadAddressesAndPasswordsMakeNoAccount(t *testing.T) {
	a := open(t, storetest.SQLite(t))
	for _, c := range []struct{ who, password string }{
		{"a.example", "x"}, {"romeo@a.example/orchard", "x"}, {"romeo@a.example", ""}, {"romeo@a.example", "a\tb"}, {"romeo@a.example", strings.Repeat("x", 1024)},
	} {
		err := a.db.Write(t.Context(), func(tx store.Tx) error {
			_, err := a.Create(t.Context(), tx, jid.MustParse(c.who), c.password, false)
			return err
		})
		if err == nil {
			t.Errorf("%s with %.10q was made", c.who, c.password)
		}
	}
}

func TestPasswordsAreComparedAsPrepared(t *testing.T) {
	a := open(t, storetest.SQLite(t))
	create(t, a, romeo, "pa\u00a0ss\u212b") // no-break space, Ångström sign
	if _, err := a.CheckPassword(t.Context(), romeo, "pa ss\u00c5"); err != nil {
		t.Error(err)
	}
}

func TestUnknownAccountsAnswerLikeKnownOnes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a, ctx := open(t, db), t.Context()
		real := create(t, a, romeo, "secret")
		shape := func(k sasl.Keys) string {
			return fmt.Sprint(len(k.Salt), k.Iterations, len(k.StoredKey), len(k.ServerKey))
		}
		for _, h := range sasl.Hashes() {
			known, err := a.Keys(ctx, romeo, h)
			if err != nil {
				t.Fatal(err)
			}
			first, err := a.Keys(ctx, juliet, h)
			if err != nil {
				t.Fatal(err)
			}
			if !first.Fake || shape(first) != shape(known) {
				t.Errorf("%s: unknown %s, known %s, marked %t", h, shape(first), shape(known), first.Fake)
			}
			again, err := Open(ctx, db, quick()) // a restart, or another node
			if err != nil {
				t.Fatal(err)
			}
			second, err := again.Keys(ctx, juliet, h)
			if err != nil || !bytes.Equal(first.Salt, second.Salt) {
				t.Errorf("%s: the salt of an unknown account changes, %v", h, err)
			}
		}
		write(t, a, func(ctx context.Context, tx store.Tx) error { return a.SetDisabled(ctx, tx, real.ID, true) })
		if k, err := a.Keys(ctx, romeo, sasl.SHA1); err != nil || !k.Fake {
			t.Errorf("disabled: %+v, %v", k, err)
		}
	})
}

func TestForgettingIsPartOfTheDeletion(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a, ctx := open(t, db), t.Context()
		acc := create(t, a, romeo, "x")
		write(t, a, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO block_item (account, contact) VALUES (?, 'tybalt@a.example')", acc.ID)
			return err
		})
		forget := func(ctx context.Context, tx store.Tx, who Account) error {
			if who != acc {
				t.Errorf("asked to forget %+v", who)
			}
			_, err := tx.Exec(ctx, "DELETE FROM block_item WHERE account = ?", who.ID)
			return err
		}
		err := db.Write(ctx, func(tx store.Tx) error {
			return a.Delete(ctx, tx, acc.ID, forget, nil, func(context.Context, store.Tx, Account) error { return errors.New("no") })
		})
		if err == nil || !strings.Contains(err.Error(), "romeo@a.example: no") {
			t.Error(err)
		}
		var n int
		if err := db.Read().QueryRow(ctx, "SELECT COUNT(*) FROM block_item").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d rows after a deletion that failed, %v", n, err)
		}
		write(t, a, func(ctx context.Context, tx store.Tx) error { return a.Delete(ctx, tx, acc.ID, forget) })
		if err := db.Read().QueryRow(ctx, "SELECT COUNT(*) FROM block_item").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows after the deletion, %v", n, err)
		}
	})
}

func TestLists(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a, ctx := open(t, db), t.Context()
		keys := map[sasl.Hash]sasl.Keys{sasl.SHA1: {Salt: []byte("salt"), Iterations: 1, StoredKey: make([]byte, 20), ServerKey: make([]byte, 20)}}
		var entries []Entry
		for _, who := range []string{"b@b.example", "a_b@a.example", "axb@a.example", "é@a.example", "z@a.example", "a@b.example"} {
			entries = append(entries, Entry{JID: jid.MustParse(who), Keys: keys, Admin: who == "z@a.example", Disabled: who == "b@b.example"})
		}
		if n, err := a.Import(ctx, slices.Values(entries), nil); n != len(entries) || err != nil {
			t.Fatal(n, err)
		}
		yes := true
		for _, c := range []struct {
			filter Filter
			want   string
		}{
			{Filter{}, "a_b@a.example axb@a.example z@a.example é@a.example a@b.example b@b.example"},
			{Filter{Domain: "b.example"}, "a@b.example b@b.example"},
			{Filter{Text: "_"}, "a_b@a.example"},
			{Filter{Text: "B"}, "a_b@a.example axb@a.example b@b.example"},
			{Filter{Admin: &yes}, "z@a.example"},
			{Filter{Disabled: &yes}, "b@b.example"},
		} {
			var got []string
			after := jid.JID{}
			for {
				page, err := a.List(ctx, c.filter, after, 2)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				for _, l := range page {
					got, after = append(got, l.JID.String()), l.JID
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%+v lists %q, want %q", c.filter, s, c.want)
			}
			if n, err := a.Count(ctx, c.filter); err != nil || n != len(got) {
				t.Errorf("%+v counts %d, %v", c.filter, n, err)
			}
		}
	})
}

func TestLastSeen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a, ctx := open(t, db), t.Context()
		acc := create(t, a, romeo, "x")
		if at, err := a.LastSeen(ctx, acc.ID); err != nil || !at.IsZero() {
			t.Error(at, err)
		}
		now := time.Now().UTC().Truncate(time.Microsecond)
		a.Seen(acc.ID, now)
		a.Seen(acc.ID, now.Add(-time.Hour)) // late news
		write(t, a, func(context.Context, store.Tx) error { return nil })
		if at, err := a.LastSeen(ctx, acc.ID); err != nil || !at.Equal(now) {
			t.Error(at, err, "want", now)
		}
	})
}

func TestImport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a, ctx := open(t, db), t.Context()
		create(t, a, jid.MustParse("user3@a.example"), "there before")
		shared := a.derive("same for all").keys
		var entries []Entry
		for i := range 700 { // more than one transaction
			entries = append(entries, Entry{JID: jid.MustParse(fmt.Sprintf("user%d@a.example", i)), Keys: shared})
		}
		entries[5] = Entry{JID: jid.MustParse("a.example"), Password: "no name"}
		entries[6].Keys = map[sasl.Hash]sasl.Keys{sasl.SHA256: {Salt: []byte("s"), Iterations: 1}}
		entries[7] = Entry{JID: entries[7].JID, Password: "clear"}
		entries[300].JID = entries[299].JID
		var told []string
		n, err := a.Import(ctx, slices.Values(entries), func(o Outcome) {
			if want := entries[len(told)].JID; o.JID != want {
				t.Errorf("told of %s, it was the turn of %s", o.JID, want)
			}
			told = append(told, fmt.Sprint(o.Err))
		})
		if n != 696 || err != nil || len(told) != 700 {
			t.Errorf("added %d, told %d, %v", n, len(told), err)
		}
		for i, want := range map[int]string{3: "exists already", 5: "not the address", 6: "not complete", 300: "exists already", 7: "<nil>", 699: "<nil>"} {
			if !strings.Contains(told[i], want) {
				t.Errorf("entry %d: %s, want %s", i, told[i], want)
			}
		}
		for who, password := range map[string]string{"user3": "there before", "user7": "clear", "user650": "same for all"} {
			if _, err := a.CheckPassword(ctx, jid.MustParse(who+"@a.example"), password); err != nil {
				t.Errorf("%s: %v", who, err)
			}
		}
	})
}

func TestImportEndsWithItsContext(t *testing.T) {
	a := open(t, storetest.SQLite(t))
	ctx, cancel := context.WithCancel(t.Context())
	endless := func(yield func(Entry) bool) {
		for i := 0; yield(Entry{JID: jid.MustParse(fmt.Sprintf("user%d@a.example", i)), Password: "x"}); i++ {
			if i == 300 {
				cancel()
			}
		}
	}
	n, err := a.Import(ctx, endless, nil)
	if !errors.Is(err, context.Canceled) || n != importChunk {
		t.Errorf("added %d, %v", n, err)
	}
}

func BenchmarkFind(b *testing.B) {
	a := open(b, storetest.SQLite(b))
	create(b, a, romeo, "x")
	b.ReportAllocs()
	for b.Loop() {
		a.Find(b.Context(), romeo)
	}
}

func BenchmarkKeys(b *testing.B) {
	a := open(b, storetest.SQLite(b))
	create(b, a, romeo, "x")
	for name, who := range map[string]jid.JID{"known": romeo, "unknown": juliet} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				a.Keys(b.Context(), who, sasl.SHA256)
			}
		})
	}
}

func BenchmarkDerive(b *testing.B) {
	a := open(b, storetest.SQLite(b))
	for b.Loop() {
		a.derive("correct horse battery staple")
	}
}
