//go:build unix

package listen

import (
	"net"
	"syscall"
	"testing"
)

func TestSocketsOfTheServiceManager(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(f.Fd())) // inherit closes it
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	env := map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "c2s"}
	getenv := func(k string) string { return env[k] }

	if all, err := inherit(getenv, 43, fd); len(all) != 0 || err != nil {
		t.Errorf("sockets for another process: %v, %v", all, err)
	}
	all, err := inherit(getenv, 42, fd)
	if err != nil || len(all) != 1 || all[0].Addr().String() != l.Addr().String() {
		t.Fatalf("got %v, %v", all, err)
	}
	defer all[0].Close()
	if s, ok := Pick(all, Config{Name: "c2s", Address: ":5222"}); !ok || s != all[0] {
		t.Error("not found by name")
	}
	if _, ok := Pick(all, Config{Name: "s2s", Address: l.Addr().String()}); ok {
		t.Error("taken for another name")
	}
	all[0].Name = ""
	if s, ok := Pick(all, Config{Name: "s2s", Address: l.Addr().String()}); !ok || s != all[0] {
		t.Error("not found by port")
	}
	for _, n := range []string{"", "x", "-1", "99999999"} {
		env["LISTEN_FDS"] = n
		if _, err := inherit(getenv, 42, fd); err == nil {
			t.Errorf("LISTEN_FDS=%q is no error", n)
		}
	}
}
