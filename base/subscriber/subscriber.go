// Package subscriber says what counts as one when limits go by address: who has an
// IPv6 connection has at least a /64 of them.
package subscriber

import "net/netip"

// Of is the address under which everybody behind a is counted: an IPv4 address as it
// is, also where it is written as IPv6, and the first address of an IPv6 /64.
func Of(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64)
		return p.Addr()
	}
	return a
}
