package local

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Postgres is a throw-away PostgreSQL on a Unix socket, with its defaults: a
// commit is on disk when it returns.
type Postgres struct {
	bin string // folder of the programs
	dir string
	URL string
	as  *syscall.Credential // PostgreSQL does not run as root
}

// NewPostgres makes and starts it in a folder below dir.
func NewPostgres(ctx context.Context, dir string) (*Postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	p := &Postgres{bin: bin, dir: filepath.Join(dir, "postgres")}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		if err := p.disown(dir); err != nil {
			return nil, err
		}
	}
	if err := p.run(ctx, "initdb", "-D", p.data(), "-U", "chancery", "-A", "trust", "--no-locale", "-E", "UTF8"); err != nil {
		return nil, err
	}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	if err := p.run(ctx, "createdb", "-h", p.dir, "-U", "chancery", "chancery"); err != nil {
		p.Stop()
		return nil, err
	}
	p.URL = "postgres://chancery@/chancery?host=" + url.QueryEscape(p.dir)
	return p, nil
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// postgresBin finds the server programs, which are not on everybody's PATH.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), "postgres")); err == nil {
				return filepath.Dir(path), nil
			}
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("PostgreSQL's server programs are not installed")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// disown lets the cluster run as the user that the package made.
func (p *Postgres) disown(dir string) error {
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if err := os.Chmod(dir, 0o711); err != nil { // to reach its own folder
		return err
	}
	return os.Chown(p.dir, uid, gid)
}

func (p *Postgres) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// Start waits until it takes connections.
func (p *Postgres) Start(ctx context.Context) error {
	return p.run(ctx, "pg_ctl", "-D", p.data(), "-l", filepath.Join(p.dir, "log"), "-w", "-o", "-k "+p.dir+" -c listen_addresses=''", "start")
}

// Stop ends it as an accident would: connections are dropped, nothing is
// written down first.
func (p *Postgres) Stop() error {
	return p.run(context.Background(), "pg_ctl", "-D", p.data(), "-m", "immediate", "-w", "stop")
}

// Signal reaches every process of the cluster: SIGSTOP lets it hang, SIGCONT
// lets it go on.
func (p *Postgres) Signal(sig syscall.Signal) error {
	text, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	parent, err := strconv.Atoi(line)
	if err != nil {
		return err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return err
	}
	for _, f := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(f); err == nil {
			syscall.Kill(pid, sig)
		}
	}
	return syscall.Kill(parent, sig)
}
