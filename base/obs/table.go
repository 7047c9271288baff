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
		{Name: "chancery_logins_total", Kind: Counter, Labels: []string{"mechanism", "result"},
			Help: "Attempts to log in: result is ok, refused, or throttled."},
		{Name: "chancery_stream_errors_total", Kind: Counter, Labels: []string{"condition"},
			Help: "Streams that the server ended with an error (RFC 6120 §4.9.3), by condition."},

		{Name: "chancery_sessions", Kind: Gauge, Labels: []string{"state"},
			Help: "Bound sessions: connected, or detached while they wait for resumption (XEP-0198)."},
		{Name: "chancery_resumptions_total", Kind: Counter, Labels: []string{"result"},
			Help: "Sessions that were resumed (ok) or could not be (failed)."},
		{Name: "chancery_stanzas_total", Kind: Counter, Labels: []string{"kind"},
			Help: "Stanzas taken from clients: message, presence, iq."},
		{Name: "chancery_panics_total", Kind: Counter,
			Help: "Mistakes of the program that ended one connection. Anything but 0 deserves a bug report with the log."},

		{Name: "chancery_store_groups_total", Kind: Counter,
			Help: "Transactions committed by the group-committing writer."},
		{Name: "chancery_store_requests_total", Kind: Counter, Labels: []string{"result"},
			Help: "Requests that rode in them: ok, refused, or unavailable."},
		{Name: "chancery_store_waiting", Kind: Gauge,
			Help: "Requests that wait for the next transaction."},
		{Name: "chancery_store_commit_seconds", Kind: Histogram, Above: 0.0001,
			Help: "How long one transaction of the writer takes, from its first row to the disk."},
	}
}
