package store

import (
	"math/rand/v2"
	"time"
)

// idEpoch keeps ids positive until 2096.
var idEpoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// idAt is a fresh id for a moment.
func idAt(t time.Time) int64 {
	return t.Sub(idEpoch).Microseconds()<<12 | int64(rand.Uint32()&0xfff)
}

// IDTime is the moment an id of NewID was made, to the microsecond.
func IDTime(id int64) time.Time { return idEpoch.Add(time.Duration(id>>12) * time.Microsecond) }

// IDFrom is the smallest id that NewID could have made at t, for ranges.
func IDFrom(t time.Time) int64 { return t.Sub(idEpoch).Microseconds() << 12 }
