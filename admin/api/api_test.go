package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
)

// served is a server on a socket, and what it administers.
type served struct {
	*Client
	ops *ops.Ops
	tap *tapped
	log *slog.Logger
}

type tapped struct{ *session.Tap }

func (t *tapped) SetTap(to *session.Tap) { t.Tap = to }

func serve(t *testing.T, dir string) served {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	db := storetest.SQLite(t)
	log, tail := obs.NewLog(t.Output(), obs.LogOptions{})
	tap := new(tapped)
	o := &ops.Ops{DB: db, Log: log, Tail: tail, Online: online.New(), Traces: ops.NewTraces(tap), Node: ops.Node{Data: t.TempDir()}}
	var err error
	if o.Settings, err = settings.Open(ctx, db); err != nil {
		t.Fatal(err)
	}
	if o.Hosts, err = host.Open(ctx, db); err != nil {
		t.Fatal(err)
	}
	if o.Accounts, err = account.Open(ctx, db, o.Settings); err != nil {
		t.Fatal(err)
	}
	if _, err := o.AddHost(ctx, ops.Local("test"), "capulet.example"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "admin.sock")
	socket, err := Listen(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Ops: o, Log: log, Extra: map[string]http.Handler{"/debug/pprof/": obs.Pprof()}}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, socket) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the socket is left behind")
		}
	})
	return served{NewClient(path), o, tap, log}
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

func TestEveryCallArrives(t *testing.T) {
	s, ctx := serve(t, t.TempDir()), t.Context()

	made, err := s.AddUser(ctx, ops.NewUser{JID: "juliet@capulet.example"})
	if must(t, err); made.Password == "" {
		t.Error("no password")
	}
	if _, err := s.AddUser(ctx, ops.NewUser{JID: "juliet@capulet.example"}); code(err) != ops.Exists {
		t.Error(err)
	}
	must(t, s.SetDisabled(ctx, "juliet@capulet.example", true))
	must(t, s.SetAdmin(ctx, "juliet@capulet.example", true))
	yes := true
	users, err := s.Users(ctx, ops.UserFilter{Domain: "capulet.example", Text: "jul", Admin: &yes, Disabled: &yes, Limit: 5})
	if must(t, err); len(users) != 1 || users[0].JID != made.JID {
		t.Errorf("%+v", users)
	}
	if again, err := s.SetPassword(ctx, "juliet@capulet.example", "x"); err != nil || again.Password != "" {
		t.Error(again, err)
	}
	must(t, s.DeleteUser(ctx, "juliet@capulet.example"))
	if err := s.DeleteUser(ctx, "o'neil&sons%2F@capulet.example"); code(err) != ops.NotFound && code(err) != ops.Invalid {
		t.Error(err)
	}
	if all, err := s.Sessions(ctx, "capulet.example"); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	if _, err := s.EndSessions(ctx, "juliet@capulet.example/x", ""); code(err) != ops.NotFound {
		t.Error(err)
	}
	if d, err := s.AddHost(ctx, "Montague.example"); err != nil || d != "montague.example" {
		t.Error(d, err)
	}
	if all, err := s.Hosts(ctx); err != nil || !slices.Equal(all, []string{"capulet.example", "montague.example"}) {
		t.Error(all, err)
	}
	if now, err := s.ChangeSettings(ctx, []settings.Change{{Name: "c2s.depth", Text: "77"}}); err != nil || now[0].Text != "77" {
		t.Error(now, err)
	}
	if v, err := s.Setting(ctx, "c2s.depth"); err != nil || v.Text != "77" || v.Changed == nil {
		t.Error(v, err)
	}
	if all, err := s.Settings(ctx); err != nil || len(all) < 10 {
		t.Error(len(all), err)
	}
	rows, err := s.Audit(ctx, ops.AuditFilter{Target: "c2s.depth"})
	if must(t, err); len(rows) != 1 || !strings.HasPrefix(rows[0].Actor, "local:") {
		t.Errorf("%+v", rows)
	}
	if st, err := s.Status(ctx); err != nil || len(st.Hosts) != 2 {
		t.Error(st, err)
	}
}

