package listen

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chancery/core/settings"
)

// v2 builds a binary header.
func v2(command, family byte, body string) string {
	return signatureV2 + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)))) + body
}

const (
	body4 = "\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x14\x66" // 192.0.2.1:56324 to 192.0.2.2:5222
	body6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x14\x66"
)

// summed is a version 2 header with a CRC32C extension.
func summed(flip byte) string {
	h := []byte(v2(0x21, 0x11, body4+"\x03\x00\x04\x00\x00\x00\x00"))
	sum := crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(h[len(h)-4:], sum^uint32(flip))
	return string(h)
}

func TestProxyHeaders(t *testing.T) {
	tests := []struct {
		name, header string
		want         string // source; "" for none
		wrong        bool
	}{
		{"v1 IPv4", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 5222\r\n", "192.0.2.1:56324", false},
		{"v1 IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 56324 5222\r\n", "[2001:db8::1]:56324", false},
		{"v1 mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 56324 5222\r\n", "192.0.2.1:56324", false},
		{"v1 unknown", "PROXY UNKNOWN\r\n", "", false},
		{"v1 unknown with more", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "", false},
		{"v2 IPv4", v2(0x21, 0x11, body4), "192.0.2.1:56324", false},
		{"v2 IPv6", v2(0x21, 0x21, body6), "[2001:db8::1]:56324", false},
		{"v2 local", v2(0x20, 0x00, ""), "", false},
		{"v2 local with addresses", v2(0x20, 0x11, body4), "", false},
		{"v2 unspecified", v2(0x21, 0x00, "anything"), "", false},
		{"v2 unix", v2(0x21, 0x31, strings.Repeat("\x00", 216)), "", false},
		{"v2 with extensions", v2(0x21, 0x11, body4+"\x01\x00\x02h2\x04\x00\x00"), "192.0.2.1:56324", false},
		{"v2 with checksum", summed(0), "192.0.2.1:56324", false},
		{"v2 with wrong checksum", summed(1), "", true},
		{"v2 with short checksum", v2(0x21, 0x11, body4+"\x03\x00\x02\x00\x00"), "", true},
		{"v2 with cut extension", v2(0x21, 0x11, body4+"\x01\x00\x09h2"), "", true},
		{"v2 with half an extension", v2(0x21, 0x11, body4+"\x01"), "", true},
		{"v2 UDP", v2(0x21, 0x12, body4), "", true},
		{"v2 too short", v2(0x21, 0x11, body4[:8]), "", true},
		{"v2 version 3", v2(0x31, 0x11, body4), "", true},
		{"v2 unknown command", v2(0x22, 0x11, body4), "", true},
		{"v2 too long", v2(0x21, 0x11, body4+strings.Repeat("\x04\x00\x00", 700)), "", true},
		{"v2 from nowhere", v2(0x21, 0x11, strings.Repeat("\x00", 12)), "", true},
		{"v2 from a multicast group", v2(0x21, 0x11, "\xe0"+body4[1:]), "", true},
		{"v1 UDP", "PROXY UDP4 192.0.2.1 192.0.2.2 56324 5222\r\n", "", true},
		{"v1 wrong family", "PROXY TCP4 2001:db8::1 2001:db8::2 56324 5222\r\n", "", true},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 fe80::2 56324 5222\r\n", "", true},
		{"v1 name", "PROXY TCP4 localhost 192.0.2.2 56324 5222\r\n", "", true},
		{"v1 port", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 5222\r\n", "", true},
		{"v1 leading zero", "PROXY TCP4 192.0.2.1 192.0.2.2 056324 5222\r\n", "", true},
		{"v1 negative", "PROXY TCP4 192.0.2.1 192.0.2.2 -1 5222\r\n", "", true},
		{"v1 two spaces", "PROXY  TCP4 192.0.2.1 192.0.2.2 56324 5222\r\n", "", true},
		{"v1 without end", "PROXY TCP4 192.0.2.1 " + strings.Repeat("1", 100), "", true},
		{"v1 missing", "PROXY TCP4 192.0.2.1\r\n", "", true},
		{"v1 lower case", "proxy TCP4 192.0.2.1 192.0.2.2 56324 5222\r\n", "", true},
		{"a stream", "<?xml version='1.0'?>", "", true},
		{"TLS", "\x16\x03\x01", "", true},
		{"nearly v2", "\r\n\r\n\x00\r\nQUIX\n", "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for cut := range test.header {
				if _, n, err := ParseProxy([]byte(test.header[:cut])); n != 0 {
					t.Fatalf("the first %d bytes are a header of %d", cut, n)
				} else if err != nil && !test.wrong {
					t.Fatalf("the first %d bytes: %v", cut, err)
				}
			}
			h, n, err := ParseProxy([]byte(test.header + "<stream"))
			if test.wrong {
				if err == nil {
					t.Errorf("got %v", h)
				}
				return
			}
			if err != nil || n != len(test.header) {
				t.Fatalf("%d of %d bytes, %v", n, len(test.header), err)
			}
			if got := h.Source; got.IsValid() != (test.want != "") || got.IsValid() && got.String() != test.want {
				t.Errorf("got %v, want %s", got, test.want)
			}
		})
	}
}

