package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// check looks at what a type alone does not show. It runs before defaults are filled in.
func (r *reader) check(c *Config) {
	r.database(c.Database)
	if c.Admin.Address != "" && c.Admin.Address != "off" {
		r.address("admin.address", c.Admin.Address)
	}
	names, addresses := map[string]int{}, map[string]int{}
	for i, l := range c.Listener {
		r.listener(i, l)
		r.unique(i, "name", l.Name, names)
		if !strings.HasSuffix(l.Address, ":0") {
			r.unique(i, "address", l.Address, addresses)
		}
	}
}

func (r *reader) database(text string) {
	scheme, rest, isURL := strings.Cut(text, "://")
	switch {
	case !isURL:
	case !isPostgres(text):
		r.wrong("database", "database begins with %s://; write a path for SQLite or postgres:// for PostgreSQL", scheme)
	case rest == "":
		r.wrong("database", "database names no server; write postgres://user@host/name")
	default:
		if _, err := url.Parse(text); err != nil {
			// The parser's own error would repeat the password.
			r.wrong("database", "database is not a URL; special characters in the password are written as %%40 for @, %%2F for / and so on")
		}
	}
}

func (r *reader) listener(i int, l Listener) {
	path := "listener." + strconv.Itoa(i)
	if l.Name == "" {
		r.wrong(path, "listener %d has no name; write name = \"c2s\"", i+1)
	} else if strings.ContainsFunc(l.Name, notInName) || len(l.Name) > 64 {
		r.wrong(path+".name", "the name %q of a listener may have letters, digits, - and _ only, at most 64", l.Name)
	}
	if l.Address == "" {
		r.wrong(path, "listener %d has no address; write address = \":5222\"", i+1)
	} else {
		r.address(path+".address", l.Address)
	}
	for _, text := range l.Proxy {
		if p, err := parsePrefix(text); err != nil {
			r.wrong(path+".proxy", "%q is not an address or prefix; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32", text)
		} else if p != p.Masked() {
			r.wrong(path+".proxy", "%q has bits beyond its length; the network is %s", text, p.Masked())
		}
	}
}

func notInName(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
}

func (r *reader) unique(i int, what, value string, seen map[string]int) {
	if value == "" {
		return
	}
	if first, ok := seen[value]; ok {
		r.wrong(fmt.Sprintf("listener.%d.%s", i, what), "listeners %d and %d have the same %s %q", first+1, i+1, what, value)
		return
	}
	seen[value] = i
}

func (r *reader) address(path, text string) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		r.wrong(path, "%q is not an address to listen on; write :5222, 192.0.2.7:5222 or [2001:db8::7]:5222", text)
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		r.wrong(path, "%q has no port between 1 and 65535 after its last colon", text)
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			r.wrong(path, "%q: a server listens on addresses, not on names; leave the host out to listen on every address", text)
		}
	}
}
