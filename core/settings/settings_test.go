package settings

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"chancery/store"
	"chancery/store/storetest"
)

func TestDefaultsFitTheirBoundsAndEachOther(t *testing.T) {
	if err := check(Defaults()); err != nil {
		t.Error(err)
	}
	for _, e := range Describe() {
		if strings.Contains(e.Name, "..") || strings.HasPrefix(e.Name, ".") || strings.HasSuffix(e.Name, ".") {
			t.Errorf("%q is no name: a field lacks its tag", e.Name)
		}
		f := fieldByName[e.Name]
		for what, bound := range map[string]string{"min": e.Min, "max": e.Max} {
			if bound == "" || f.kind == kindList {
				continue
			}
			if _, err := f.parse(bound); err != nil {
				t.Errorf("%s: the %s is not a value: %v", e.Name, what, err)
			}
		}
	}
}

func TestBadValuesAreRefused(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"c2s.require_tls", "maybe", "neither true nor false"},
		{"c2s.stanza_bytes", "1", "less than 10KiB"},
		{"c2s.stanza_bytes", "1TiB", "is not a size"},
		{"c2s.stanza_bytes", "-1KiB", "is not a size"},
		{"c2s.stanza_bytes", "9223372036854775807GiB", "is not a size"},
		{"c2s.tls_time", "10", "write 30s"},
		{"c2s.tls_time", "400s", "more than 5m"},
		{"c2s.ping_after", "-1s", "negative"},
		{"c2s.conflict", "fight", "none of replace, refuse, rename"},
		{"c2s.mechanisms", "", "at least 1"},
		{"c2s.mechanisms", "PLAIN,PLAIN", "twice"},
		{"c2s.mechanisms", "PLAIN,,EXTERNAL", "empty"},
		{"c2s.mechanisms", `["PLAIN"`, "write a list"},
		{"c2s.see_other_host", "a\x00b", "control"},
		{"c2s.see_other_host", strings.Repeat("x", 2000), "longer"},
		{"c2s.see_other_host", "xmpp://b.example", "is not host"},
		{"c2s.pre_auth.stanza_bytes", "1MiB", "strangers would be allowed more"},
		{"contact.admin", "admin@a.example", "write mailto:"},
		{"stanza_bytes", "1", "did you mean c2s.stanza_bytes"},
	} {
		err := errors.Join(new(Live).try(c.name, c.text))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s = %.40q: got %v, want an error that says %q", c.name, c.text, err, c.says)
		}
	}
}

// try is what Apply checks before it writes.
func (l *Live) try(name, text string) error {
	v, err := Change{Name: name, Text: text}.encode()
	if err != nil {
		return err
	}
	return build(map[string]row{name: {value: v}}).problems()
}

func change(t *testing.T, db *store.DB, do func(ctx context.Context, tx store.Tx) error) error {
	t.Helper()
	return db.Write(t.Context(), func(tx store.Tx) error { return do(t.Context(), tx) })
}

func TestSetGetReset(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		l, err := Open(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		before := l.Load()
		if !reflect.DeepEqual(before, Defaults()) {
			t.Error("a new database does not hold the defaults")
		}
		err = change(t, db, func(ctx context.Context, tx store.Tx) error {
			return errors.Join(l.Set(ctx, tx, "c2s.stanza_bytes", "128KiB"), l.Set(ctx, tx, "contact.abuse", "mailto:abuse@a.example,xmpp:a@a.example"),
				l.Set(ctx, tx, "c2s.tls_time", "5s"), l.Set(ctx, tx, "c2s.require_tls", "off"))
		})
		if err != nil {
			t.Fatal(err)
		}
		if l.Load() != before {
			t.Error("the set changed before Refresh")
		}
		if err := l.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		s := l.Load()
		if s.C2S.StanzaBytes != 128<<10 || len(s.Contact.Abuse) != 2 || s.C2S.TLSTime != 5*time.Second || s.C2S.RequireTLS {
			t.Errorf("after the change: %+v", s)
		}
		if n, err := store.Revision(ctx, db.Read(), Revision); err != nil || n != 4 {
			t.Errorf("revision %d, %v", n, err)
		}
		if v, err := l.Get("c2s.stanza_bytes"); err != nil || v.Text != "128KiB" || v.Changed == nil || v.Default != "256KiB" {
			t.Errorf("got %+v, %v", v, err)
		}
		if err := change(t, db, func(ctx context.Context, tx store.Tx) error { return l.Reset(ctx, tx, "c2s.stanza_bytes") }); err != nil {
			t.Fatal(err)
		}
		again, err := Open(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := again.Get("c2s.stanza_bytes"); err != nil || v.Text != "256KiB" || v.Changed != nil {
			t.Errorf("after the reset: %+v, %v", v, err)
		}
		if len(again.List()) != len(Describe()) {
			t.Error("List and Describe differ")
		}
		if _, err := l.Get("nothing"); !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
	})
}

