// Command interop runs clients that other people wrote against a server
// started by the README's own commands, on each database:
//
//	go run ./test/interop [sqlite] [postgres]
//
// It wants go-sendxmpp, profanity and tmux (Debian's packages), Python with
// venv, PyPI for slixmpp, and PostgreSQL's server programs. All of it talks on
// the loopback only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"chancery/test/local"
)

// stage is a running server and a place for the clients' files.
type stage struct {
	dir      string
	database string
	srv      *local.Server
}

// suite is one client.
type suite struct {
	name string
	run  func(ctx context.Context, s *stage) (checks int, err error)
}

var suites = []suite{
	{"slixmpp", slixmpp},
	{"go-sendxmpp", sendxmpp},
	{"profanity", profanity},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := flag.String("server", "", "chancery binary to use instead of `go run ./cmd/chancery`")
	flag.Parse()
	command := []string{"go", "run", "./cmd/chancery"}
	if *server != "" {
		command = []string{*server}
	}
	databases := flag.Args()
	if len(databases) == 0 {
		databases = []string{"sqlite", "postgres"}
	}
	passed, failed := 0, 0
	for _, database := range databases {
		p, f, err := perform(ctx, command, database)
		if err != nil {
			fmt.Printf("FAIL  %s: %v\n", database, err)
			f++
		}
		passed, failed = passed+p, failed+f
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

// perform starts a server on one database and lets every client at it.
func perform(ctx context.Context, command []string, database string) (passed, failed int, err error) {
	dir, err := os.MkdirTemp("", "chancery-interop-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	s, end, err := open(ctx, command, dir, database)
	if err != nil {
		return 0, 0, err
	}
	defer end()
	for _, suite := range suites {
		began := time.Now()
		n, err := suite.run(ctx, s)
		passed += n
		if err != nil {
			failed++
			fmt.Printf("FAIL  %s on %s: %v\n", suite.name, database, err)
			continue
		}
		fmt.Printf("ok    %s on %s: %d checks in %s\n", suite.name, database, n, time.Since(began).Round(100*time.Millisecond))
	}
	if failed > 0 {
		fmt.Println("the server's last words:\n" + s.srv.Log.Tail(30))
	}
	if err := s.srv.Stop(); err != nil {
		return passed, failed, fmt.Errorf("stop the server: %w", err)
	}
	return passed, failed, nil
}

// open starts the server as the README says.
func open(ctx context.Context, command []string, dir, database string) (*stage, func(), error) {
	l, err := local.NewLog(dir)
	if err != nil {
		return nil, nil, err
	}
	s := &stage{dir: dir, database: database}
	s.srv = &local.Server{Command: command, Data: filepath.Join(dir, "data"), Log: l}
	end := s.srv.Kill
	switch database {
	case "sqlite":
	case "postgres":
		pg, err := local.NewPostgres(ctx, dir)
		if err != nil {
			return nil, nil, err
		}
		s.srv.Database = pg.URL
		end = func() { s.srv.Kill(); pg.Stop() }
	default:
		return nil, nil, fmt.Errorf("no database %q; there are sqlite and postgres", database)
	}
	if _, err := s.srv.Start(ctx); err != nil {
		end()
		return nil, nil, err
	}
	return s, end, nil
}

// person is the i-th account of the server that is no administrator.
func (s *stage) person(i int) (jid, password string) {
	for _, a := range s.srv.Ready().Accounts {
		if a.Admin {
			continue
		}
		if i--; i < 0 {
			return a.JID, a.Password
		}
	}
	return "", ""
}

// slixmpp runs slixmpp_test.py in a virtual environment of its own.
func slixmpp(ctx context.Context, s *stage) (int, error) {
	python, err := environment(ctx)
	if err != nil {
		return 0, err
	}
	line, err := json.Marshal(s.srv.Ready())
	if err != nil {
		return 0, err
	}
	ready := filepath.Join(s.dir, "ready.json")
	if err := os.WriteFile(ready, append(line, '\n'), 0o600); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, python, "test/interop/slixmpp_test.py", "-v")
	cmd.Env = append(os.Environ(), "CHANCERY_READY="+ready, "PYTHONUNBUFFERED=1")
	out, err := cmd.CombinedOutput()
	var ran int
	for line := range lines(out) {
		fmt.Sscanf(line, "Ran %d tests", &ran)
	}
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, out)
	}
	if ran == 0 {
		return 0, fmt.Errorf("no test ran\n%s", out)
	}
	return ran, nil
}

// slixmppVersion is what is tested; older than 1.8.5 offers a channel binding
// on TLS 1.3 that it does not have.
const slixmppVersion = "1.17.0"

// environment makes the virtual environment once and returns its Python.
func environment(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "chancery-interop", "slixmpp-"+slixmppVersion)
	python := filepath.Join(dir, "bin", "python")
	if exec.CommandContext(ctx, python, "-c", "import slixmpp").Run() == nil {
		return python, nil
	}
	os.RemoveAll(dir)
	host := "/usr/bin/python3" // the system's: Debian builds its venv on it
	if _, err := os.Stat(host); err != nil {
		host = "python3"
	}
	for _, args := range [][]string{{host, "-m", "venv", dir}, {python, "-m", "pip", "install", "--quiet", "slixmpp==" + slixmppVersion}} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	return python, nil
}

var errLate = errors.New("it did not happen in time")

// until asks again and again, for at most a while.
func until(ctx context.Context, most time.Duration, done func() bool) error {
	for end := time.Now().Add(most); !done(); {
		if time.Now().After(end) {
			return errLate
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
