package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// shared is the server of this test process; nil when there is none to be had.
var shared = sync.OnceValues(func() (*Cluster, error) {
	if dsn := os.Getenv("CHANCERY_TEST_POSTGRES"); dsn != "" {
		return &Cluster{DSN: dsn}, nil
	}
	bin := binaries()
	if bin == "" {
		return nil, nil
	}
	return start(bin, nil)
})

// Cluster is a PostgreSQL server.
type Cluster struct {
	DSN string // of the database postgres, as a role that may do everything

	bin, dir string
	cmd      *exec.Cmd
	life     io.Closer // the server ends when this is closed, also because we died
}

// StartPostgres starts a server that only the test uses, and that it may stop and start again; skipped like PostgresConfig. configure,
// which may be nil, puts files into the data folder and returns lines for postgresql.conf.
func StartPostgres(t testing.TB, configure func(data string) []string) *Cluster {
	t.Helper()
	bin := binaries()
	if bin == "" {
		PostgresConfig(t) // skips or fails, unless the server is elsewhere
		t.Skip("this test stops and starts its server, and the one of CHANCERY_TEST_POSTGRES is not ours")
	}
	c, err := start(bin, configure)
	if err != nil {
		t.Fatal("starting PostgreSQL:", err)
	}
	t.Cleanup(c.Stop)
	return c
}

// binaries finds the folder of initdb and postgres.
func binaries() string {
	dirs := []string{}
	for _, p := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin"} {
		found, _ := filepath.Glob(p)
		dirs = append(dirs, found...)
	}
	slices.Reverse(dirs)
	if p, err := exec.LookPath("initdb"); err == nil {
		dirs = slices.Insert(dirs, 0, filepath.Dir(p))
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, "initdb")); err == nil {
			return d
		}
	}
	return ""
}

func start(bin string, configure func(data string) []string) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, dir: dir, DSN: "host=" + dir + " user=postgres dbname=postgres"}
	attr, err := c.asPostgres()
	if err != nil {
		return nil, err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", c.Data(), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if configure != nil {
		if err := c.configure(configure(c.Data())); err != nil {
			return nil, err
		}
	}
	return c, c.Start()
}

// Data is the server's data folder.
func (c *Cluster) Data() string { return filepath.Join(c.dir, "data") }

func (c *Cluster) configure(lines []string) error {
	f, err := os.OpenFile(filepath.Join(c.Data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if port, ok := strings.CutPrefix(l, "port = "); ok {
			c.DSN += " port=" + port
		}
	}
	_, err = fmt.Fprintln(f, strings.Join(lines, "\n"))
	return errors.Join(err, f.Close(), c.giveAway())
}

// giveAway lets the server own what was put into its folder.
func (c *Cluster) giveAway() error {
	attr, err := c.asPostgres()
	if err != nil || attr.Credential == nil {
		return err
	}
	files, err := os.ReadDir(c.Data())
	for _, f := range files {
		err = errors.Join(err, os.Chown(filepath.Join(c.Data(), f.Name()), int(attr.Credential.Uid), int(attr.Credential.Gid)))
	}
	return err
}

// asPostgres lets root start a server, which refuses to run as root.
func (c *Cluster) asPostgres() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(c.dir, uid, gid)
}

// Start starts a stopped server and returns when it answers.
func (c *Cluster) Start() error {
	attr, err := c.asPostgres()
	if err != nil {
		return err
	}
	// The shell stops the server when its input ends, which it does however this process ends.
	const script = `"$0" "$@" & p=$!; cat >/dev/null; kill -INT $p; wait $p`
	args := []string{"-c", script, filepath.Join(c.bin, "postgres"), "-D", c.Data(), "-k", c.dir, "-c", "fsync=off", "-c", "max_connections=200"}
	if !c.hasTCP() {
		args = append(args, "-c", "listen_addresses=")
	}
	c.cmd = exec.Command("sh", args...)
	c.cmd.SysProcAttr, c.cmd.Dir = attr, c.dir
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if c.life, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	return c.wait()
}

func (c *Cluster) hasTCP() bool {
	b, _ := os.ReadFile(filepath.Join(c.Data(), "postgresql.conf"))
	return strings.Contains(string(b), "\nlisten_addresses")
}

func (c *Cluster) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		conn, err := pgx.Connect(ctx, c.DSN)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
			return fmt.Errorf("the server does not answer: %w\n%s", err, log)
		}
	}
}

// Halt stops the server; its data stays for Start. Connections are cut.
func (c *Cluster) Halt() {
	c.life.Close()
	c.cmd.Wait()
}

// Stop stops the server and removes it.
func (c *Cluster) Stop() {
	c.Halt()
	os.RemoveAll(c.dir)
}

// Database makes an empty database that the test removes, and returns its connection string.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	return c.database(t)
}

func (c *Cluster) database(t testing.TB) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text()[:12])
	if err := c.exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Log("removing the database:", err)
		}
	})
	config, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(c.DSN, "://") {
		return strings.Replace(c.DSN, "/"+config.Database, "/"+name, 1)
	}
	return c.DSN + " dbname=" + name
}

func (c *Cluster) exec(sql string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.DSN)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}