func TestChangesThatOnlyFitTogether(t *testing.T) {
	db := storetest.SQLite(t)
	l, err := Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	err = change(t, db, func(ctx context.Context, tx store.Tx) error { return l.Set(ctx, tx, "c2s.stanza_bytes", "2MiB") })
	if err == nil || !strings.Contains(err.Error(), "never be delivered") {
		t.Errorf("more than an outbox holds: %v", err)
	}
	err = change(t, db, func(ctx context.Context, tx store.Tx) error {
		return l.Apply(ctx, tx, []Change{{Name: "c2s.stanza_bytes", Text: "2MiB"}, {Name: "c2s.outbox_bytes", Text: "4MiB"}})
	})
	if err != nil {
		t.Error(err)
	}
	err = change(t, db, func(ctx context.Context, tx store.Tx) error { return l.Reset(ctx, tx, "c2s.outbox_bytes") })
	if err == nil {
		t.Error("a reset may not break the set either")
	}
}

func TestRowsThatMakeNoSenseDoNotStopTheServer(t *testing.T) {
	db := storetest.SQLite(t)
	put := func(name, value string) {
		t.Helper()
		if err := change(t, db, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO setting (name, value, changed) VALUES (?, ?, 0)", name, value)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	put("from.the.future", "1")
	put("c2s.depth", "32")
	running, err := Open(t.Context(), db)
	if err != nil || running.Problems() != nil {
		t.Fatal(err, running.Problems())
	}
	put("c2s.attrs", `"many"`)
	put("c2s.tls_time", `"soon"`)
	if err := running.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "c2s.attrs") {
		t.Errorf("a running server took the rows: %v", err)
	}
	started, err := Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if s := started.Load(); s.C2S.Attrs != 64 || s.C2S.Depth != 32 {
		t.Errorf("after the start: %+v", s.C2S)
	}
	if err := started.Problems(); err == nil || !strings.Contains(err.Error(), "c2s.tls_time") {
		t.Errorf("nobody is told: %v", err)
	}
	for _, name := range []string{"c2s.attrs", "c2s.tls_time"} { // one after the other
		if err := change(t, db, func(ctx context.Context, tx store.Tx) error { return started.Reset(ctx, tx, name) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := started.Refresh(t.Context()); err != nil || started.Problems() != nil {
		t.Error(err, started.Problems())
	}
}

// FuzzValue: what is accepted means the same after the table, and after somebody copied it from a listing.
func FuzzValue(f *testing.F) {
	for i := range fields {
		f.Add(i, fields[i].Default)
	}
	for _, s := range []string{`["a,b","c"]`, `"quoted"`, "a,b", "1h2m3.5s", " 16 KiB", `"\u0000"`, "[", `["\""]`, "mailto:a,b"} {
		f.Add(0, s)
		f.Add(len(fields)-1, s)
		f.Add(15, s)
	}
	f.Fuzz(func(t *testing.T, n int, text string) {
		fd := &fields[(n%len(fields)+len(fields))%len(fields)]
		v, err := fd.decode(text)
		if err != nil {
			return
		}
		for what, form := range map[string]string{"the table": fd.encode(v), "the listing": fd.format(v)} {
			again, err := fd.decode(form)
			if err != nil || !reflect.DeepEqual(v, again) {
				t.Errorf("%s: %q is %#v; %s has %q, which is %#v, %v", fd.Name, text, v, what, form, again, err)
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	l := Fixed(Defaults())
	for b.Loop() {
		_ = l.Load().C2S.StanzaBytes
	}
}
