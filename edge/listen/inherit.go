package listen

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Socket is a listening socket that the service manager opened for us.
type Socket struct {
	net.Listener
	Name string // FileDescriptorName= of the unit; "" without one
}

// firstInherited is SD_LISTEN_FDS_START.
const firstInherited = 3

// Inherit takes the sockets that systemd passed (sd_listen_fds(3)); there are none when the process was started another
// way. getenv is os.Getenv. Each socket may be taken once in the life of a process.
func Inherit(getenv func(string) string) ([]Socket, error) {
	return inherit(getenv, os.Getpid(), firstInherited)
}

func inherit(getenv func(string) string, pid, first int) ([]Socket, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	const most = 1024
	if err != nil || n < 0 || n > most {
		return nil, fmt.Errorf("LISTEN_FDS is %q", getenv("LISTEN_FDS"))
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	var all []Socket
	for i := range n {
		s := Socket{}
		if i < len(names) {
			s.Name = names[i]
		}
		f := os.NewFile(uintptr(first+i), "LISTEN_FDS:"+s.Name)
		s.Listener, err = net.FileListener(f) // a duplicate, closed in children
		f.Close()
		if err != nil {
			for _, s := range all {
				s.Close()
			}
			return nil, fmt.Errorf("socket %d from the service manager (%q): %w", i, s.Name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// Pick takes the socket out of all that belongs to cfg: the one with its name, else one without a name that is bound to
// its port.
func Pick(all []Socket, cfg Config) (Socket, bool) {
	for _, s := range all {
		if s.Name != "" && s.Name == cfg.Name {
			return s, true
		}
	}
	_, port, err := net.SplitHostPort(cfg.Address)
	for _, s := range all {
		_, p, perr := net.SplitHostPort(s.Addr().String())
		if err == nil && perr == nil && p == port && (s.Name == "" || s.Name == "unknown" || strings.HasSuffix(s.Name, ".socket")) {
			return s, true
		}
	}
	return Socket{}, false
}
