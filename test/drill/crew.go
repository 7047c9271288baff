package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"chancery/test/client"
	"chancery/test/local"
)

// crew is all the talkers.
type crew struct {
	srv     *local.Server
	talkers []*talker
	quiet   chan struct{}
	stop    context.CancelFunc
	wait    sync.WaitGroup
	unsure  bool // a refusal may be wrong: the answer to a commit was lost
}

// hire makes accounts on the running server and puts it under load. Each talker
// writes to the next two.
func (g *ground) hire(ctx context.Context, srv *local.Server) (*crew, error) {
	names := make([]string, g.talkers)
	for i := range names {
		names[i] = fmt.Sprintf("talker%d", i)
	}
	if err := srv.Accounts(ctx, names); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	c := &crew{srv: srv, quiet: make(chan struct{}), stop: stop}
	for i, name := range names {
		peers := []string{names[(i+1)%len(names)], names[(i+2)%len(names)]}
		t := g.newTalker(name, peers, func() client.Config { return srv.Config(name, "drill") })
		c.talkers = append(c.talkers, t)
		c.wait.Go(func() { t.run(ctx, c.quiet) })
	}
	return c, c.until(ctx, 30*time.Second, "everybody is online", c.allOnline)
}

func (c *crew) allOnline() bool {
	for _, t := range c.talkers {
		if !t.online.Load() {
			return false
		}
	}
	return true
}

// flow is how many messages were acknowledged so far.
func (c *crew) flow() (n int64) {
	for _, t := range c.talkers {
		n += t.flow.Load()
	}
	return n
}

// until waits for something to become true.
func (c *crew) until(ctx context.Context, most time.Duration, what string, true func() bool) error {
	for end := time.Now().Add(most); !true(); {
		if time.Now().After(end) {
			return fmt.Errorf("not in %s: %s\n%s", most, what, c.state())
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// moves waits until every talker got another acknowledgement.
func (c *crew) moves(ctx context.Context, most time.Duration) error {
	before := make([]int64, len(c.talkers))
	for i, t := range c.talkers {
		before[i] = t.flow.Load()
	}
	return c.until(ctx, most, "everybody gets an acknowledgement", func() bool {
		for i, t := range c.talkers {
			if t.flow.Load() == before[i] {
				return false
			}
		}
		return true
	})
}

// settle ends the load and waits until every message has a fate and everything
// acknowledged has come to whom it was for.
func (c *crew) settle(ctx context.Context) error {
	close(c.quiet)
	err := c.until(ctx, 60*time.Second, "everything is acknowledged", func() bool {
		for _, t := range c.talkers {
			t.s.Request()
			if t.s.Waiting() > 0 || !t.online.Load() {
				return false
			}
		}
		return true
	})
	arrived := c.until(ctx, 60*time.Second, "everything acknowledged has come", func() bool { return len(c.missing()) == 0 })
	if arrived != nil {
		arrived = fmt.Errorf("%w      missing: %s", arrived, some(c.missing()))
	}
	return errors.Join(err, arrived)
}

// dismiss ends the talkers; what they know stays.
func (c *crew) dismiss() {
	c.stop()
	c.wait.Wait()
}

// missing lists acknowledged messages that did not come to their recipient.
func (c *crew) missing() (lost []string) {
	for _, t := range c.talkers {
		for _, u := range c.talkers {
			lost = append(lost, t.unheard(u)...)
		}
	}
	return lost
}

// unheard lists what u has acknowledged from t and not heard. Both are asked
// one after the other, so while they talk this is a moment's impression.
func (t *talker) unheard(u *talker) (lost []string) {
	u.mu.Lock()
	came := map[int]bool{}
	for _, h := range u.heard[t.name] {
		came[h.number] = true
	}
	u.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, f := range t.fates {
		if f == acknowledged && t.to[i] == u.name && !came[i+1] {
			lost = append(lost, fmt.Sprintf("%s to %s %d", t.name, u.name, i+1))
		}
	}
	return lost
}

// refusals adds up what the server refused with.
func (c *crew) refusals() map[string]int {
	all := map[string]int{}
	for _, t := range c.talkers {
		t.mu.Lock()
		for k, n := range t.refusals {
			all[k] += n
		}
		t.mu.Unlock()
	}
	return all
}

// state is a line for each talker, for when something hangs.
func (c *crew) state() string {
	var b strings.Builder
	for _, t := range c.talkers {
		t.mu.Lock()
		fmt.Fprintf(&b, "      %s: online %v, sent %d, waiting %d, acknowledged %d, refused %v, connected %d times, breaks %v, last error %v\n",
			t.name, t.online.Load(), len(t.fates), t.s.Waiting(), t.flow.Load(), t.refusals, t.connects, t.breaks, t.lastError)
		t.mu.Unlock()
	}
	return b.String()
}
