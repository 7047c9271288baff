package main

import "slices"

// figure is a row of the table: what the load generator is told to do, on
// servers whose archive is as said, and which numbers are shown.
type figure struct {
	group, name string
	prefix      string            // of the accounts
	accounts    int               // that have to be there
	archive     map[string]string // by server; nothing is off
	fresh       bool              // a new server with no past, for memory
	fill        []string          // scenario that is run once before
	scenario    []string
	shows       []number
}

// number is one entry of a cell: a field of the result and how it is written.
type number struct {
	field  string
	factor float64
	format string
}

var (
	archived = map[string]string{"chancery": "on", "prosody": "sqlite", "ejabberd": "sqlite"}
	files    = map[string]string{"chancery": "on", "prosody": "internal", "ejabberd": "mnesia"}
)

var figures = []figure{
	{group: "archive", name: "chat, archive on (SQLite everywhere)", accounts: 100, archive: archived,
		scenario: []string{"chat", "-pairs", "50", "-w", "8", "-d", "8s"}, shows: perMessage},
	{group: "archive", name: "chat, archive on (peers on their fastest store: files, mnesia)", accounts: 100, archive: files,
		scenario: []string{"chat", "-pairs", "50", "-w", "8", "-d", "8s"}, shows: perMessage},
	{group: "chat", name: "chat, archive off, window 1", accounts: 100,
		scenario: []string{"chat", "-pairs", "50", "-w", "1", "-d", "8s"}, shows: perMessage},
	{group: "chat", name: "chat, archive off, window 8", accounts: 100,
		scenario: []string{"chat", "-pairs", "50", "-w", "8", "-d", "8s"}, shows: perMessage},
	{group: "chat", name: "chat, archive off, window 8, bodies of 1 KiB", accounts: 100,
		scenario: []string{"chat", "-pairs", "50", "-w", "8", "-body", "1024", "-d", "8s"}, shows: perMessage},
	{group: "chat", name: "chat, archive off, 2,000 messages/s", accounts: 100,
		scenario: []string{"chat", "-pairs", "50", "-rate", "2000", "-d", "8s"},
		shows:    []number{{"p50_us", 1e-3, "%.2f ms median"}, {"p99_us", 1e-3, "%.1f ms p99"}}},
	{group: "login", name: "login: STARTTLS, SCRAM, bind, presence", accounts: 2000,
		scenario: []string{"login", "-n", "2000", "-conc", "50"},
		shows:    []number{{"cpu_s_per_1000_logins", 1, "%.2f ms CPU"}, {"logins_per_s", 1, "%.0f/s"}}},
	{group: "login", name: "login with PLAIN", accounts: 2000,
		scenario: []string{"login", "-n", "2000", "-conc", "50", "-mech", "PLAIN"},
		shows:    []number{{"cpu_s_per_1000_logins", 1, "%.2f ms CPU"}, {"logins_per_s", 1, "%.0f/s"}}},
	{group: "presence", name: "presence change to 20 contacts", accounts: 1000, prefix: "p",
		scenario: []string{"presence", "-prefix", "p", "-n", "1000", "-r", "20", "-rounds", "10"},
		shows:    []number{{"cpu_us_per_delivered", 1, "%.1f µs CPU each"}, {"delivered_per_s", 1, "%.0f/s"}}},
	{group: "idle", name: "idle TLS session, of 2,000", accounts: 2000, fresh: true,
		scenario: []string{"idle", "-n", "2000", "-settle", "20s", "-watch", "5s"},
		shows:    []number{{"rss_kib_per_session", 1, "%.1f KiB"}}},
	{group: "idle", name: "idle TLS session, of 10,000", accounts: 10000, fresh: true,
		scenario: []string{"idle", "-n", "10000", "-settle", "20s", "-watch", "5s"},
		shows:    []number{{"rss_kib_per_session", 1, "%.1f KiB"}}},
	{group: "pages", name: "archive pages of 50, forward through 100,000 messages", accounts: 2, archive: archived,
		fill:     []string{"mamfill", "-count", "100000"},
		scenario: []string{"mamquery", "-mode", "forward", "-pages", "400", "-d", "5s"}, shows: perPage},
	{group: "pages", name: "archive, the last page of 100,000 messages", accounts: 2, archive: archived,
		fill:     []string{"mamfill", "-count", "100000"},
		scenario: []string{"mamquery", "-mode", "last", "-pages", "400", "-d", "5s"}, shows: perPage},
	{group: "start", name: "start to first stream, memory with no users",
		scenario: []string{"startup", "-wait", "5s"},
		shows:    []number{{"startup_ms", 1, "%.0f ms"}, {"pss_kib", 1. / 1024, "%.0f MiB"}}},
}

var (
	perMessage = []number{{"msgs_per_s", 1, "%.0f/s"}, {"cpu_us_per_msg", 1, "%.1f µs CPU"}, {"p99_us", 1e-3, "%.0f ms p99"}}
	perPage    = []number{{"pages_per_s", 1, "%.0f/s"}, {"cpu_ms_per_page", 1, "%.2f ms CPU"}, {"p99_us", 1e-3, "%.1f ms p99"}}
)

func groups() (names []string) {
	for _, f := range figures {
		if !slices.Contains(names, f.group) {
			names = append(names, f.group)
		}
	}
	return names
}
