// Command bench measures this server beside Prosody and ejabberd on one
// machine, in one run: each figure is taken from every server in turn, several
// times, the server pinned to one core and the load generator to another.
//
//	go run ./test/bench -load DIR            all of it (install the peers first: DIR/peers/run-peers.sh install)
//	go run ./test/bench -load DIR -only chat,archive -reps 3
//	go run ./test/bench -table               the table of the results so far, as Markdown
//
// DIR is the load generator, a Go program that speaks only standard XMPP and
// brings scripts for the peers; it is copied away and built there. Results are
// JSON lines in the folder of -out, one file a figure; a run adds to them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	load := flag.String("load", filepath.Join("..", "shared", "bench"), "`DIR` of the load generator")
	out := flag.String("out", filepath.Join(os.TempDir(), "chancery-bench"), "`DIR` for copies, data and results")
	reps := flag.Int("reps", 5, "how often each figure is taken")
	only := flag.String("only", "", "groups of figures to take, with commas between: "+strings.Join(groups(), ","))
	who := flag.String("servers", "chancery,prosody,ejabberd", "servers to measure")
	table := flag.Bool("table", false, "print the table and measure nothing")
	flag.Parse()
	b := &bench{dir: *out, reps: *reps, servers: strings.Split(*who, ",")}
	if !*table {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if err := b.measure(ctx, *load, *only); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
	fmt.Print(b.markdown())
}

// bench is one run.
type bench struct {
	dir     string
	reps    int
	servers []string
}

func (b *bench) load() string    { return filepath.Join(b.dir, "load", "bench") }
func (b *bench) scripts() string { return filepath.Join(b.dir, "load", "peers", "run-peers.sh") }
func (b *bench) server() string  { return filepath.Join(b.dir, "chancery") }

// measure takes every figure of the groups.
func (b *bench) measure(ctx context.Context, load, only string) error {
	if err := b.prepare(ctx, load); err != nil {
		return err
	}
	for _, f := range figures {
		if only != "" && !slices.Contains(strings.Split(only, ","), f.group) {
			continue
		}
		for range b.reps {
			for _, name := range b.servers {
				if err := b.take(ctx, f, name); err != nil {
					return fmt.Errorf("%s of %s: %w", f.name, name, err)
				}
			}
		}
	}
	return nil
}

// prepare builds the load generator, from a copy, and the server.
func (b *bench) prepare(ctx context.Context, load string) error {
	copied := filepath.Join(b.dir, "load")
	if err := os.MkdirAll(filepath.Join(b.dir, "results"), 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(copied); err != nil {
		return err
	}
	if err := os.CopyFS(copied, os.DirFS(load)); err != nil {
		return fmt.Errorf("copy the load generator: %w", err)
	}
	for _, c := range []struct {
		dir, out, what string
	}{{copied, b.load(), "."}, {".", b.server(), "./cmd/chancery"}} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", c.out, c.what)
		cmd.Dir, cmd.Stderr = c.dir, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("build %s: %w", c.what, err)
		}
	}
	return os.Chmod(b.scripts(), 0o755)
}
