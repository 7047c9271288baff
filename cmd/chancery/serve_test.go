package main

import (
	"encoding/json"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
)

func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	notify("READY=1")
	b := make([]byte, 64)
	if n, err := l.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Error(string(b[:n]), err)
	}
	t.Setenv("NOTIFY_SOCKET", path+"-gone")
	notify("STOPPING=1") // nobody hears
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-01T00:00:00Z","level":"WARN","msg":"x","a":1,"b":{"c":[null,true]}}`))
	f.Add([]byte(`{"missed":3}`))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRecord(line)
		if err != nil {
			return
		}
		r.Attrs(func(a slog.Attr) bool {
			if _, err := json.Marshal(a.Value.Any()); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			return true
		})
	})
}
