package obs

// Table lists every figure of ours, in the order of the manual. Those of the Go runtime (go_*) and of the process
// (process_*) come from the Prometheus library.
func Table() []Metric {
	return []Metric{
		{Name: "chancery_build_info", Kind: Gauge, Labels: []string{"version", "commit", "go", "fips", "sqlite"},
			Help: "Always 1; the labels say what is running."},
		{Name: "chancery_start_time_seconds", Kind: Gauge,
			Help: "When the server was started, in seconds since 1970."},
		{Name: "chancery_ready", Kind: Gauge,
			Help: "1 while the server can take work (as /readyz), else 0."},

		{Name: "chancery_connections", Kind: Gauge,
			Help: "Connections that are open, logged in or not."},
		{Name: "chancery_connections_total", Kind: Counter,
			Help: "Connections taken."},
		{Name: "chancery_connections_refused_total", Kind: Counter, Labels: []string{"reason"},
			Help: "Connections refused at the door: address-full, address-rate, full, bad-proxy, not-tls (settings listen.*)."},
		{Name: "chancery_tls_handshakes_total", Kind: Counter, Labels: []string{"result"},
			Help: "TLS handshakes with clients: ok or failed."},
		{Name: "chancery_streams_total", Kind: Counter,
			Help: "Connections on which a client began to speak."},
		{Name: "chancery_logins_total", Kind: Counter, Labels: []string{"result"},
			Help: "Attempts to log in: ok or refused. The audit has the refused ones (chancery audit list)."},

		{Name: "chancery_sessions", Kind: Gauge, Labels: []string{"state"},
			Help: "Bound sessions: connected, or detached while they wait for resumption (XEP-0198)."},
		{Name: "chancery_resumptions_total", Kind: Counter,
			Help: "Sessions that were resumed."},
		{Name: "chancery_stanzas_total", Kind: Counter, Labels: []string{"kind"},
			Help: "Stanzas taken from clients: message, presence, iq."},
		{Name: "chancery_messages_delivered_total", Kind: Counter,
			Help: "Messages handed to sessions; copies (XEP-0280) are not counted."},
		{Name: "chancery_stanza_errors_total", Kind: Counter, Labels: []string{"condition"},
			Help: "Stanzas answered with an error (RFC 6120 §8.3.3), by condition. internal-server-error is our fault; the log has it."},
		{Name: "chancery_panics_total", Kind: Counter,
			Help: "Mistakes of the program that ended one connection. Anything but 0 deserves a bug report with the log."},

		{Name: "chancery_store_available", Kind: Gauge,
			Help: "1 while the database can be written, else 0."},
		{Name: "chancery_store_waiting", Kind: Gauge,
			Help: "Requests that wait for the disk."},
		{Name: "chancery_store_commits_total", Kind: Counter,
			Help: "Transactions; each serves all requests that waited."},
		{Name: "chancery_store_requests_total", Kind: Counter,
			Help: "Requests in these transactions."},
		{Name: "chancery_store_commit_seconds_total", Kind: Counter,
			Help: "Time spent in these transactions, from the first row to the disk."},
	}
}
