package ops_test

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"chancery/admin/ops"
	"chancery/base/obs"
	"chancery/core/account"
	"chancery/core/host"
	"chancery/core/online"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

var root = ops.Local("root")

func newOps(t *testing.T, db *store.DB) *ops.Ops {
	t.Helper()
	ctx := t.Context()
	live, err := settings.Open(ctx, db)
	must(t, err)
	hosts, err := host.Open(ctx, db)
	must(t, err)
	accounts, err := account.Open(ctx, db, live)
	must(t, err)
	log, tail := obs.NewLog(io.Discard, obs.LogOptions{})
	o := &ops.Ops{
		DB: db, Accounts: accounts, Hosts: hosts, Settings: live, Log: log, Online: online.New(), Tail: tail,
		Node: ops.Node{Data: t.TempDir(), Build: obs.ReadBuild()},
	}
	_, err = o.AddHost(ctx, root, "Capulet.example")
	must(t, err)
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(err error) ops.Code {
	var e *ops.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func login(t *testing.T, o *ops.Ops, full string) *session.Session {
	t.Helper()
	j := jid.MustParse(full)
	env := &session.Env{DB: o.DB, Settings: o.Settings, Log: o.Log, Ended: func(s *session.Session, _ []session.Entry) { o.Online.Remove(s) }}
	s := session.New(env, "c1", j, 1, deaf{}, session.Facts{Remote: "192.0.2.1:5", Mechanism: "PLAIN", Via: "c2s"})
	if _, err := o.Online.Bind(s, online.Policy{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// deaf is a wire whose other end does not read.
type deaf struct{}

func (deaf) Write(p []byte) (int, error) { return len(p), nil }
func (deaf) End([]byte, *stream.Error)   {}
func (deaf) Cut()                        {}

// audited lists actions and targets, the oldest first.
func audited(t *testing.T, o *ops.Ops) []string {
	t.Helper()
	rows, err := o.Audit(t.Context(), root, ops.AuditFilter{})
	must(t, err)
	var all []string
	for _, r := range slices.Backward(rows) {
		all = append(all, strings.TrimSpace(r.Action+" "+r.Target+" "+r.Detail))
		if r.Actor != "local:root" || r.At.IsZero() {
			t.Errorf("%+v", r)
		}
	}
	return all
}

func TestAccountsFromBeginningToEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o, ctx := newOps(t, db), t.Context()
		juliet := jid.MustParse("juliet@capulet.example")

		made, err := o.AddUser(ctx, root, ops.NewUser{JID: "Juliet@Capulet.example", Admin: true})
		must(t, err)
		if made.JID != juliet || len(made.Password) != 19 {
			t.Fatalf("%+v", made)
		}
		if _, err := o.Accounts.CheckPassword(ctx, juliet, made.Password); err != nil {
			t.Error("with the password that was made:", err)
		}
		if _, err := o.AddUser(ctx, root, ops.NewUser{JID: "juliet@capulet.example"}); code(err) != ops.Exists {
			t.Error(err)
		}
		if again, err := o.SetPassword(ctx, root, "juliet@capulet.example", "wherefore"); err != nil || again.Password != "" {
			t.Error(again, err)
		}
		if _, err := o.Accounts.CheckPassword(ctx, juliet, "wherefore"); err != nil {
			t.Error("with the new password:", err)
		}

		s := login(t, o, "juliet@capulet.example/balcony")
		users, err := o.Users(ctx, root, ops.UserFilter{})
		must(t, err)
		if len(users) != 1 || users[0].Sessions != 1 || !users[0].Admin || users[0].Disabled || users[0].LastSeen != nil {
			t.Errorf("%+v", users)
		}
		must(t, o.SetDisabled(ctx, root, "juliet@capulet.example", true))
		if !s.Ended() {
			t.Error("the session of a disabled account goes on")
		}
		if _, err := o.Accounts.CheckPassword(ctx, juliet, "wherefore"); err == nil {
			t.Error("disabled, and may log in")
		}
		must(t, o.SetDisabled(ctx, root, "juliet@capulet.example", false))
		must(t, o.SetAdmin(ctx, root, "juliet@capulet.example", false))
		must(t, o.DeleteUser(ctx, root, "juliet@capulet.example"))
		if err := o.DeleteUser(ctx, root, "juliet@capulet.example"); code(err) != ops.NotFound {
			t.Error(err)
		}

		want := []string{
			"host.add capulet.example", "user.add juliet@capulet.example administrator", "user.passwd juliet@capulet.example",
			"user.disable juliet@capulet.example", "user.enable juliet@capulet.example", "user.admin juliet@capulet.example false",
			"user.delete juliet@capulet.example",
		}
		if got := audited(t, o); !slices.Equal(got, want) {
			t.Errorf("audit\n%s", strings.Join(got, "\n"))
		}
	})
}

func TestNothingIsDoneWithoutTheRight(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o, ctx := newOps(t, db), t.Context()
		nobody := ops.Actor{Name: "mallory", Rights: []ops.Right{"none"}}
		for name, err := range map[string]error{
			"AddUser":        second(o.AddUser(ctx, nobody, ops.NewUser{JID: "x@capulet.example"})),
			"Users":          second(o.Users(ctx, nobody, ops.UserFilter{})),
			"SetPassword":    second(o.SetPassword(ctx, nobody, "x@capulet.example", "x")),
			"SetDisabled":    o.SetDisabled(ctx, nobody, "x@capulet.example", true),
			"SetAdmin":       o.SetAdmin(ctx, nobody, "x@capulet.example", true),
			"DeleteUser":     o.DeleteUser(ctx, nobody, "x@capulet.example"),
			"ImportUsers":    second(o.ImportUsers(ctx, nobody, nil, nil)),
			"Sessions":       second(o.Sessions(ctx, nobody, "")),
			"EndSessions":    second(o.EndSessions(ctx, nobody, "x@capulet.example", "")),
			"AllSettings":    second(o.AllSettings(ctx, nobody)),
			"Setting":        second(o.Setting(ctx, nobody, "c2s.depth")),
			"ChangeSettings": second(o.ChangeSettings(ctx, nobody, []settings.Change{{Name: "c2s.depth", Text: "9"}})),
			"AllHosts":       second(o.AllHosts(ctx, nobody)),
			"AddHost":        second(o.AddHost(ctx, nobody, "x.example")),
			"Audit":          second(o.Audit(ctx, nobody, ops.AuditFilter{})),
			"Status":         second(o.Status(ctx, nobody)),
			"Backup":         third(o.Backup(ctx, nobody)),
			"FollowLog":      third(o.FollowLog(ctx, nobody, slog.LevelInfo, 1)),
			"Watch":          second(watching(o).Watch(ctx, nobody, "x@capulet.example", false)),
			"Watch bodies": second(watching(o).Watch(ctx, ops.Actor{Name: "helpdesk", Rights: []ops.Right{ops.Trace}},
				"x@capulet.example", true)),
		} {
			if code(err) != ops.Denied {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := audited(t, o); len(got) != 1 {
			t.Errorf("audit %q", got)
		}
	})
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func watching(o *ops.Ops) *ops.Ops {
	c := *o
	c.Traces = ops.NewTraces(new(session.Env))
	return &c
}

func TestWrongAddressesAreExplained(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOps(t, db)
		for address, want := range map[string]string{
			"capulet.example":                "the address of an account is name@capulet.example",
			"juliet@capulet.example/balcony": "names one session; the address of the account is juliet@capulet.example",
			"juliet@@capulet.example":        "is not an address",
			"juliet@montague.example":        "chancery host add montague.example",
		} {
			if _, err := o.AddUser(t.Context(), root, ops.NewUser{JID: address}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", address, err)
			}
		}
		if _, err := o.AddUser(t.Context(), root, ops.NewUser{JID: "x@capulet.example", Password: "\u0000"}); code(err) != ops.Invalid {
			t.Error(err)
		}
	})
}

func TestImportTellsTheFateOfEachInOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o, ctx := newOps(t, db), t.Context()
		if _, err := o.ChangeSettings(ctx, root, []settings.Change{{Name: "login.iterations", Text: "4096"}}); err != nil {
			t.Fatal(err)
		}
		_, err := o.AddUser(ctx, root, ops.NewUser{JID: "nurse@capulet.example"})
		must(t, err)
		list := []ops.NewUser{
			{JID: "a@capulet.example", Password: "x"}, {JID: "nonsense@"}, {JID: "nurse@capulet.example", Password: "x"},
			{JID: "b@capulet.example"}, {JID: "c@elsewhere.example"},
		}
		var got []string
		totals, err := o.ImportUsers(ctx, root, slices.Values(list), func(r ops.Imported) {
			outcome := "added"
			if r.Error != nil {
				outcome = string(r.Error.Code)
			}
			if r.Password != "" {
				outcome += " with a password"
			}
			got = append(got, r.JID+" "+outcome)
		})
		must(t, err)
		want := []string{
			"a@capulet.example added", "nonsense@ invalid", "nurse@capulet.example exists", "b@capulet.example added with a password",
			"c@elsewhere.example not-found",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		if (totals != ops.Totals{Added: 2, Exist: 1, Failed: 2}) {
			t.Errorf("%+v", totals)
		}
	})
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o, ctx := newOps(t, db), t.Context()
		a, b := login(t, o, "romeo@capulet.example/a"), login(t, o, "romeo@capulet.example/b")
		login(t, o, "juliet@capulet.example/c")
		for of, want := range map[string]int{"": 3, "romeo@capulet.example": 2, "capulet.example": 3, "romeo@capulet.example/b": 1, "x.example": 0} {
			all, err := o.Sessions(ctx, root, of)
			if must(t, err); len(all) != want {
				t.Errorf("%q: %d sessions", of, len(all))
			}
		}
		n, err := o.EndSessions(ctx, root, "romeo@capulet.example/a", "go home")
		if must(t, err); n != 1 || !a.Ended() || b.Ended() {
			t.Error(n, a.Ended(), b.Ended())
		}
		if _, err := o.EndSessions(ctx, root, "nobody@capulet.example", ""); code(err) != ops.NotFound {
			t.Error(err)
		}
		if _, err := o.EndSessions(ctx, root, "capulet.example", ""); code(err) != ops.Invalid {
			t.Error(err)
		}
	})
}

