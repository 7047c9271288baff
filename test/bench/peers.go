package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The servers have one core and the load generator has the other.
const serverCPU, loadCPU = "0", "1"

const (
	domain  = "bench.localhost"
	ourAddr = "127.0.0.1:15722"
)

// running is a server that was started for a figure.
type running struct {
	pid  string
	stop func()
}

// host is how one server is run.
type host struct {
	addr  string
	start func(b *bench, ctx context.Context, name, archive string) (*running, error)
	// command runs it in the foreground, for the time that a start takes.
	command func(b *bench, name string) string
	// people makes accounts; nil leaves it to the load generator, in band.
	people func(b *bench, ctx context.Context, name, prefix string, n int) error
}

var hosts = map[string]host{
	"chancery": {ourAddr, startOurs, commandOurs, peopleOurs},
	"prosody":  {"127.0.0.1:15222", startPeer, commandPeer, nil},
	"ejabberd": {"127.0.0.1:15322", startPeer, commandPeer, nil},
}

// take measures a figure once on one server and keeps the result.
func (b *bench) take(ctx context.Context, f figure, name string) error {
	h, ok := hosts[name]
	if !ok {
		return fmt.Errorf("there is no server %q", name)
	}
	archive := f.archive[name]
	if archive == "" {
		archive = "none"
	}
	args := slices.Clone(f.scenario)
	if f.group == "start" {
		return b.scenario(ctx, f, name, append(args, "-addr", h.addr, "-domain", domain, "-cmd", h.command(b, name)))
	}
	r, err := h.start(b, ctx, name, archive)
	if err != nil {
		return err
	}
	defer r.stop()
	to := []string{"-addr", h.addr, "-domain", domain, "-pid", r.pid, "-cache", b.path(name, archive, "keys")}
	if err := b.people(ctx, f, h, name, archive, to); err != nil {
		return err
	}
	if f.fresh { // what making the accounts left in memory is not theirs
		r.stop()
		if r, err = h.start(b, ctx, name, archive); err != nil {
			return err
		}
		defer r.stop()
		to[5] = r.pid
		if err := b.quietly(ctx, append([]string{"login", "-n", "50"}, to...)); err != nil { // loads the server's code
			return err
		}
	}
	if f.fill != nil {
		err := b.once(b.path(name, archive, "filled"), func() error { return b.quietly(ctx, append(slices.Clone(f.fill), to...)) })
		if err != nil {
			return err
		}
	}
	return b.scenario(ctx, f, name, append(args, to...))
}

// people sees to it that the accounts are there, and that the load generator
// knows their keys.
func (b *bench) people(ctx context.Context, f figure, h host, name, archive string, to []string) error {
	prefix := f.prefix
	if prefix == "" {
		prefix = "u"
	}
	return b.once(b.path(name, archive, prefix+strconv.Itoa(f.accounts)), func() error {
		if h.people != nil {
			if err := h.people(b, ctx, b.path(name, archive, ""), prefix, f.accounts); err != nil {
				return err
			}
		}
		return b.quietly(ctx, append([]string{"register", "-n", strconv.Itoa(f.accounts), "-prefix", prefix}, to...))
	})
}

// once does something the first time and leaves a mark.
func (b *bench) once(mark string, do func() error) error {
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if err := do(); err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o644)
}

// path names a file that belongs to a server with this archive.
func (b *bench) path(name, archive, file string) string {
	return strings.TrimSuffix(filepath.Join(b.dir, name+"-"+archive+"."+file), ".")
}

// quietly runs the load generator for what it does, not for its figures.
func (b *bench) quietly(ctx context.Context, args []string) error {
	out, err := exec.CommandContext(ctx, b.load(), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, out)
	}
	return nil
}

// disturbed is the share of a core that others may take while a figure is
// taken; above it the figure is taken again.
const disturbed = 12

// scenario runs the load generator and keeps the least disturbed of three.
func (b *bench) scenario(ctx context.Context, f figure, name string, args []string) error {
	var best []byte
	least := 1e9
	for range 3 {
		cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", loadCPU, b.load()}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", f.scenario[0], err, stderr.Bytes())
		}
		var r struct {
			Other float64 `json:"other_cpu_pct"`
		}
		if err := json.Unmarshal(out, &r); err != nil {
			return fmt.Errorf("%s: %w: %s", f.scenario[0], err, out)
		}
		if r.Other < least {
			least, best = r.Other, out
		}
		if least <= disturbed || f.group == "idle" {
			break
		}
	}
	fmt.Fprintf(os.Stderr, "%-9s %s: %s", name, f.name, best)
	file, err := os.OpenFile(b.results(f, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(best)
	return errors.Join(err, file.Close())
}

// results is the file of a figure of one server.
func (b *bench) results(f figure, name string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(f.name))
	return filepath.Join(b.dir, "results", safe+"."+name+".json")
}

