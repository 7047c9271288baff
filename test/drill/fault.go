package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"chancery/test/local"
)

// fault is something that keeps the server from writing, for a while.
type fault struct {
	name   string
	inject func() error
	heal   func() error
	log    *regexp.Regexp // what the server must say meanwhile
	unsure bool           // a write that seems to have failed may have happened all the same
}

// endure puts the server under load, injects each fault, and heals it. The
// process must survive, senders must be refused with an error of type "wait",
// and when the fault is gone all must go on by itself.
func (g *ground) endure(ctx context.Context, r *report, srv *local.Server, faults ...fault) error {
	if _, err := srv.Start(ctx); err != nil {
		return err
	}
	c, err := g.hire(ctx, srv)
	if err != nil {
		return err
	}
	defer c.dismiss()
	for _, f := range faults {
		if err := c.moves(ctx, 30*time.Second); err != nil {
			return fmt.Errorf("before %q: %w", f.name, err)
		}
		if err := c.suffer(ctx, r, f); err != nil {
			return err
		}
	}
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	if err := c.settle(ctx); err != nil {
		r.fail("the clients come to rest", err.Error())
	}
	c.dismiss()
	srv.Kill()
	if _, err := srv.Start(ctx); err != nil {
		return err
	}
	kept, err := c.archives(ctx, nil)
	if err != nil {
		return err
	}
	c.judge(r, kept)
	if err := c.judgeRoster(ctx, r); err != nil {
		return err
	}
	return srv.Stop()
}

func (c *crew) suffer(ctx context.Context, r *report, f fault) error {
	mark, before := c.srv.Log.Mark(), c.refusals()
	c.unsure = c.unsure || f.unsure
	if err := f.inject(); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	began := time.Now()
	refusing := c.until(ctx, 30*time.Second, "senders are refused", func() bool { return len(c.since(before)) > 0 })
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	said := c.since(before)
	if err := f.heal(); err != nil {
		return fmt.Errorf("heal %s: %w", f.name, err)
	}
	r.note("%s: refused with %s in %s", f.name, words(said), time.Since(began).Round(time.Second))
	r.check(f.name+": senders are told", refusing == nil, "%v", refusing)
	for what := range said {
		kind, _, _ := strings.Cut(what, "/")
		r.check(f.name+": the error says wait", kind == "wait", "it says %s", what)
	}
	r.check(f.name+": the server lives", c.srv.Alive(), "%s", c.srv.Log.Tail(10))
	back := time.Now()
	err := c.moves(ctx, 30*time.Second)
	r.check(f.name+": it goes on by itself", err == nil, "%v", err)
	if err == nil {
		r.note("%s: everybody was served again %s after it was over", f.name, time.Since(back).Round(10*time.Millisecond))
	}
	lines := strings.Join(c.srv.Log.Since(mark), "\n")
	r.check(f.name+": the log says what happened", f.log.MatchString(lines), "nothing like %q in\n%.2000s", f.log, lines)
	return nil
}

// since is what was refused with since before.
func (c *crew) since(before map[string]int) map[string]int {
	now := c.refusals()
	for k, n := range before {
		if now[k] -= n; now[k] <= 0 {
			delete(now, k)
		}
	}
	return now
}

// diskFull gives the server a small disk and fills it.
func diskFull(ctx context.Context, g *ground, r *report) error {
	srv, end, err := g.serve(ctx)
	if err != nil {
		return err
	}
	disk := filepath.Join(g.dir, "disk")
	if err := mountSmall(disk, 64<<20); err != nil {
		end()
		return err
	}
	defer syscall.Unmount(disk, syscall.MNT_DETACH)
	defer end()
	srv.Data = filepath.Join(disk, "data")
	ballast := filepath.Join(disk, "ballast")
	return g.endure(ctx, r, srv, fault{
		name:   "disk full",
		inject: func() error { return fill(ballast) },
		heal:   func() error { return os.Remove(ballast) },
		log:    regexp.MustCompile(`(?i)disk.*full|no space`),
	})
}