func TestSettingsChangeTogetherOrNotAtAll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o, ctx := newOps(t, db), t.Context()
		now, err := o.ChangeSettings(ctx, root, []settings.Change{{Name: "c2s.depth", Text: "99"}, {Name: "archive.default", Text: "roster"}})
		must(t, err)
		if len(now) != 2 || now[0].Text != "99" || o.Settings.Load().C2S.Depth != 99 {
			t.Errorf("%+v", now)
		}
		_, err = o.ChangeSettings(ctx, root, []settings.Change{{Name: "c2s.depth", Text: "20"}, {Name: "archive.default", Text: "maybe"}})
		if code(err) != ops.Invalid || o.Settings.Load().C2S.Depth != 99 {
			t.Error(err)
		}
		if _, err := o.ChangeSettings(ctx, root, []settings.Change{{Name: "c2s.deepness", Text: "20"}}); code(err) != ops.NotFound {
			t.Error(err)
		}
		if now, err := o.ChangeSettings(ctx, root, []settings.Change{{Name: "c2s.depth", Reset: true}}); err != nil || now[0].Text != now[0].Default {
			t.Error(now, err)
		}
		if got := audited(t, o); len(got) != 3 || got[1] != "setting.set c2s.depth archive.default c2s.depth: 64 → 99; archive.default: always → roster" {
			t.Errorf("%q", got)
		}
	})
}

