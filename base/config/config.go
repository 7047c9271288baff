// Package config reads chancery.toml: what a node must know before it can open its database. Everything else is a live
// setting (package settings), kept in the database and changed while the server runs.
//
// The fields below are the manual: docs/config.md and `chancery config describe` are generated from their comments and
// tags. Every field may be left out.
package config

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

// Config is one chancery.toml, checked, with defaults filled in and paths made absolute.
type Config struct {
	// The folder with everything this node keeps: the SQLite database, backups, keys and certificates, the admin socket. It
	// is made if it does not exist and belongs to the server alone (mode 0700). A relative path starts at the folder of this file.
	Data string `toml:"data" default:"data"`

	// The database. A path is an SQLite file; left out, it is `chancery.db` in the data folder, and a relative path starts
	// there too. For PostgreSQL write its URL, for example
	// `postgres://chancery@db.example.org/chancery?sslmode=verify-full`; `sslrootcert`, `sslcert` and `sslkey` name
	// certificates there, and `passfile` keeps the password out of this file.
	Database string `toml:"database" default:"chancery.db"`

	// A door for clients; write one [[listener]] for each. Without any, there are two: `c2s` on port 5222, and `c2s-tls` on
	// port 5223 with TLS from the first byte. Sockets handed over by systemd are matched by name (`FileDescriptorName=`).
	Listener []Listener `toml:"listener"`

	// Metrics and health for the people who watch over the server.
	Admin Admin `toml:"admin"`

	// What the server says about itself, on standard error.
	Log Log `toml:"log"`

	// File is the path this was read from; empty when there was none.
	File string `toml:"-"`
}

// Listener is one door.
type Listener struct {
	// What logs, metrics and `chancery status` call it.
	Name string `toml:"name"`

	// Where it listens: `:5222` (every address), `192.0.2.7:5222`, `[2001:db8::7]:5222`.
	Address string `toml:"address"`

	// Expect TLS from the first byte (XEP-0368). Without it, the first byte tells whether TLS begins at once or a stream
	// that will be upgraded with STARTTLS.
	Direct bool `toml:"direct" default:"false"`

	// `both` takes TLS at once and STARTTLS on the same port; `strict` refuses everything that does not begin with TLS. The
	// setting `listen.strict` makes listeners strict, and no longer, while the server runs.
	Mode string `toml:"mode" default:"both" oneof:"both,strict"`

	// Addresses of load balancers that put a PROXY protocol header (version 1 or 2) before each connection, as prefixes:
	// `["192.0.2.0/24", "2001:db8::1"]`. Their connections must have the header; from everybody else it is refused.
	Proxy []string `toml:"proxy"`
}

// Admin is the listener for machines that watch this one.
type Admin struct {
	// Where /metrics (Prometheus), /healthz and /readyz are served, as plain HTTP without a password: keep it on the loopback
	// or on a network of your own. `off` turns it off. Administration itself goes through the socket in the data folder.
	Address string `toml:"address" default:"127.0.0.1:5290"`
}

// Log is the log.
type Log struct {
	// The least important lines shown. `chancery log follow --level debug` shows more without changing this.
	Level string `toml:"level" default:"info" oneof:"debug,info,warn,error"`

	// `text` for people, `json` for machines: one object a line.
	Format string `toml:"format" default:"text" oneof:"text,json"`
}

// Default is the configuration of an empty file that lies in dir.
func Default(dir string) *Config {
	c := new(Config)
	c.complete(dir)
	return c
}

// AdminSocket is the path of the Unix socket through which the running server is administered.
func (c *Config) AdminSocket() string { return AdminSocket(c.Data) }

// AdminSocket is the path of the admin socket of the server whose data folder is data.
func AdminSocket(data string) string { return filepath.Join(data, "admin.sock") }

// Postgres tells whether Database is the URL of a PostgreSQL database, and not the path of an SQLite file.
func (c *Config) Postgres() bool { return isPostgres(c.Database) }

func isPostgres(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// SafeDatabase is Database without its password, for logs and people.
func (c *Config) SafeDatabase() string {
	if !c.Postgres() {
		return c.Database
	}
	u, err := url.Parse(c.Database)
	if err != nil {
		return "postgres://(not shown)"
	}
	if q := u.Query(); q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// ProxyPrefixes is Proxy as prefixes; a single address is a prefix of its full length.
func (l Listener) ProxyPrefixes() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range l.Proxy {
		if p, err := parsePrefix(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// complete fills in what was left out. Paths of the file are relative to dir.
func (c *Config) complete(dir string) {
	setDefaults(c)
	if len(c.Listener) == 0 {
		c.Listener = []Listener{
			{Name: "c2s", Address: ":5222", Mode: "both"},
			{Name: "c2s-tls", Address: ":5223", Direct: true, Mode: "both"},
		}
	}
	c.Data = absolute(dir, c.Data)
	if !c.Postgres() {
		c.Database = absolute(c.Data, c.Database)
	}
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