func mountSmall(dir string, bytes int) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", bytes)); err != nil {
		return fmt.Errorf("a small disk wants root (or: unshare --map-root-user --mount go run ./test/drill disk): %w", err)
	}
	return nil
}

// fill writes until nothing more fits.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for b := make([]byte, 64<<10); len(b) > 0; {
		if _, err := f.Write(b); err != nil {
			b = b[:len(b)/2]
		}
	}
	return nil
}

// readOnly takes from the server the right to write its files, as a file
// system does that turned read-only: an immutable file refuses writes also
// through descriptors that are open. Before that, a start on a file system
// that is read-only from the outset is tried.
func readOnly(ctx context.Context, g *ground, r *report) error {
	srv, end, err := g.serve(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := g.startReadOnly(ctx, r, srv); err != nil {
		return err
	}
	frozen := func(add bool) func() error {
		return func() error { return immutable(srv.Data, add) }
	}
	defer immutable(srv.Data, false)
	return g.endure(ctx, r, srv, fault{
		name:   "files read-only",
		inject: frozen(true),
		heal:   frozen(false),
		log:    regexp.MustCompile(`(?i)read-?only|cannot be written`),
	})
}

// startReadOnly starts the server where it cannot write: it must say so and
// end.
func (g *ground) startReadOnly(ctx context.Context, r *report, srv *local.Server) error {
	if _, err := srv.Start(ctx); err != nil {
		return err
	}
	if err := srv.Stop(); err != nil {
		return err
	}
	flags := uintptr(syscall.MS_BIND)
	if err := syscall.Mount(srv.Data, srv.Data, "", flags, ""); err != nil {
		return fmt.Errorf("a read-only mount wants root: %w", err)
	}
	defer syscall.Unmount(srv.Data, syscall.MNT_DETACH)
	if err := syscall.Mount("", srv.Data, "", flags|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return err
	}
	mark := srv.Log.Mark()
	_, err := srv.Start(ctx)
	srv.Kill()
	lines := strings.Join(srv.Log.Since(mark), "\n")
	r.check("on a read-only file system it does not start", err != nil, "it did")
	r.check("… and says why", regexp.MustCompile(`(?i)read-?only`).MatchString(lines), "%s", lines)
	return nil
}

// immutable sets or clears the attribute on all files of a folder.
func immutable(dir string, on bool) error {
	mode := "-i"
	if on {
		mode = "+i"
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && (e.IsDir() || e.Type().IsRegular()) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	if out, err := exec.Command("chattr", append([]string{mode}, files...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("chattr %s (wants root, and a file system such as ext4 under %s): %w: %s", mode, dir, err, out)
	}
	return nil
}

// databaseGone lets PostgreSQL hang, and then stops it.
func databaseGone(ctx context.Context, g *ground, r *report) error {
	l, err := local.NewLog(g.dir)
	if err != nil {
		return err
	}
	pg, err := local.NewPostgres(ctx, g.dir)
	if err != nil {
		return err
	}
	defer pg.Stop()
	defer pg.Signal(syscall.SIGCONT)
	srv := &local.Server{Command: []string{g.server}, Data: filepath.Join(g.dir, "data"), Database: pg.URL, Log: l}
	defer srv.Kill()
	says := regexp.MustCompile(`(?i)database`)
	return g.endure(ctx, r, srv,
		fault{
			name:   "PostgreSQL stopped",
			inject: pg.Stop,
			heal:   func() error { return pg.Start(ctx) },
			log:    says,
			unsure: true,
		},
		fault{
			name:   "PostgreSQL hangs",
			inject: func() error { return pg.Signal(syscall.SIGSTOP) },
			heal:   func() error { return pg.Signal(syscall.SIGCONT) },
			log:    says,
			unsure: true,
		},
	)
}