func TestThousandsAreImportedInOneCall(t *testing.T) {
	s, ctx := serve(t, t.TempDir()), t.Context()
	if _, err := s.ChangeSettings(ctx, []settings.Change{{Name: "login.iterations", Text: "4096"}}); err != nil {
		t.Fatal(err)
	}
	const n = 600
	users := func(yield func(ops.NewUser) bool) {
		for i := range n {
			if !yield(ops.NewUser{JID: fmt.Sprintf("u%04d@capulet.example", i), Password: "x"}) {
				return
			}
		}
	}
	reported := 0
	totals, err := s.ImportUsers(ctx, users, func(r ops.Imported) {
		if want := fmt.Sprintf("u%04d@capulet.example", reported); r.JID != want || r.Error != nil {
			t.Errorf("%+v, want %s", r, want)
		}
		reported++
	})
	if must(t, err); totals.Added != n || reported != n {
		t.Errorf("%+v, %d reported", totals, reported)
	}
	listed := 0
	for _, err := range s.AllUsers(ctx, ops.UserFilter{}) {
		must(t, err)
		listed++
	}
	if listed != n {
		t.Errorf("%d listed", listed)
	}
}

func TestImportStopsAtALineThatIsTooLong(t *testing.T) {
	s := serve(t, t.TempDir())
	users := slices.Values([]ops.NewUser{{JID: "a@capulet.example", Password: "x"}, {JID: strings.Repeat("x", maxLine)}})
	_, err := s.ImportUsers(t.Context(), users, func(ops.Imported) {})
	if code(err) != ops.Invalid {
		t.Error(err)
	}
	if _, err := s.AddUser(t.Context(), ops.NewUser{JID: "a@capulet.example"}); code(err) != ops.Exists {
		t.Error("the account before it is lost:", err)
	}
}

func TestLogIsFollowed(t *testing.T) {
	s := serve(t, t.TempDir())
	s.log.Info("before", "n", 1)
	enough := errors.New("enough")
	var seen []string
	err := s.FollowLog(t.Context(), "debug", 1, true, func(line []byte) error {
		var l struct {
			Msg string
			N   int
		}
		must(t, json.Unmarshal(line, &l))
		if l.Msg != "before" && l.Msg != "after" {
			return nil
		}
		if seen = append(seen, l.Msg); l.Msg == "after" {
			return enough
		}
		s.log.Debug("after", "n", 2)
		return nil
	})
	if err != enough || !slices.Equal(seen, []string{"before", "after"}) {
		t.Error(seen, err)
	}
}

func TestTraceIsFollowed(t *testing.T) {
	s, ctx := serve(t, t.TempDir()), t.Context()
	if err := s.Trace(ctx, "romeo@capulet.example", false, nil); code(err) != ops.NotFound {
		t.Error(err)
	}
	_, err := s.AddUser(ctx, ops.NewUser{JID: "romeo@capulet.example"})
	must(t, err)
	answer, err := s.send(ctx, "GET", "/v1/trace?jid=romeo@capulet.example", nil)
	must(t, err) // the answer has begun, so the tap is on
	defer answer.Body.Close()
	s.tap.Line(jid.MustParse("romeo@capulet.example/x"), true, &stanza.Stanza{Kind: stanza.Message, Payload: []byte("<body>secret</body>")})
	var line TraceLine
	must(t, json.NewDecoder(answer.Body).Decode(&line))
	if !line.In || line.Who.Resource() != "x" || line.XML != "<message><body>(6 bytes)</body></message>" {
		t.Errorf("%+v", line)
	}
}