// peer prepares a call of the script that runs the peers.
func (b *bench) peer(ctx context.Context, archive string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.scripts(), args...)
	cmd.Env = append(os.Environ(), "BENCH="+b.dir, "CPU="+serverCPU, "NAME="+archive)
	return cmd
}

func startPeer(b *bench, ctx context.Context, name, archive string) (*running, error) {
	out, err := b.peer(ctx, archive, "start", name, archive).Output()
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	stop := func() { b.peer(context.WithoutCancel(ctx), archive, "stop", name).Run() }
	return &running{pid: strings.TrimSpace(string(out)), stop: stop}, nil
}

func commandPeer(b *bench, name string) string {
	return "exec env BENCH=" + b.dir + " CPU=" + serverCPU + " NAME=none " + b.scripts() + " exec " + name + " none"
}

// changes are the settings under which this server is measured: the limits on
// one address are lifted, since all the load comes from one, passwords cost
// what they cost at the peers, and accounts may be made in band.
var changes = map[string]string{"listen.per_address": "0", "listen.rate_per_address": "0", "registration.enabled": "true",
	"registration.per_address": "0", "login.iterations": "4096"}

func startOurs(b *bench, ctx context.Context, name, archive string) (*running, error) {
	dir, err := b.configure(ctx, name, archive)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("taskset", "-c", serverCPU, b.server(), "serve", "--config", filepath.Join(dir, "chancery.toml"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); log.Close(); close(ended) }()
	stop := func() { cmd.Process.Signal(syscall.SIGTERM); <-ended }
	set := maps.Clone(changes)
	set["archive.default"] = "always"
	if archive == "none" {
		set["archive.default"] = "never"
	}
	args := []string{"setting", "set", "--config", filepath.Join(dir, "chancery.toml")}
	for _, k := range slices.Sorted(maps.Keys(set)) {
		args = append(args, k+"="+set[k])
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, err := exec.CommandContext(ctx, b.server(), args...).CombinedOutput()
		if err == nil {
			break
		}
		if time.Now().After(end) || ctx.Err() != nil {
			stop()
			said, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("it does not take settings: %w: %s%s", err, out, said)
		}
	}
	return &running{pid: strconv.Itoa(cmd.Process.Pid), stop: stop}, nil
}

// configure sets a server up as its own quickstart does, on the ports of the
// measurement.
func (b *bench) configure(ctx context.Context, name, archive string) (dir string, err error) {
	dir = b.path(name, archive, "")
	file := filepath.Join(dir, "chancery.toml")
	if _, err := os.Stat(file); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, b.server(), "quickstart", "--domain", domain, "--config", file, "--data", filepath.Join(dir, "data"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("quickstart: %w: %s", err, out)
	}
	text := fmt.Sprintf("data = %q\n\n[[listener]]\nname = \"c2s\"\naddress = %q\n\n[admin]\naddress = \"off\"\n\n[log]\nlevel = \"warn\"\n",
		filepath.Join(dir, "data"), ourAddr)
	return dir, os.WriteFile(file, []byte(text), 0o644)
}

func commandOurs(b *bench, name string) string {
	return "exec taskset -c " + serverCPU + " " + b.server() + " serve --config " + filepath.Join(b.path(name, "none", ""), "chancery.toml")
}

// peopleOurs imports the accounts: it takes one call.
func peopleOurs(b *bench, ctx context.Context, dir, prefix string, n int) error {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "%s%06d@%s benchpass\n", prefix, i, domain)
	}
	cmd := exec.CommandContext(ctx, b.server(), "user", "import", "-", "--config", filepath.Join(dir, "chancery.toml"))
	cmd.Stdin = strings.NewReader(lines.String())
	if out, err := cmd.CombinedOutput(); err != nil && !bytes.Contains(out, []byte("exist")) {
		return fmt.Errorf("import: %w: %.2000s", err, out)
	}
	return nil
}
