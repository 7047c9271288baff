package store

import (
	"sync"
	"time"
)

// Status is how the database is.
type Status struct {
	Driver        string    `json:"driver"`
	SchemaVersion int64     `json:"schema_version"`
	Available     bool      `json:"available"`
	Since         time.Time `json:"since"`            // of Available
	Reason        string    `json:"reason,omitempty"` // why it is not available
	Waiting       int       `json:"waiting"`          // requests not yet decided and told
	WaitingBytes  int       `json:"waiting_bytes"`
}

// state remembers whether the last group could be written.
type state struct {
	mu    sync.Mutex
	since time.Time
	cause error
}

// Status is cheap enough for every health check.
func (db *DB) Status() Status {
	w := db.writer
	s := Status{Driver: db.dialect.name, SchemaVersion: db.version}
	w.mu.Lock()
	s.Waiting, s.WaitingBytes = w.count, w.bytes
	w.mu.Unlock()
	w.state.mu.Lock()
	defer w.state.mu.Unlock()
	s.Available, s.Since = w.state.cause == nil, w.state.since
	if !s.Available {
		s.Reason = w.state.cause.Error()
	}
	return s
}

func (s *state) down(db *DB, cause error) {
	s.mu.Lock()
	was := s.cause
	s.cause = cause
	if was == nil {
		s.since = time.Now()
	}
	s.mu.Unlock()
	if was == nil {
		db.log.Error("the database cannot be written", "err", cause)
	}
}

func (s *state) up(db *DB) {
	s.mu.Lock()
	was, since := s.cause, s.since
	s.cause = nil
	if was != nil || since.IsZero() {
		s.since = time.Now()
	}
	s.mu.Unlock()
	if was != nil {
		db.log.Info("the database can be written again", "after", time.Since(since).Round(time.Millisecond))
	}
}
