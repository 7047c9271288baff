package host

import (
	"context"
	"errors"
	"slices"
	"testing"

	"chancery/store"
	"chancery/store/storetest"
)

func TestHosts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		h, err := Open(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		if h.Load().Default() != "" || h.Load().Serves("") {
			t.Error("a new database serves something")
		}
		change := func(do func(ctx context.Context, tx store.Tx) error) error {
			t.Helper()
			err := db.Write(ctx, func(tx store.Tx) error { return do(ctx, tx) })
			if err := h.Refresh(ctx); err != nil {
				t.Fatal(err)
			}
			return err
		}
		add := func(domain string) error {
			return change(func(ctx context.Context, tx store.Tx) error { _, err := h.Add(ctx, tx, domain); return err })
		}
		if err := errors.Join(add("B.example"), add("a.example"), add("bücher.example")); err != nil {
			t.Fatal(err)
		}
		for domain, want := range map[string]error{"b.EXAMPLE": store.ErrExists, "": nil, "a b": nil, "a@b": nil} {
			if err := add(domain); err == nil || want != nil && !errors.Is(err, want) {
				t.Errorf("adding %q: %v", domain, err)
			}
		}
		s := h.Load()
		if s.Default() != "b.example" || len(s.All()) != 3 || !s.Serves("a.example") || s.Serves("c.example") {
			t.Errorf("serves %v", s.All())
		}
		remove := func(domain string) error {
			return change(func(ctx context.Context, tx store.Tx) error { return h.Remove(ctx, tx, domain) })
		}
		if err := remove("b.example"); err != nil {
			t.Error(err)
		}
		if err := remove("b.example"); !errors.Is(err, store.ErrNone) {
			t.Error(err)
		}
		if got := h.Load().All(); slices.Contains(got, "b.example") || len(got) != 2 {
			t.Errorf("serves %v", got)
		}
		if err := change(func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO account (id, domain, local, created) VALUES (1, 'a.example', 'romeo', 1)")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := remove("a.example"); err == nil {
			t.Error("a domain with accounts was removed")
		}
	})
}
