package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"chancery/test/client"
	"chancery/test/local"
)

// kill ends the server with SIGKILL again and again. One kill in four comes
// while the clients are still busy resuming; the others when everybody is
// talking. After every tenth start the archives are read on, and at the end as a whole:
// they must have grown only at their end.
func kill(ctx context.Context, g *ground, r *report) error {
	srv, end, err := g.serve(ctx)
	if err != nil {
		return err
	}
	defer end()
	if _, err := srv.Start(ctx); err != nil {
		return err
	}
	c, err := g.hire(ctx, srv)
	if err != nil {
		return err
	}
	defer c.dismiss()
	var starts []time.Duration
	var archives map[string][]client.Kept
	for n := range g.kills {
		if err := g.moment(ctx, c); err != nil {
			return err
		}
		srv.Kill()
		took, err := srv.Start(ctx)
		if err != nil {
			return fmt.Errorf("start %d: %w", n+1, err)
		}
		starts = append(starts, took)
		if n%10 == 9 {
			if archives, err = c.archives(ctx, archives); err != nil {
				return err
			}
			r.note("%d kills, %d messages acknowledged, last start %s", n+1, c.flow(), took.Round(time.Millisecond))
		}
	}
	if err := c.settle(ctx); err != nil {
		r.fail("the clients come to rest", err.Error())
	}
	c.dismiss()
	srv.Kill() // the last word is the disk's
	if _, err := srv.Start(ctx); err != nil {
		return err
	}
	kept, err := c.archives(ctx, nil)
	if err != nil {
		return err
	}
	r.grown(archives, kept)
	c.judge(r, kept)
	if err := c.judgeRoster(ctx, r); err != nil {
		return err
	}
	slices.Sort(starts)
	if len(starts) > 0 {
		r.note("start to first stream: median %s, slowest %s", starts[len(starts)/2].Round(time.Millisecond), starts[len(starts)-1].Round(time.Millisecond))
		r.check("every start took less than 2 s", starts[len(starts)-1] < 2*time.Second, "%s", starts[len(starts)-1])
	}
	return srv.Stop()
}

// moment waits until it is time for the next kill.
func (g *ground) moment(ctx context.Context, c *crew) error {
	if g.rand.IntN(4) == 0 {
		return pause(ctx, g.between(0, 150*time.Millisecond))
	}
	if err := c.moves(ctx, 30*time.Second); err != nil {
		return err
	}
	return pause(ctx, g.between(0, 400*time.Millisecond))
}

// serve readies a server, not started, on the database of the flags.
func (g *ground) serve(ctx context.Context) (*local.Server, func(), error) {
	l, err := local.NewLog(g.dir)
	if err != nil {
		return nil, nil, err
	}
	srv := &local.Server{Command: []string{g.server}, Data: filepath.Join(g.dir, "data"), Log: l}
	if g.database != "postgres" {
		return srv, srv.Kill, nil
	}
	pg, err := local.NewPostgres(ctx, g.dir)
	if err != nil {
		return nil, nil, err
	}
	srv.Database = pg.URL
	return srv, func() { srv.Kill(); pg.Stop() }, nil
}
