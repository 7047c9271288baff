// Command drill hurts a server and asks its clients what became of their
// messages. It builds the server, runs it on loopback with data of its own,
// puts it under load, and compares at the end what the server acknowledged
// (XEP-0198) with what the archives and the recipients have.
//
//	go run ./test/drill kill        SIGKILL, 100 times, under load
//	go run ./test/drill disk        the disk fills up, and has room again
//	go run ./test/drill readonly    the files cannot be written, and can again
//	go run ./test/drill database    PostgreSQL hangs, is stopped, and comes back
//	go run ./test/drill all
//
// disk mounts a small tmpfs and readonly makes files immutable, so both want
// root. kill -database postgres and database want PostgreSQL's server programs.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	kills    int
	talkers  int
	window   int
	rate     int
	seed     uint64
	database string
	server   string
	keep     bool
}

// drill is one of the exercises: it hurts the server and leaves the verdicts
// in the report.
type drill struct {
	name string
	run  func(ctx context.Context, d *ground, r *report) error
}

var drills = []drill{
	{"kill", kill},
	{"disk", diskFull},
	{"readonly", readOnly},
	{"database", databaseGone},
}

func main() {
	var o options
	flag.IntVar(&o.kills, "kills", 100, "how often the server is killed")
	flag.IntVar(&o.talkers, "talkers", 8, "clients under load")
	flag.IntVar(&o.window, "window", 20, "messages of one client that wait for an acknowledgement")
	flag.IntVar(&o.rate, "rate", 100, "messages that one client sends in a second, at most")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the random moments")
	flag.StringVar(&o.database, "database", "sqlite", "sqlite or postgres, of the kill drill")
	flag.StringVar(&o.server, "server", "", "chancery binary to use; built from this repository when empty")
	flag.BoolVar(&o.keep, "keep", false, "keep the data and the server's log")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: drill [flags] kill|disk|readonly|database|all …")
		flag.PrintDefaults()
	}
	flag.Parse()
	names := flag.Args()
	if slices.Contains(names, "all") {
		names = []string{"kill", "disk", "readonly", "database"}
	}
	if len(names) == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(runAll(ctx, o, names))
}

func runAll(ctx context.Context, o options, names []string) int {
	var r report
	for _, name := range names {
		i := slices.IndexFunc(drills, func(d drill) bool { return d.name == name })
		if i < 0 {
			fmt.Fprintf(os.Stderr, "there is no drill %q\n", name)
			return 2
		}
		fmt.Printf("== %s (seed %d)\n", name, o.seed)
		r.drill = name
		if err := runOne(ctx, o, drills[i], &r); err != nil {
			r.fail("the drill itself", err.Error())
		}
	}
	fmt.Printf("%d passed, %d failed\n", r.passed, r.failed)
	if r.failed > 0 {
		return 1
	}
	return 0
}

// ground is what a drill stands on: a place for data, a binary, chance.
type ground struct {
	options
	dir  string
	rand *rand.Rand
}

func runOne(ctx context.Context, o options, d drill, r *report) error {
	dir, err := os.MkdirTemp("", "chancery-drill-"+d.name+"-")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Println("data and log are kept in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	g := &ground{options: o, dir: dir, rand: rand.New(rand.NewPCG(o.seed, 1))}
	if g.server == "" {
		g.server = filepath.Join(dir, "chancery")
		build := exec.CommandContext(ctx, "go", "build", "-o", g.server, "chancery/cmd/chancery")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build the server: %w", err)
		}
	}
	return d.run(ctx, g, r)
}

// between is a random while.
func (g *ground) between(least, most time.Duration) time.Duration {
	return least + time.Duration(g.rand.Int64N(int64(most-least)+1))
}

// pause waits, unless the drill is called off.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
