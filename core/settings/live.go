package settings

import "sync/atomic"

// Live is the set in use, and the way to change it.
type Live struct {
	current atomic.Pointer[Settings]
}

// Fixed is a Live that holds s and has no rows.
func Fixed(s *Settings) *Live {
	l := new(Live)
	l.current.Store(s)
	return l
}

// Load returns the set in use. It costs one atomic read; the result must not be changed.
func (l *Live) Load() *Settings { return l.current.Load() }