// who answers with the address that the connection is said to come from.
func who(_ context.Context, c *Conn) {
	b := make([]byte, 1)
	io.ReadFull(c, b)
	fmt.Fprintf(c, "%s %v", b, c.Remote())
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func TestProxyHeaderIsTakenFromNeighboursOnly(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 5222\r\n"
	tests := []struct{ name, from, text, want string }{
		{"a neighbour", "127.0.0.1:1", header + "<", "< 192.0.2.1:56324"},
		{"a neighbour, binary", "127.0.0.1:1", v2(0x21, 0x11, body4) + "<", "< 192.0.2.1:56324"},
		{"a neighbour's health check", "127.0.0.1:1", v2(0x20, 0x00, "") + "<", "< 127.0.0.1:1"},
		{"a neighbour without header", "127.0.0.1:1", "<", ""},
		{"a neighbour with nonsense", "127.0.0.1:1", "PROXY ?\r\n<", ""},
		{"somebody else: no header, but a stream that begins with P", "198.51.100.7:9", header, "P 198.51.100.7:9"},
		{"somebody else without header", "198.51.100.7:9", "<", "< 198.51.100.7:9"},
		{"two headers: the second is no header", "127.0.0.1:1", header + "PROXY TCP4 203.0.113.1 192.0.2.2 1 2\r\n", "P 192.0.2.1:56324"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, Config{Proxy: loopback}, nil, who)
				if got := ask(d.dial(test.from), test.text); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				synctest.Wait()
				if s := d.gate.Stats(); s.Open != 0 {
					t.Errorf("%d connections are left", s.Open)
				}
			})
		})
	}
}

func TestClientsBehindAProxyAreCountedOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Config{Proxy: loopback}, func(s *settings.Settings) { s.Listen.PerAddress = 2 }, who)
		from := func(a string) string { return "PROXY TCP4 " + a + " 192.0.2.2 56324 5222\r\n" }
		for range 3 {
			go d.dial("127.0.0.1:1").Write([]byte(from("192.0.2.1"))) // open, and waiting for the first byte
		}
		synctest.Wait()
		if s := d.gate.Stats(); s.Open != 2 || s.Refused["address-full"] != 1 {
			t.Errorf("%+v", s)
		}
		if got := ask(d.dial("127.0.0.1:1"), from("192.0.2.9")+"<"); got != "< 192.0.2.9:56324" {
			t.Errorf("another client got %q", got)
		}
	})
}

// TestDrippedProxyHeader: the deadline is for all of it.
func TestDrippedProxyHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Config{Proxy: loopback}, nil, who)
		c := d.dial("127.0.0.1:1")
		began := time.Now()
		for _, b := range []byte(v2(0x21, 0x11, body4+strings.Repeat("\x04\x00\x00", 600))) {
			if _, err := c.Write([]byte{b}); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if waited := time.Since(began); waited > d.live.C2S.TLSTime+time.Second {
			t.Errorf("it may drip for %v", waited)
		}
	})
}

func FuzzProxy(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 56324 5222\r\n<"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2(0x21, 0x11, body4) + "<"))
	f.Add([]byte(v2(0x21, 0x21, body6)))
	f.Add([]byte(summed(0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ParseProxy(b)
		if n > len(b) || n < 0 || err != nil && n != 0 || h.Source.IsValid() != h.Destination.IsValid() {
			t.Fatalf("%v, %d, %v", h, n, err)
		}
		if err == nil && n == 0 && len(b) >= maxProxyV2 {
			t.Errorf("%d bytes and still no end", len(b))
		}
		if n > 0 { // what follows changes nothing
			if h2, n2, err := ParseProxy(append(b[:n:n], "more"...)); h2 != h || n2 != n || err != nil {
				t.Errorf("with more: %v, %d, %v", h2, n2, err)
			}
		}
	})
}
