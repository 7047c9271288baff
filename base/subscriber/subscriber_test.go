package subscriber

import (
	"net/netip"
	"testing"
)

func TestOf(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.1":         "192.0.2.1",
		"::ffff:192.0.2.1":  "192.0.2.1",
		"2001:db8:1:2:3::4": "2001:db8:1:2::",
		"fe80::1%eth0":      "fe80::",
	} {
		if got := Of(netip.MustParseAddr(a)); got.String() != want {
			t.Errorf("%s is counted as %s, not %s", a, got, want)
		}
	}
	if got := Of(netip.Addr{}); got.IsValid() {
		t.Errorf("no address is counted as %s", got)
	}
}
