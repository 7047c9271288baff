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

// archive stands for what an archive is like: one row for each side of a conversation, in the order of its owner.
var archive = &store.Table{Name: "bench_archive", Columns: []string{"owner", "id", "peer", "stanza"}}

func makeArchive(b *testing.B, db *store.DB) {
	b.Helper()
	ddl := `CREATE TABLE bench_archive (owner INTEGER NOT NULL, id INTEGER NOT NULL, peer TEXT NOT NULL, stanza BLOB NOT NULL, PRIMARY KEY (owner, id)) STRICT, WITHOUT ROWID`
	if db.Driver() == store.Postgres {
		ddl = `CREATE TABLE bench_archive (owner BIGINT NOT NULL, id BIGINT NOT NULL, peer TEXT NOT NULL, stanza BYTEA NOT NULL, PRIMARY KEY (owner, id))`
	}
	if err := db.Write(b.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(b.Context(), ddl)
		return err
	}); err != nil {
		b.Fatal(err)
	}
}

// message is the rows of one chat message: archived for both, queued for one, acknowledged every fourth time.
func message(db *store.DB, users, n int, stanza []byte) []store.Row {
	from, to := rand.IntN(users), rand.IntN(users)
	id := db.NewID()
	session := fmt.Sprintf("session-%06d-xxxxxxxx", to)
	rows := make([]store.Row, 0, 5)
	rows = append(rows,
		store.Row{Table: archive, Values: []any{from, id, fmt.Sprintf("user%d@a.example", to), stanza}},
		store.Row{Table: archive, Values: []any{to + users, id, fmt.Sprintf("user%d@a.example", from), stanza}},
		store.Row{Table: queue, Values: []any{session, n, id, stanza}})
	if n%4 == 0 {
		rows = append(rows, store.Do("DELETE FROM sm_queue WHERE session = ? AND seq <= ?", session, n-200))
	}
	return rows
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
				makeArchive(b, db)
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
