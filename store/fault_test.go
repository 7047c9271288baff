package store_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"chancery/store"
	"chancery/store/storetest"
)

// journal is a log that tests read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) count(level slog.Level) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.b.String(), "level="+level.String())
}

// openWith is storetest.Open with a log of its own.
func openWith(t testing.TB, cfg store.Config, w io.Writer) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(io.MultiWriter(w, t.Output()), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func appendOne(db *store.DB, r store.Row) error {
	c := make(chan error, 1)
	db.Append([]store.Row{r}, func(err error) { c <- err })
	return <-c
}

// eventually tries until do is satisfied, or the test runs out of time.
func eventually(t testing.TB, do func() error) {
	t.Helper()
	deadline := time.After(time.Minute)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		err := do()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("still: ", err)
		}
	}
}

func TestAPostgresServerGoesAndComesBack(t *testing.T) {
	cluster := storetest.StartPostgres(t, nil)
	var log journal
	db := openWith(t, store.Config{Driver: store.Postgres, DSN: cluster.Database(t)}, &log)
	if err := appendOne(db, put("s", 1, "before")); err != nil {
		t.Fatal(err)
	}
	cluster.Halt()
	for i := range 5 {
		if err := appendOne(db, put("s", 10+i, "lost")); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Append while it is away: %v", err)
		}
		if err := db.Write(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Write while it is away: %v", err)
		}
		if err := db.Read().QueryRow(t.Context(), "SELECT 1").Scan(new(int)); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Read while it is away: %v", err)
		}
	}
	if s := db.Status(); s.Available || s.Reason == "" || time.Since(s.Since) > time.Minute {
		t.Errorf("status: %+v", s)
	}
	if err := cluster.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // without anybody asking for something
		if s := db.Status(); !s.Available {
			return errors.New(s.Reason)
		}
		return nil
	})
	if err := appendOne(db, put("s", 2, "after")); err != nil {
		t.Error(err)
	}
	if got := read(t, db, "s"); got != "1=before 2=after " {
		t.Errorf("rows are %q", got)
	}
	if e, i := log.count(slog.LevelError), log.count(slog.LevelInfo); e != 1 || i != 1 {
		t.Errorf("%d lines say that it is away, %d that it is back", e, i)
	}
}

