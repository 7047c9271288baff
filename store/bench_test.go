package store_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"chancery/store"
	"chancery/store/storetest"
)

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// The tables of the archive; the second is filled on SQLite only.
var (
	messages = &store.Table{Name: "message", Columns: []string{"id", "sender", "recipient", "conversation", "stanza"}}
	tail     = &store.Table{Name: "archive_tail", Columns: []string{"id"}}
)

// message is what the server writes for one chat message: archived, queued for the recipient's session, counted for the sender's; every
// fourth time the recipient acknowledges.
func message(db *store.DB, users, n int, stanza []byte) []store.Row {
	from, to := rand.IntN(users), rand.IntN(users)
	id := db.NewID()
	session := func(user int) string { return fmt.Sprintf("session-%06d-xxxxxxxx", user) }
	rows := make([]store.Row, 0, 5)
	rows = append(rows, store.Row{Table: messages, Values: []any{id, from, to, from*users + to, stanza}})
	if db.Driver() == store.SQLite {
		rows = append(rows, store.Row{Table: tail, Values: []any{id}})
	}
	rows = append(rows,
		store.Row{Table: queue, Values: []any{session(to), n, id, stanza}},
		store.Do("UPDATE sm_session SET handled = ? WHERE id = ? AND handled < ?", n, session(from), n))
	if n%4 == 0 {
		rows = append(rows, store.Do("DELETE FROM sm_queue WHERE session = ? AND seq <= ?", session(to), n-200))
	}
	return rows
}

// makeSessions lets users be there.
func makeSessions(b *testing.B, db *store.DB, users int) {
	b.Helper()
	sessions := &store.Table{Name: "sm_session", Columns: []string{"id", "account", "resource", "created", "handled", "state"}, Key: 1}
	rows := make([]store.Row, users)
	for u := range rows {
		rows[u] = store.Row{Table: sessions, Values: []any{fmt.Sprintf("session-%06d-xxxxxxxx", u), u, "phone", 0, 0, make([]byte, 300)}}
	}
	db.Append(rows, nil)
	barrier(b, db)
}

// BenchmarkMessages is the durable part of chat with the archive on, with so many messages on their way at once. Ceiling: 40 µs of CPU
// per message, 12,000 messages a second on one core.
func BenchmarkMessages(b *testing.B) {
	stanza := []byte(strings.Repeat("x", 300))
	for _, driver := range []string{store.SQLite, store.Postgres} {
		for _, c := range []struct{ users, flying int }{{100, 1}, {100, 50}, {100, 400}, {10_000, 400}} {
			b.Run(fmt.Sprintf("%s/users=%d/flying=%d", driver, c.users, c.flying), func(b *testing.B) {
				cfg := storetest.SQLiteConfig(b)
				if driver == store.Postgres {
					cfg = storetest.PostgresConfig(b)
				}
				db := storetest.Open(b, cfg)
				makeSessions(b, db, c.users)
				places := make(chan struct{}, c.flying)
				before := cpuTime()
				n := 0
				var latency []time.Duration // from Append to done
				b.ReportAllocs()
				for b.Loop() {
					places <- struct{}{}
					n++
					begin := time.Now()
					db.Append(message(db, c.users, n, stanza), func(err error) {
						if err != nil {
							b.Error(err)
						}
						latency = append(latency, time.Since(begin))
						<-places
					})
				}
				barrier(b, db)
				slices.Sort(latency)
				b.ReportMetric(float64(latency[n/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(latency[n*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(float64(latency[n-1].Microseconds())/1000, "max-ms")
				b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(n), "cpu-ns/op")
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}

func BenchmarkReads(b *testing.B) {
	for _, driver := range []string{store.SQLite, store.Postgres} {
		b.Run(driver, func(b *testing.B) {
			cfg := storetest.SQLiteConfig(b)
			if driver == store.Postgres {
				cfg = storetest.PostgresConfig(b)
			}
			db := storetest.Open(b, cfg)
			var rows []store.Row
			for i := range 1000 {
				rows = append(rows, put("s", i, strings.Repeat("x", 300)))
			}
			db.Append(rows, nil)
			barrier(b, db)
			b.Run("row", func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					var stanza []byte
					if err := db.Read().QueryRow(b.Context(), "SELECT stanza FROM sm_queue WHERE session = ? AND seq = ?", "s", i%1000).Scan(&stanza); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("page of 50", func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					rows, err := db.Read().Query(b.Context(), "SELECT seq, at, stanza FROM sm_queue WHERE session = ? AND seq > ? ORDER BY seq LIMIT 50", "s", i%900)
					if err != nil {
						b.Fatal(err)
					}
					var seq, at int64
					var stanza sql.RawBytes
					for rows.Next() {
						if err := rows.Scan(&seq, &at, &stanza); err != nil {
							b.Fatal(err)
						}
					}
					rows.Close()
				}
			})
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	cfg := storetest.SQLiteConfig(b)
	for b.Loop() {
		db, err := store.Open(b.Context(), cfg, storetest.Log(b))
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
