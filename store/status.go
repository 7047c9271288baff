package store

import (
	"sync"
	"time"
)

// Status is how the database is.
type Status struct {
	Driver        string    `json:"driver"`
	SchemaVersion int64     `json:"schema_version"`
	Available     bool      `json:"available"`        // for writing, at the last attempt
	Since         time.Time `json:"since"`            // of Available
	Reason        string    `json:"reason,omitempty"` // why it is not available
	Waiting       int       `json:"waiting"`          // requests not yet decided and told
	WaitingBytes  int       `json:"waiting_bytes"`
	Commits       uint64    `json:"commits"`  // since the start
	Requests      uint64    `json:"requests"` // in these commits
	CommitTime    Duration  `json:"commit_time"`
	LastCommit    Duration  `json:"last_commit"`
}

// Duration is written as 1.5ms.
type Duration time.Duration

// MarshalText writes what people read.
func (d Duration) MarshalText() ([]byte, error) {
	return []byte(time.Duration(d).Round(time.Microsecond).String()), nil
}

// Status is cheap enough for every health check.
func (db *DB) Status() Status {
	w := db.writer
	w.mu.Lock()
	waiting, bytes := w.count, w.bytes
	w.mu.Unlock()
	w.state.mu.Lock()
	defer w.state.mu.Unlock()
	s := w.state.status
	s.Driver, s.SchemaVersion, s.Waiting, s.WaitingBytes = db.dialect.name, db.version, waiting, bytes
	s.Available, s.Since = w.state.cause == nil, w.state.since
	if !s.Available {
		s.Reason = w.state.cause.Error()
	}
	return s
}

// state remembers whether the last group could be written. While the database is not available an attempt is made now and
// then, first soon and then every few seconds; what is asked for in between fails at once.
type state struct {
	mu     sync.Mutex
	status Status // the counters
	since  time.Time
	cause  error         // nil when all is well
	pause  time.Duration // between attempts; it outlives a short recovery, so that a full disk does not fill the log
	next   time.Time     // attempt
}

const (
	firstPause  = 100 * time.Millisecond
	longPause   = 5 * time.Second
	healthAfter = time.Minute // of writing without trouble the next trouble is a new one
)

// resting is the reason not to try yet; nil to go ahead.
func (s *state) resting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil && time.Now().Before(s.next) {
		return s.cause
	}
	return nil
}

// retry fires when the next attempt is due; never when all is well.
func (s *state) retry() <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		return nil
	}
	return time.After(time.Until(s.next))
}

func (s *state) down(db *DB, cause error) {
	now := time.Now()
	s.mu.Lock()
	first := s.cause == nil
	if first && now.Sub(s.since) > healthAfter {
		s.pause = 0
	}
	s.pause = min(max(2*s.pause, firstPause), longPause)
	s.next, s.cause = now.Add(s.pause), cause
	if first {
		s.since = now
	}
	s.mu.Unlock()
	if first {
		db.log.Error("the database cannot be written; senders are told to try again later", "err", cause)
	}
}

func (s *state) up(db *DB, g []request, took time.Duration) {
	s.mu.Lock()
	was, since := s.cause, s.since
	s.status.Commits++
	s.status.Requests += uint64(len(g))
	s.status.CommitTime += Duration(took)
	s.status.LastCommit = Duration(took)
	if was != nil {
		s.cause, s.since = nil, time.Now()
	}
	s.mu.Unlock()
	if was != nil {
		db.log.Info("the database can be written again", "after", time.Since(since).Round(time.Millisecond).String())
	}
}
