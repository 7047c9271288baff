package obs

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
)

const (
	tailLines   = 1000     // kept for those who come later
	tailBytes   = 16 << 10 // of one line; longer ones are left out of the tail
	followLines = 256      // waiting for one follower
)

// Tail keeps the last lines of the log, as JSON, and hands new ones to those who follow. A follower that does not keep up
// misses lines and is told how many; it never slows the server.
type Tail struct {
	level atomic.Int64 // the least important lines somebody wants

	mu        sync.Mutex
	lines     []line // a ring once it is full
	next      int
	followers map[*Follower]struct{}
}

type line struct {
	level slog.Level
	text  []byte
}

// Follower receives lines until Close.
type Follower struct {
	// C has one JSON object for each line, without the line feed.
	C <-chan []byte

	tail   *Tail
	level  slog.Level
	send   chan []byte
	missed atomic.Int64
}

func newTail() *Tail {
	t := &Tail{followers: map[*Follower]struct{}{}}
	t.level.Store(int64(slog.LevelInfo))
	return t
}

// Follow returns the last n lines of at least this level, and a follower for those to come. Lines below the level of the
// log's own output exist only while somebody follows them.
func (t *Tail) Follow(level slog.Level, n int) ([][]byte, *Follower) {
	f := &Follower{tail: t, level: level, send: make(chan []byte, followLines)}
	f.C = f.send
	t.mu.Lock()
	defer t.mu.Unlock()
	t.followers[f] = struct{}{}
	t.lowest()
	return t.last(level, n), f
}

// Missed is the number of lines lost since it was last asked.
func (f *Follower) Missed() int { return int(f.missed.Swap(0)) }

// Close ends following. C is not closed.
func (f *Follower) Close() {
	f.tail.mu.Lock()
	defer f.tail.mu.Unlock()
	delete(f.tail.followers, f)
	f.tail.lowest()
}

// lowest sets the level below which nobody needs lines. The caller holds mu.
func (t *Tail) lowest() {
	low := slog.LevelInfo
	for f := range t.followers {
		low = min(low, f.level)
	}
	t.level.Store(int64(low))
}

// last copies the newest n lines. The caller holds mu.
func (t *Tail) last(level slog.Level, n int) [][]byte {
	var all [][]byte
	for i := range t.lines {
		if l := t.lines[(t.next+i)%len(t.lines)]; l.level >= level {
			all = append(all, l.text)
		}
	}
	return all[max(0, len(all)-max(n, 0)):]
}

func (t *Tail) add(l line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < tailLines {
		t.lines = append(t.lines, l)
	} else {
		t.lines[t.next] = l
		t.next = (t.next + 1) % tailLines
	}
	for f := range t.followers {
		if l.level < f.level {
			continue
		}
		select {
		case f.send <- l.text:
		default:
			f.missed.Add(1)
		}
	}
}

// handler is the slog side of a tail.
func (t *Tail) handler() slog.Handler {
	return slog.NewJSONHandler(tailWriter{t}, &slog.HandlerOptions{Level: tailLevel{t}, ReplaceAttr: hideSecrets})
}

// tailLevel reads the level as followers come and go.
type tailLevel struct{ *Tail }

func (t tailLevel) Level() slog.Level {
	return slog.Level(max(math.MinInt16, t.level.Load()))
}

// tailWriter gets one line in each Write, as slog.JSONHandler promises.
type tailWriter struct{ *Tail }

func (t tailWriter) Write(p []byte) (int, error) {
	if len(p) <= tailBytes {
		t.add(line{levelOf(p), bytes.Clone(bytes.TrimRight(p, "\n"))})
	}
	return len(p), nil
}

// levelOf finds the level where slog.JSONHandler puts it: the second key, after the time.
func levelOf(p []byte) slog.Level {
	const key = `"level":"`
	if i := bytes.Index(p, []byte(key)); i >= 0 {
		p = p[i+len(key):]
		if j := bytes.IndexByte(p, '"'); j >= 0 {
			return ParseLevel(string(p[:j]))
		}
	}
	return slog.LevelInfo
}

// tee gives each record to both.
type tee struct{ a, b slog.Handler }

func (t tee) Enabled(ctx context.Context, l slog.Level) bool {
	return t.a.Enabled(ctx, l) || t.b.Enabled(ctx, l)
}

func (t tee) Handle(ctx context.Context, r slog.Record) error {
	var err error
	if t.a.Enabled(ctx, r.Level) {
		err = t.a.Handle(ctx, r.Clone())
	}
	if t.b.Enabled(ctx, r.Level) {
		err = cmpErr(err, t.b.Handle(ctx, r))
	}
	return err
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (t tee) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tee{t.a.WithAttrs(attrs), t.b.WithAttrs(attrs)}
}

func (t tee) WithGroup(name string) slog.Handler {
	return tee{t.a.WithGroup(name), t.b.WithGroup(name)}
}
