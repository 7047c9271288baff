package node

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chancery/admin/ops"
)

// Stage makes nodes. Its zero value is ready; share one in a test binary. What costs time is done once: the schema, a
// certificate authority, the passwords of a few people. Each node begins with a copy.
type Stage struct {
	once  sync.Once
	files map[string][]byte
	salts saltCache
}

// Run runs a test against a node of its own, inside a bubble. The node is stopped at the end; a goroutine of the server
// that does not end then fails the test.
func (s *Stage) Run(t *testing.T, do func(t *testing.T, n *Node)) {
	t.Helper()
	s.once.Do(func() { s.build(t) })
	if s.files == nil {
		t.Fatal("the first node could not be made")
	}
	root := memory(t)
	for name, b := range s.files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(Epoch))
		n, log := s.node(root)
		for _, p := range People {
			n.people[p] = true
		}
		if err := n.Start(); err != nil {
			t.Fatalf("start: %v\n%s", err, log.text())
		}
		do(t, n)
		if err := n.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if bad := log.complaints(); bad != "" {
			t.Errorf("the server's log has\n%s", bad)
		}
	})
}

// build makes the files that every node begins with.
func (s *Stage) build(t *testing.T) {
	root := memory(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(Epoch.Add(-time.Hour)))
		n, log := s.node(root)
		if err := n.Start(); err != nil {
			t.Fatalf("start: %v\n%s", err, log.text())
		}
		if _, err := n.Server.Ops.AddHost(n.ctx, ops.Local("test"), OtherDomain); err != nil {
			t.Fatal(err)
		}
		for _, p := range People {
			if err := n.Account(p); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
	})
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) == ".lock" {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		files[rel], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.files = files
}

func (s *Stage) node(root string) (*Node, *logbook) {
	log := new(logbook)
	return &Node{
		book: log,
		ctx:  context.Background(), root: root, dir: filepath.Join(root, "life-0"), salts: &s.salts, people: map[string]bool{},
		log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, log
}

// memory is a temporary folder, in memory where the system has such a place: every commit of the database is an fsync.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "chancery-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// logbook keeps the server's log, which is looked at when the test is over.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tear out what was written so far.
func (l *logbook) tear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// complaints are errors: whatever a client does, the server's own house stays in order.
func (l *logbook) complaints() string {
	var out []string
	for line := range strings.Lines(l.text()) {
		if strings.Contains(line, " level=ERROR ") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

func cutAt(bare string) (local, domain string, ok bool) { return strings.Cut(bare, "@") }