func TestStatusSaysWhatNeedsAttention(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOps(t, db)
		login(t, o, "romeo@capulet.example/a")
		s, err := o.Status(t.Context(), root)
		must(t, err)
		if s.Sessions.Connected != 1 || len(s.Problems) != 0 || s.Database.SchemaVersion == 0 || !slices.Equal(s.Hosts, []string{"capulet.example"}) {
			t.Errorf("%+v", s)
		}
		o.Hosts = host.Fixed()
		if s, err := o.Status(t.Context(), root); err != nil || len(s.Problems) != 1 {
			t.Error(s.Problems, err)
		}
	})
}

func TestTraceHidesTextsUnlessAskedTo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o, ctx := newOps(t, db), t.Context()
		_, err := o.AddUser(ctx, root, ops.NewUser{JID: "juliet@capulet.example"})
		must(t, err)
		tap := new(tapped)
		o.Traces = ops.NewTraces(tap)
		hidden, err := o.Watch(ctx, root, "juliet@capulet.example", false)
		must(t, err)
		shown, err := o.Watch(ctx, root, "juliet@capulet.example", true)
		must(t, err)

		balcony := jid.MustParse("juliet@capulet.example/balcony")
		if !tap.Sees(balcony) || tap.Sees(jid.MustParse("romeo@capulet.example/x")) {
			t.Error("the wrong one is watched")
		}
		payload := []byte(`<body>O &amp; Romeo</body><x xmlns="urn:x" a="b>c"><max/>secret<max>5</max>secret</x>`)
		tap.Line(balcony, true, &stanza.Stanza{Kind: stanza.Message, ID: "1", Payload: payload})
		got, want := (<-hidden.C).XML(), `<body>(13 bytes)</body><x xmlns="urn:x" a="b>c"><max/>(6 bytes)<max>5</max>(6 bytes)</x>`
		if !strings.Contains(got, want) || strings.Contains(got, "Romeo") {
			t.Errorf("got %s", got)
		}
		if got := (<-shown.C).XML(); !strings.Contains(got, string(payload)) {
			t.Errorf("got %s", got)
		}
		hidden.Close()
		shown.Close()
		if tap.Tap != nil {
			t.Error("nobody watches, and sessions pay for it")
		}
		if _, err := o.Watch(ctx, root, "nobody@capulet.example", false); code(err) != ops.NotFound {
			t.Error(err)
		}
	})
}

type tapped struct{ *session.Tap }

func (t *tapped) SetTap(to *session.Tap) { t.Tap = to }

func TestBackupIsWholeAndLeavesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		o := newOps(t, db)
		content, size, err := o.Backup(t.Context(), root)
		must(t, err)
		b, err := io.ReadAll(content)
		must(t, err)
		must(t, content.Close())
		if int64(len(b)) != size || !strings.HasPrefix(string(b), "SQLite format 3") {
			t.Errorf("%d bytes of %d", len(b), size)
		}
		if left, err := os.ReadDir(o.Node.Data); err != nil || len(left) > 0 {
			t.Error("left behind:", left, err)
		}
	})
}

func TestPasswordsAreMadeOfManyLetters(t *testing.T) {
	seen := map[rune]int{}
	for range 500 {
		for _, r := range ops.GeneratePassword() {
			seen[r]++
		}
	}
	if len(seen) != 32 || strings.ContainsAny("ilo01", string(keys(seen))) {
		t.Errorf("%d letters: %q", len(seen), keys(seen))
	}
}

func keys(m map[rune]int) (all []rune) {
	for r := range m {
		all = append(all, r)
	}
	return all
}