func TestBackupArrivesWhole(t *testing.T) {
	s := serve(t, t.TempDir())
	b := new(bytes.Buffer)
	n, err := s.Backup(t.Context(), b)
	if must(t, err); int(n) != b.Len() || !strings.HasPrefix(b.String(), "SQLite format 3") {
		t.Error(n)
	}
	file := filepath.Join(t.TempDir(), "copy.db")
	must(t, os.WriteFile(file, b.Bytes(), 0o600))
	db, err := store.Open(t.Context(), store.Config{Driver: store.SQLite, Path: file}, s.log)
	must(t, err)
	must(t, db.Close())
}

func TestLongPathsOfSocketsWork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	must(t, os.MkdirAll(dir, 0o700))
	s := serve(t, dir)
	if _, err := s.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSocketIsTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir)
	info, err := os.Stat(filepath.Join(dir, "admin.sock"))
	if must(t, err); info.Mode().Perm() != 0o600 {
		t.Error(info.Mode())
	}
	if _, err := Listen(t.Context(), filepath.Join(dir, "admin.sock")); !errors.Is(err, ErrRunning) {
		t.Error("a second server:", err)
	}
}

func TestSocketOfADeadServerIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	dead, err := Listen(t.Context(), path)
	must(t, err)
	must(t, dead.UnixListener.Close()) // without removing the file
	if _, err := NewClient(path).Status(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
	next, err := Listen(t.Context(), path)
	must(t, err)
	must(t, next.Close())
	if _, err := NewClient(path).Status(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
}

func TestNobodyMayAskAnything(t *testing.T) {
	s := serve(t, t.TempDir())
	h := (&Server{Ops: s.ops, Log: s.log, Extra: map[string]http.Handler{"/debug/pprof/": obs.Pprof()}}).Handler()
	paths := []string{"/debug/pprof/", "/debug/pprof/../pprof/heap"}
	for _, r := range routes() {
		if r.method == http.MethodGet {
			paths = append(paths, r.path+"?jid=a@capulet.example&of=a@capulet.example")
		}
	}
	for _, path := range paths {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code == http.StatusOK {
			t.Errorf("GET %s: %s", path, w.Body)
		}
	}
}

func TestRequestsAreBounded(t *testing.T) {
	s := serve(t, t.TempDir())
	for body, want := range map[string]string{
		`{"jid":"` + strings.Repeat("x", maxBody) + `"}`: "longer than",
		`{"jid":"a@capulet.example","pasword":"x"}`:      `unknown field "pasword"`,
		`{"jid":"a@capulet.example"} {}`:                 "something follows",
		`[`:                                              "not what it should be",
	} {
		_, err := s.send(t.Context(), "POST", "/v1/users", strings.NewReader(body))
		if code(err) != ops.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v", body, err)
		}
	}
	if _, err := s.send(t.Context(), "GET", "/v2/users", nil); code(err) != ops.NotFound {
		t.Error(err)
	}
	if _, err := s.send(t.Context(), "GET", "/v1/users?limit=x", nil); code(err) != ops.Invalid {
		t.Error(err)
	}
}

func FuzzRequest(f *testing.F) {
	for _, r := range routes() {
		f.Add(r.method, r.path, `{"jid":"a@capulet.example","changes":[{"name":"c2s.depth","value":"9"}]}`)
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if method == http.MethodGet && (strings.HasPrefix(path, "/v1/log") || strings.HasPrefix(path, "/v1/trace")) {
			return // they go on
		}
		r, err := http.NewRequest(method, "http://chancery"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		// Nobody: whatever is asked, the answer is a refusal in our form, not a panic and not a result.
		s := &Server{Ops: &ops.Ops{Log: slog.New(slog.DiscardHandler), Hosts: host.Fixed()}, Log: slog.New(slog.DiscardHandler)}
		s.Handler().ServeHTTP(w, r)
		if w.Code == http.StatusOK || w.Code == http.StatusInternalServerError {
			t.Fatalf("%s %q: %d %s", method, path, w.Code, w.Body)
		}
	})
}
