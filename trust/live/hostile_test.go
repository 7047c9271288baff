package live

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestHostileHellosEndInTime: whatever is sent instead of a ClientHello, the handshake fails, at the deadline of the
// connection at the latest, and the peer gets an alert at most.
func TestHostileHellosEndInTime(t *testing.T) {
	record := func(kind byte, body string) string {
		return string([]byte{kind, 3, 1, byte(len(body) >> 8), byte(len(body))}) + body
	}
	const timeout = 10 * time.Second
	tests := []struct {
		name, text string
		stalls     bool
	}{
		{"nothing after the first byte", "\x16", true},
		{"a record that never comes", "\x16\x03\x01\x3f\xff", true},
		{"a hello that stops", record(0x16, "\x01\x00\x10\x00"+strings.Repeat("\x00", 100)), true},
		{"a hello of 16 MiB", record(0x16, "\x01\xff\xff\xff"), false},
		{"a record that is too long", "\x16\x03\x01\xff\xff", false},
		{"an empty hello", record(0x16, "\x01\x00\x00\x00"), false},
		{"another message first", record(0x16, "\x02\x00\x00\x04abcd"), false},
		{"data first", record(0x17, "<stream>"), false},
		{"an alert", record(0x15, "\x02\x28"), false},
		{"empty records without end", strings.Repeat(record(0x16, ""), 1000), false},
		{"nonsense", "\x16" + strings.Repeat("?", 2000), false},
		{"a stream", "<?xml version='1.0'?>", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newState(t, "a.example")
				peer, ours := net.Pipe()
				ours.SetDeadline(time.Now().Add(timeout))
				began := time.Now()
				go peer.Write([]byte(test.text))
				answer := make(chan []byte)
				go func() {
					b, _ := io.ReadAll(peer)
					answer <- b
				}()
				_, _, err := s.Handshake(t.Context(), ours, s.Config(Clients, ALPNClient), "")
				ours.Close()
				if err == nil {
					t.Error("the handshake succeeds")
				}
				const alert = 0x15
				if b := <-answer; len(b) != 0 && (b[0] != alert || len(b) != 7) {
					t.Errorf("the peer got % x", b)
				}
				if waited := time.Since(began); (waited == timeout) != test.stalls {
					t.Errorf("after %v: %v", waited, err)
				}
			})
		})
	}
}