func TestAConnectionThatDiesWhileIdleIsNobodysTrouble(t *testing.T) {
	cfg := storetest.PostgresConfig(t)
	var log journal
	db := openWith(t, cfg, &log)
	if err := appendOne(db, put("s", 1, "a")); err != nil {
		t.Fatal(err)
	}
	run(t, connect(t, cfg.DSN), `SELECT COUNT(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err := appendOne(db, put("s", 2, "b")); err != nil {
		t.Error(err)
	}
	if got := read(t, db, "s"); got != "1=a 2=b " {
		t.Errorf("rows are %q", got)
	}
	if n := log.count(slog.LevelError); n != 0 {
		t.Errorf("%d errors are logged", n)
	}
}

func TestAConnectionThatDiesInATransactionIsUnavailable(t *testing.T) {
	db := storetest.Open(t, storetest.PostgresConfig(t))
	if err := appendOne(db, put("s", 1, "a")); err != nil {
		t.Fatal(err)
	}
	runs := 0
	err := db.Write(t.Context(), func(tx store.Tx) error {
		runs++
		if _, err := tx.Exec(t.Context(), "DELETE FROM sm_queue"); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	})
	if !errors.Is(err, store.ErrUnavailable) || runs != 1 {
		t.Errorf("%v after %d runs", err, runs)
	}
	eventually(t, func() error { return appendOne(db, put("s", 2, "b")) })
	if got := read(t, db, "s"); got != "1=a 2=b " {
		t.Errorf("rows are %q", got)
	}
}

// TestAFullDisk runs in a process of its own whose files may not grow beyond a limit.
func TestAFullDisk(t *testing.T) {
	if os.Getenv("CHANCERY_TEST_FULL_DISK") == "1" {
		fullDisk(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), "CHANCERY_TEST_FULL_DISK=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestAFullDisk")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func fullDisk(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	limit := func(bytes uint64) {
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: min(bytes, old.Max), Max: old.Max}); err != nil {
			t.Fatal(err)
		}
	}
	cfg := storetest.SQLiteConfig(t)
	var log journal
	db := openWith(t, cfg, &log)
	big := strings.Repeat("x", 64<<10)
	kept := 0
	limit(4 << 20)
	for i := range 200 {
		err := appendOne(db, put("s", i, big))
		if err == nil {
			kept++
			continue
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("row %d: %v", i, err)
		}
	}
	if kept == 0 || kept > 100 {
		t.Errorf("%d rows fit", kept)
	}
	if s := db.Status(); s.Available {
		t.Errorf("status: %+v", s)
	}
	if n := log.count(slog.LevelError); n < 1 || n > 3 {
		t.Errorf("%d lines say that the disk is full", n)
	}
	if n := strings.Count(read(t, db, "s"), "="); n != kept {
		t.Errorf("%d rows are there, %d were kept", n, kept)
	}
	limit(1 << 40)
	eventually(t, func() error { return appendOne(db, put("t", 1, "after")) })
	if !db.Status().Available || log.count(slog.LevelInfo) < 1 {
		t.Errorf("status: %+v", db.Status())
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	again := storetest.Open(t, cfg)
	var verdict string
	if err := again.Read().QueryRow(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Error(verdict, err)
	}
	if n := strings.Count(read(t, again, "s"), "="); n != kept {
		t.Errorf("%d rows are there after a restart, %d were kept", n, kept)
	}
}

// TestWhatWasToldSurvivesKill kills a process of its own in the middle of its work.
func TestWhatWasToldSurvivesKill(t *testing.T) {
	if path := os.Getenv("CHANCERY_TEST_KILL"); path != "" {
		writeUntilKilled(t, path)
		return
	}
	cfg := storetest.SQLiteConfig(t)
	told := 0
	for round := range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWhatWasToldSurvivesKill$")
		cmd.Env = append(os.Environ(), "CHANCERY_TEST_KILL="+cfg.Path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ { // to the end, which comes after the kill
			if told, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			if n == 3000 {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		db, err := store.Open(t.Context(), cfg, storetest.Log(t))
		if err != nil {
			t.Fatal(err)
		}
		var rows, last int
		if err := db.Read().QueryRow(t.Context(), "SELECT COUNT(*), MAX(seq) FROM sm_queue").Scan(&rows, &last); err != nil {
			t.Fatal(err)
		}
		if rows != last || last < told {
			t.Errorf("round %d: %d rows up to %d are there, told were %d", round, rows, last, told)
		}
		var verdict string
		if err := db.Read().QueryRow(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("round %d: %s, %v", round, verdict, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// writeUntilKilled adds rows without gaps and prints the number of each when it is told.
func writeUntilKilled(t *testing.T, path string) {
	db, err := store.Open(t.Context(), store.Config{Driver: store.SQLite, Path: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var last int
	if err := db.Read().QueryRow(t.Context(), "SELECT COALESCE(MAX(seq), 0) FROM sm_queue").Scan(&last); err != nil {
		t.Fatal(err)
	}
	stanza := strings.Repeat("x", 700)
	for flying := make(chan struct{}, 200); ; flying <- struct{}{} {
		last++
		seq := last
		db.Append([]store.Row{put("s", seq, stanza)}, func(err error) {
			if err == nil {
				fmt.Println(seq)
			}
			<-flying
		})
	}
}

func TestAnotherProgramHoldsTheLock(t *testing.T) {
	t.Parallel() // SQLite waits for some seconds before it gives up
	cfg := storetest.SQLiteConfig(t)
	db := openWith(t, cfg, io.Discard)
	unlock := store.Lock(t, cfg)
	if err := appendOne(db, put("s", 1, "x")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("locked: %v", err)
	}
	unlock()
	eventually(t, func() error { return appendOne(db, put("s", 2, "y")) })
	if got := read(t, db, "s"); got != "2=y " {
		t.Errorf("rows are %q", got)
	}
}

// certify makes a certificate; a nil issuer signs itself.
func certify(t *testing.T, dir, name string, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey, template x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if issuer == nil {
		issuer, issuerKey = &template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestPostgresOverVerifiedTLS: the server proves its name, and we prove our role, with certificates alone.
func TestPostgresOverVerifiedTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	ours := t.TempDir()
	storetest.StartPostgres(t, func(data string) []string {
		ca, caKey := certify(t, ours, "ca", nil, nil, x509.Certificate{Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
		certify(t, data, "server", ca, caKey, x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		certify(t, ours, "client", ca, caKey, x509.Certificate{Subject: pkix.Name{CommonName: "postgres"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		certify(t, ours, "stranger", nil, nil, x509.Certificate{Subject: pkix.Name{CommonName: "postgres"}, IsCA: true, BasicConstraintsValid: true})
		root, err := os.ReadFile(filepath.Join(ours, "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		hba := "local all all trust\nhostssl all all 127.0.0.1/32 cert\nhostssl all all ::1/128 cert\n"
		if err := errors.Join(os.WriteFile(filepath.Join(data, "root.crt"), root, 0o600), os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600)); err != nil {
			t.Fatal(err)
		}
		return []string{"listen_addresses = 'localhost'", fmt.Sprintf("port = %d", port), "ssl = on", "ssl_ca_file = 'root.crt'"}
	})
	dsn := func(host, ca, cert string) store.Config {
		file := func(name string) string { return filepath.Join(ours, name) }
		return store.Config{Driver: store.Postgres, DSN: fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres sslmode=verify-full sslrootcert=%s sslcert=%s sslkey=%s",
			host, port, file(ca+".crt"), file(cert+".crt"), file(cert+".key"))}
	}
	db := storetest.Open(t, dsn("localhost", "ca", "client"))
	if err := appendOne(db, put("s", 1, "x")); err != nil {
		t.Error(err)
	}
	var encrypted bool
	if err := db.Read().QueryRow(t.Context(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted); err != nil || !encrypted {
		t.Error("not encrypted", err)
	}
	for what, cfg := range map[string]store.Config{
		"another name":    dsn("127.0.0.1", "ca", "client"),
		"another CA":      dsn("localhost", "stranger", "client"),
		"a forged client": dsn("localhost", "ca", "stranger"),
	} {
		db, err := store.Open(context.WithoutCancel(t.Context()), cfg, storetest.Log(t))
		if err == nil {
			db.Close()
			t.Errorf("%s was accepted", what)
		}
	}
}
