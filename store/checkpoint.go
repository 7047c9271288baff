package store

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"time"
)

// checkpointer moves pages from SQLite's write-ahead log to the database while the writer goes on. Without it the writer
// would do so itself after some commit, and those behind it would wait: seconds on a busy disk. It cannot start the log
// anew while commits go on; the writer does, when the log has walPages pages, and by then little is left to move.
type checkpointer struct {
	pool *sql.DB
	log  *slog.Logger
	wake chan struct{} // something was committed
	stop chan struct{}
	end  sync.WaitGroup
}

const (
	// walPages is how long the log may become, 64 MiB. Longer saves work, because a page that changes often is moved once; but
	// all of it is read at a start after a crash.
	walPages = 16_000
	// checkpointPages is how many pages are worth a checkpoint.
	checkpointPages = 4_000
	// checkpointPause keeps looks at the log apart.
	checkpointPause = 200 * time.Millisecond
)

func newCheckpointer(d *dialect, log *slog.Logger) (*checkpointer, error) {
	pool, err := d.pool(true, 1)
	if err != nil {
		return nil, err
	}
	c := &checkpointer{pool: pool, log: log, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	c.end.Go(c.run)
	return c, nil
}

// committed tells it to have a look.
func (c *checkpointer) committed() {
	if c == nil {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *checkpointer) close() error {
	if c == nil {
		return nil
	}
	close(c.stop)
	c.end.Wait()
	return c.pool.Close()
}

func (c *checkpointer) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case <-c.wake:
		case <-c.stop:
			return
		}
		select {
		case <-time.After(checkpointPause):
		case <-c.stop:
			return
		}
		// Trouble with the disk is the writer's to report.
		if waiting, err := c.pragma(ctx, "NOOP"); err == nil && waiting >= checkpointPages {
			c.pragma(ctx, "PASSIVE")
		}
	}
}

// pragma returns how many pages of the log are not in the database yet.
func (c *checkpointer) pragma(ctx context.Context, mode string) (waiting int, err error) {
	var busy, pages, moved int
	err = c.pool.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &pages, &moved)
	return pages - moved, err
}
