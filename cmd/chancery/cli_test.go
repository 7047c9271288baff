package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"chancery/admin/ops"
	"chancery/base/obs"
	"chancery/core/settings"
	"chancery/store/storetest"
	"chancery/test/client"
)

// program runs one command line to its end.
func program(t *testing.T, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	o, e := new(bytes.Buffer), new(bytes.Buffer)
	code = run(t.Context(), args, strings.NewReader(stdin), o, e)
	return code, o.String(), e.String()
}

// ok is program for a command that must work.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := program(t, "", args...)
	if code != exitOK {
		t.Fatalf("chancery %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// answer is ok with --json.
func answer[T any](t *testing.T, args ...string) (v T) {
	t.Helper()
	out := ok(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("chancery %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return v
}

// running is a server in this process.
type running struct {
	t    *testing.T
	stop context.CancelFunc
	code chan int
	errs *bytes.Buffer // what it logged; read it after end
}

// start runs a server and returns the first line that it prints on standard output, or, with onLog, the first line of its
// log that contains it.
func start(t *testing.T, onLog string, args ...string) (*running, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{t: t, stop: cancel, code: make(chan int, 1), errs: new(bytes.Buffer)}
	outR, outW := io.Pipe()
	logR, logW := io.Pipe()
	lines := make(chan string, 1)
	watch := func(in io.Reader, contains string, keep io.Writer) {
		found := contains == "never"
		for s := bufio.NewScanner(in); s.Scan(); {
			fmt.Fprintln(keep, s.Text())
			if !found && strings.Contains(s.Text(), contains) {
				found = true
				lines <- s.Text()
			}
		}
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		if onLog == "" {
			watch(logR, "never", r.errs)
		} else {
			watch(logR, onLog, r.errs)
		}
	}()
	go func() {
		if onLog == "" {
			watch(outR, "", io.Discard)
		} else {
			watch(outR, "never", io.Discard)
		}
	}()
	go func() {
		code := run(ctx, args, strings.NewReader(""), outW, logW)
		outW.Close()
		logW.Close()
		<-logged
		r.code <- code
	}()
	t.Cleanup(func() { r.end() })
	select {
	case line := <-lines:
		return r, line
	case code := <-r.code:
		r.code <- code
		t.Fatalf("chancery %s: exit code %d\n%s", strings.Join(args, " "), code, r.errs)
	}
	return nil, ""
}

// end stops the server as Ctrl-C does.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	code := <-r.code
	r.code <- code
	if code != exitOK {
		r.t.Errorf("the server ended with exit code %d\n%s", code, r.errs)
	}
}

func startDev(t *testing.T, data string, more ...string) (*running, devReady) {
	t.Helper()
	r, line := start(t, "", append([]string{"dev", "--json", "--data", data}, more...)...)
	var d devReady
	if err := json.Unmarshal([]byte(line), &d); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return r, d
}

func roots(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s has no certificate", file)
	}
	return pool
}

func login(t *testing.T, d devReady, who devAccount, direct bool) (*client.Conn, error) {
	t.Helper()
	user, domain, _ := strings.Cut(who.JID, "@")
	cfg := client.Config{Addr: d.C2S, Domain: domain, User: user, Password: who.Password, Roots: roots(t, d.CAFile), Direct: direct}
	if direct {
		cfg.Addr = d.C2STLS
	}
	c, err := client.Dial(t.Context(), cfg)
	if err != nil {
		return nil, err
	}
	return c, c.Bind()
}

func TestFirstMinute(t *testing.T) {
	data := filepath.Join(t.TempDir(), "dev-data")
	r, d := startDev(t, data)
	if d.Domain != "localhost" || d.Data != data || d.PID != os.Getpid() || d.AdminSocket != filepath.Join(data, "admin.sock") || len(d.Accounts) != 3 {
		t.Errorf("%+v", d)
	}
	for i, a := range d.Accounts {
		c, err := login(t, d, a, i%2 == 1)
		if err != nil {
			t.Fatalf("%s: %v", a.JID, err)
		}
		defer c.Close()
	}
	sessions := answer[[]ops.Session](t, "session", "list", "--data", data)
	if len(sessions) != 3 || sessions[0].TLS == "" {
		t.Errorf("%+v", sessions)
	}
	status := answer[ops.Status](t, "status", "--data", data)
	if !status.Ready || status.Sessions.Connected != 3 || status.Accounts != 3 || status.Listeners["c2s"] != d.C2S {
		t.Errorf("%+v", status)
	}
	if code, _, errs := program(t, "", "dev", "--data", data); code != exitFailed || !strings.Contains(errs, "running on "+data+" already") {
		t.Errorf("a second server: %d %s", code, errs)
	}
	if code, _, errs := program(t, "", "restore", "x.db", "--data", data); code != exitFailed || !strings.Contains(errs, "stop it first") {
		t.Errorf("restore: %d %s", code, errs)
	}
	r.end()
	if !strings.Contains(r.errs.String(), "stopped") {
		t.Errorf("the log:\n%s", r.errs)
	}

	again, kept := startDev(t, data)
	if !slices.Equal(kept.Accounts, d.Accounts) {
		t.Errorf("accounts changed: %+v", kept.Accounts)
	}
	again.end()
	fresh, new := startDev(t, data, "--fresh")
	if slices.Equal(new.Accounts, d.Accounts) {
		t.Error("--fresh kept the accounts")
	}
	fresh.end()
}

func TestEveryDocumentedFigureIsServed(t *testing.T) {
	_, d := startDev(t, t.TempDir())
	wrong := d.Accounts[0]
	wrong.Password += "x"
	if _, err := login(t, d, wrong, false); err == nil {
		t.Error("logged in with a wrong password")
	}
	romeo, err := login(t, d, d.Accounts[0], false)
	if err != nil {
		t.Fatal(err)
	}
	defer romeo.Close()
	// An error, so that there is a condition to count.
	if err := romeo.Write("<iq type='get' id='1'><nothing xmlns='urn:example'/></iq>"); err != nil {
		t.Fatal(err)
	}
	if _, err := romeo.Read(); err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(d.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range obs.Table() {
		if !strings.Contains(string(text), "# TYPE "+m.Name+" "+string(m.Kind)) {
			t.Errorf("nobody tells %s", m.Name)
		}
	}
	for _, want := range []string{`chancery_logins_total{result="refused"} 1`, `chancery_sessions{state="connected"} 1`, "chancery_ready 1"} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

func TestPortInUseIsReplacedAndSaid(t *testing.T) {
	_, first := startDev(t, filepath.Join(t.TempDir(), "a"))
	r, second := startDev(t, filepath.Join(t.TempDir(), "b"))
	if first.C2S == second.C2S {
		t.Error("both have", first.C2S)
	}
	if c, err := login(t, second, second.Accounts[0], false); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	r.end()
	if !strings.Contains(r.errs.String(), "in use by another program, another was taken") {
		t.Errorf("not said:\n%s", r.errs)
	}
}

// postgres is the URL of an empty database.
func postgres(t *testing.T) string {
	t.Helper()
	pg, err := pgx.ParseConfig(storetest.PostgresConfig(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("postgres://%s@/%s?host=%s", pg.User, pg.Database, url.QueryEscape(pg.Host))
}

func TestPostgresByOneFlag(t *testing.T) {
	data, dsn := t.TempDir(), postgres(t)
	for range 2 { // the second time with what the first has left
		r, d := startDev(t, data, "--database", dsn)
		if c, err := login(t, d, d.Accounts[0], false); err != nil {
			t.Error(err)
		} else {
			c.Close()
		}
		if s := answer[ops.Status](t, "status", "--data", data); s.Database.Driver != "postgres" || s.Accounts != 3 {
			t.Errorf("%+v", s.Database)
		}
		r.end()
	}
}

func TestBackupOfPostgresIsRestoredToSQLite(t *testing.T) {
	r, d := startDev(t, t.TempDir(), "--database", postgres(t))
	file := filepath.Join(t.TempDir(), "copy.db")
	ok(t, "backup", file, "--data", d.Data)
	r.end()
	data := t.TempDir()
	ok(t, "restore", file, "--data", data)
	_, again := startDev(t, data)
	romeo := d.Accounts[0] // with his old password; the new folder does not know it
	if c, err := login(t, again, romeo, false); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

func TestFreshRemovesOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := program(t, "", "dev", "--fresh", "--data", dir); code != exitFailed || !strings.Contains(errs, "does not remove it") {
		t.Error(code, errs)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestPeopleAreAdministered(t *testing.T) {
	data := t.TempDir()
	_, d := startDev(t, data)
	at := []string{"--data", data}
	with := func(args ...string) []string { return append(args, at...) }

	nurse := answer[ops.Credential](t, with("user", "add", "nurse@localhost")...)
	who := devAccount{JID: "nurse@localhost", Password: nurse.Password}
	if _, err := login(t, d, who, false); err != nil {
		t.Error("with the password that was printed:", err)
	}
	if code, _, errs := program(t, "", with("user", "add", "nurse@localhost")...); code != exitFailed || !strings.Contains(errs, "exists already") {
		t.Error(code, errs)
	}
	if code, out, errs := program(t, "good night\n", with("user", "passwd", "nurse@localhost", "--password-file", "-", "--kick")...); code != exitOK || strings.Contains(out, "good night") {
		t.Error(code, out, errs)
	}
	who.Password = "good night"
	if _, err := login(t, d, who, false); err != nil {
		t.Error("with the password from the file:", err)
	}
	ok(t, with("user", "disable", "nurse@localhost")...)
	if _, err := login(t, d, who, false); err == nil {
		t.Error("a disabled account logged in")
	}
	ok(t, with("user", "enable", "nurse@localhost")...)
	ok(t, with("user", "admin", "nurse@localhost")...)
	if all := answer[[]ops.User](t, with("user", "list", "--admin")...); len(all) != 2 {
		t.Errorf("%+v", all)
	}
	if _, err := login(t, d, who, false); err != nil {
		t.Error(err)
	}
	ok(t, with("session", "kick", "nurse@localhost", "--reason", "good night")...)
	ok(t, with("user", "delete", "nurse@localhost")...)
	if code, _, errs := program(t, "", with("user", "delete", "nurse@localhost")...); code != exitFailed || !strings.Contains(errs, "there is no account nurse@localhost") {
		t.Error(code, errs)
	}
	page := ok(t, with("audit", "list", "--target", "nurse@localhost")...)
	for _, action := range []string{"user.add", "user.passwd", "user.disable", "user.enable", "user.admin", "session.kick", "user.delete"} {
		if !strings.Contains(page, action) {
			t.Errorf("the audit has no %s:\n%s", action, page)
		}
	}
	page = ok(t, with("log", "follow", "--once", "--last", "100")...)
	if !strings.Contains(page, "INFO  administration  actor=local:") || !strings.Contains(page, "action=user.delete") {
		t.Errorf("the log:\n%s", page)
	}
}

func TestManyAreImported(t *testing.T) {
	data := t.TempDir()
	startDev(t, data)
	ok(t, "setting", "set", "login.iterations=4096", "--data", data)
	b := new(strings.Builder)
	b.WriteString("# people\r\n\nb1@localhost  two spaces\n{\"jid\":\"b2@localhost\",\"admin\":true}\nb3@elsewhere.example x\n")
	for i := range 1000 {
		fmt.Fprintf(b, "u%d@localhost\tpass %d\n", i, i)
	}
	code, out, errs := program(t, b.String(), "user", "import", "-", "--data", data)
	if code != exitFailed || !strings.HasPrefix(out, "b2@localhost ") || strings.Count(out, "\n") != 1 {
		t.Errorf("%d\n%s", code, out)
	}
	for _, want := range []string{"b3@elsewhere.example: this server does not serve elsewhere.example", "1002 accounts added, 0 existed already, 1 could not be used"} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in\n%s", want, errs)
		}
	}
	if all := answer[[]ops.User](t, "user", "list", "--data", data); len(all) != 1005 {
		t.Errorf("%d accounts", len(all))
	}
	if code, _, errs := program(t, "x@localhost\n{\"jid\":\"y@localhost\",\"pasword\":\"x\"}\n", "user", "import", "-", "--data", data); code != exitFailed || !strings.Contains(errs, "line 2") {
		t.Error(code, errs)
	}
}

func TestSettingsWorkAtOnce(t *testing.T) {
	data := t.TempDir()
	startDev(t, data)
	if v := answer[[]settings.Value](t, "setting", "set", "c2s.stanza_bytes", "300KiB", "--data", data); v[0].Text != "300KiB" {
		t.Errorf("%+v", v)
	}
	if got := ok(t, "setting", "get", "c2s.stanza_bytes", "--data", data); got != "300KiB\n" {
		t.Errorf("%q", got)
	}
	if got := ok(t, "setting", "list", "--changed", "--data", data); strings.Count(got, "\n") != 2 {
		t.Error(got)
	}
	if code, _, errs := program(t, "", "setting", "set", "c2s.stanza_bytes=1", "--data", data); code != exitFailed || !strings.Contains(errs, "less than 10KiB") {
		t.Error(code, errs)
	}
	ok(t, "setting", "reset", "c2s.stanza_bytes", "--data", data)
	if got := ok(t, "host", "add", "Example.net", "--data", data); got != "Serving example.net\n" {
		t.Errorf("%q", got)
	}
	if got := ok(t, "host", "list", "--data", data); got != "localhost\nexample.net\n" {
		t.Errorf("%q", got)
	}
}

func TestBackupIsRestored(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "copy.db")
	r, d := startDev(t, data)
	ok(t, "user", "add", "before@localhost", "--data", data)
	ok(t, "backup", file, "--data", data)
	if code, _, errs := program(t, "", "backup", file, "--data", data); code != exitFailed || !strings.Contains(errs, "exists already") {
		t.Error(code, errs)
	}
	if code, out, _ := program(t, "", "backup", "-", "--data", data); code != exitOK || !strings.HasPrefix(out, "SQLite format 3") {
		t.Error(code)
	}
	ok(t, "user", "add", "after@localhost", "--data", data)
	r.end()

	junk := filepath.Join(dir, "junk.db")
	if err := os.WriteFile(junk, []byte("SQLite format 3\x00junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{junk, d.CAFile, filepath.Join(dir, "nothing")} {
		if code, _, _ := program(t, "", "restore", bad, "--data", data); code != exitFailed {
			t.Errorf("%s was restored", bad)
		}
	}
	restored := answer[struct{ Kept string }](t, "restore", file, "--data", data)
	if _, err := os.Stat(restored.Kept); err != nil {
		t.Error("the old database is not kept:", err)
	}
	_, again := startDev(t, data)
	all := ok(t, "user", "list", "--data", data)
	if !strings.Contains(all, "before@localhost") || strings.Contains(all, "after@localhost") {
		t.Error(all)
	}
	if _, err := login(t, again, again.Accounts[0], false); err != nil {
		t.Error(err)
	}

	empty := filepath.Join(t.TempDir(), "new", "data")
	ok(t, "restore", file, "--data", empty)
	if left, _ := filepath.Glob(filepath.Join(empty, "*")); len(left) != 2 { // and its lock
		t.Errorf("left behind: %q", left)
	}
}

func TestQuickstartMakesAServerThatRuns(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "chancery.toml")
	type summary struct {
		Domain, Config, Data, Unit string
		Admin                      ops.Credential
		CA                         string `json:"ca_file"`
		DNS                        []Record
	}
	made := answer[summary](t, "quickstart", "--domain", "Capulet.example", "--config", file)
	if made.Domain != "capulet.example" || made.Data != filepath.Join(dir, "data") || made.Admin.JID.String() != "admin@capulet.example" {
		t.Errorf("%+v", made)
	}
	if made.DNS[0].Name != "_xmpp-client._tcp.capulet.example." || !strings.Contains(made.Unit, "--config "+file) {
		t.Errorf("%+v", made)
	}
	for _, args := range [][]string{{"--config", file}, {"--config", filepath.Join(dir, "b.toml"), "--data", made.Data}} {
		if code, _, errs := program(t, "", append(args, "quickstart", "--domain", "example.org")...); code != exitFailed {
			t.Error(args, code, errs)
		}
	}
	ok(t, "config", "check", file)

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(`":5222"`, `"127.0.0.1:0"`, `":5223"`, `"127.0.0.1:0"`, `"127.0.0.1:5290"`, `"127.0.0.1:0"`).Replace(string(text))
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "ready", "serve", "--config", file)
	status := answer[ops.Status](t, "status", "--config", file)
	d := devReady{C2S: status.Listeners["c2s"], C2STLS: status.Listeners["c2s-tls"], CAFile: made.CA}
	if _, err := login(t, d, devAccount{JID: made.Admin.JID.String(), Password: made.Admin.Password}, true); err != nil {
		t.Error(err)
	}
}

func TestQuickstartPageHasNothingLeftOut(t *testing.T) {
	dir := t.TempDir()
	page := ok(t, "quickstart", "--domain", "example.org", "--config", filepath.Join(dir, "etc", "c.toml"), "--data", filepath.Join(dir, "lib"))
	for _, want := range []string{
		"admin@example.org, password ", "_xmpp-client._tcp.example.org.", "SRV", "0 5 5222 xmpp.example.org.", "ProtectSystem=strict",
		"ReadWritePaths=" + filepath.Join(dir, "lib"), filepath.Join(dir, "lib", "tls", "example.org.pem"), "user add juliet@example.org",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(page, "<no value>") || strings.Contains(page, "{{") {
		t.Error(page)
	}
}

func TestDomainsOfManyScriptsAreASCIIInDNS(t *testing.T) {
	page := ok(t, "quickstart", "--domain", "Bücher.example", "--config", filepath.Join(t.TempDir(), "c.toml"))
	for _, want := range []string{"admin@bücher.example", "_xmpp-client._tcp.xn--bcher-kva.example.", "xn--bcher-kva.example.pem"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}

func TestExitCodesTellWhatHappened(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"status"}, exitUnreachable, "nothing runs in ./dev-data"},
		{[]string{"status", "--data", "nowhere"}, exitUnreachable, "there is no such socket"},
		{[]string{"status", "--data", "x", "--config", "y"}, exitUsage, "use one of them"},
		{[]string{"statu"}, exitUsage, "unknown command"},
		{[]string{"user"}, exitUsage, "chancery user what?"},
		{[]string{"user", "ad"}, exitUsage, "did you mean add"},
		{[]string{"user", "add"}, exitUsage, "needs JID"},
		{[]string{"user", "passwd", "a@b", "c@d"}, exitUsage, `"c@d"`},
		{[]string{"user", "list", "--bogus"}, exitUsage, "--bogus"},
		{[]string{"log", "follow", "--level", "loud"}, exitUsage, "loud"},
		{[]string{"quickstart"}, exitUsage, "--domain example.org"},
		{[]string{"quickstart", "--domain", "no good"}, exitUsage, "no good"},
		{[]string{"serve"}, exitFailed, "chancery quickstart"},
		{[]string{"config", "check"}, exitFailed, "chancery.toml"},
		{[]string{"restore", "x.db"}, exitUsage, "--data FOLDER"},
		{[]string{"completion", "csh"}, exitUsage, "csh"},
		{[]string{"setting", "describe", "nothing"}, exitFailed, "nothing"},
	} {
		code, out, errs := program(t, "", c.args...)
		if code != c.code || !strings.Contains(errs, c.says) || out != "" {
			t.Errorf("chancery %s: exit code %d, want %d\n%s%s", strings.Join(c.args, " "), code, c.code, out, errs)
		}
		if code, _, errs := program(t, "", append(c.args, "--json")...); code == c.code && !strings.HasPrefix(lastLine(errs), `{"error":{"code":"`) {
			t.Errorf("chancery %s --json: %s", strings.Join(c.args, " "), errs)
		}
	}
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func TestWithoutAServer(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("bad.toml", []byte("data=1\nnope=2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := program(t, "", "config", "check", "bad.toml")
	if code != exitFailed || !strings.Contains(errs, "bad.toml:1:1: data") || !strings.Contains(errs, "bad.toml:2:1: unknown key") {
		t.Error(code, errs)
	}
	code, out, _ := program(t, "", "config", "check", "bad.toml", "--json")
	if code != exitFailed || !strings.Contains(out, `"line":2`) {
		t.Error(code, out)
	}
	for _, args := range [][]string{
		{"config", "describe"}, {"setting", "describe"}, {"setting", "describe", "c2s.depth"}, {"version"}, {"completion", "bash"}, {"completion", "zsh"},
		{"completion", "fish"}, {"completion", "powershell"}, {"--help"}, {"user", "import", "--help"},
	} {
		if ok(t, args...) == "" {
			t.Errorf("chancery %s says nothing", strings.Join(args, " "))
		}
	}
}

func TestTableCannotSteerTheTerminal(t *testing.T) {
	b := new(bytes.Buffer)
	table(b, [][]string{{"a\x1b[2J", "b\nc"}})
	if b.String() != "a?[2J  b?c\n" {
		t.Errorf("%q", b)
	}
}

func FuzzParseUser(f *testing.F) {
	for _, line := range []string{"a@b c d", "a@b\tx", "# x", "", `{"jid":"a@b","password":"x","admin":true}`, `{"jid":1}`, "\uFEFFa@b", "{} {}"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		u, ok, err := parseUser(line)
		if err != nil || !ok {
			return
		}
		b, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		again, ok, err := parseUser(string(b))
		var want ops.NewUser // JSON replaces bytes that are not UTF-8
		if jerr := json.Unmarshal(b, &want); jerr != nil || err != nil || !ok || again != want {
			t.Fatalf("%q → %+v → %+v, %v", line, u, again, err)
		}
	})
}
