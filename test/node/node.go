// Package node is the real server in memory, and clients that speak to it.
//
// A node runs inside a testing/synctest bubble: network and time are fake, everything else is what runs in production,
// the database included. That makes silence provable. When Quiet returns, every goroutine of server and clients waits for
// something that only the test can cause, so what has not come will not come; and a session that is dropped after ten
// minutes takes no time to test.
//
// Two things follow. A bubble cannot see the kernel: the doors are Listeners of this package, there is no admin socket, and
// the database is SQLite (its files are written by system calls, which Quiet waits for). And the clock starts at Epoch.
package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing/synctest"
	"time"

	"chancery/admin/ops"
	"chancery/app"
	"chancery/base/config"
	"chancery/core/settings"
	"chancery/trust/live"
)

// Domain is what a node serves; OtherDomain is the second one, for what must not leak from one to the other.
const (
	Domain      = "a.example"
	OtherDomain = "b.example"
)

// Epoch is the time at which every node starts.
var Epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// Password is the one of an account that a node made.
func Password(local string) string { return "pass of " + local }

// People have accounts on every node, so that scripts need not pay for passwords.
var People = []string{"romeo@a.example", "juliet@a.example", "nurse@a.example", "tybalt@a.example", "romeo@b.example", "juliet@b.example"}

// Node is a server and its data.
type Node struct {
	Server  *app.Server
	Journal Journal

	ctx    context.Context
	log    *slog.Logger
	book   *logbook
	dir    string // of this life of the server
	lives  int
	root   string
	doors  map[string]*Listener
	salts  *saltCache
	people map[string]bool
	roots  *x509.CertPool
	ports  uint16
}

// Quiet returns when nothing more happens by itself at this moment of the fake clock.
func (n *Node) Quiet() { synctest.Wait() }

// Doors of a node.
const (
	Both   = "c2s"     // STARTTLS, or TLS from the first byte
	Strict = "c2s-tls" // TLS from the first byte only
)

// Start starts the server over the data that is there.
func (n *Node) Start() error {
	conf := config.Default(n.dir)
	conf.Data, conf.Database = n.dir, filepath.Join(n.dir, "chancery.db")
	conf.Admin.Address = "off"
	n.doors = map[string]*Listener{}
	sockets := map[string]net.Listener{}
	for i, l := range conf.Listener {
		door := NewListener(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 200), Port: 5222 + i})
		n.doors[l.Name], sockets[l.Name] = door, door
	}
	s, err := app.New(n.ctx, app.Options{Config: conf, Log: n.log, Domain: Domain, Sockets: sockets})
	if err != nil {
		return err
	}
	n.Server = s
	n.roots = x509.NewCertPool()
	n.roots.AddCert(s.CA.Root())
	return s.Start(n.ctx)
}

// patience is how long a server may take to say goodbye, by the fake clock.
const patience = 10 * time.Second

// Stop shuts the server down as an operator does.
func (n *Node) Stop() error {
	if n.Server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(n.ctx, patience)
	defer cancel()
	err := n.Server.Shutdown(ctx)
	n.Server = nil
	return err
}

// Kill is kill -9: the next Start finds the files as they are now. What the old process does afterwards it does to files
// that nobody reads again.
func (n *Node) Kill() error {
	n.Quiet()
	n.lives++
	next := filepath.Join(n.root, fmt.Sprintf("life-%d", n.lives))
	if err := copyFiles(next, n.dir); err != nil {
		return err
	}
	n.dir = next
	ctx, cancel := context.WithCancel(n.ctx)
	cancel()
	err := n.Server.Shutdown(ctx)
	n.Server = nil
	n.book.tear() // it was not given the time for a clean end
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// Set changes a live setting, as an administrator does.
func (n *Node) Set(name, value string) error {
	_, err := n.Server.Ops.ChangeSettings(n.ctx, ops.Local("test"), []settings.Change{{Name: name, Text: value}})
	return err
}

// Account makes an account unless it is there.
func (n *Node) Account(bare string) error {
	if n.people[bare] {
		return nil
	}
	local, _, _ := cutAt(bare)
	if _, err := n.Server.Ops.AddUser(n.ctx, ops.Local("test"), ops.NewUser{JID: bare, Password: Password(local)}); err != nil {
		return err
	}
	n.people[bare] = true
	return nil
}

// TLS is a client's configuration: it verifies the certificate for the domain.
func (n *Node) TLS(domain string) *tls.Config {
	return &tls.Config{RootCAs: n.roots, ServerName: domain, NextProtos: []string{live.ALPNClient}}
}

// Dial connects to a door; "" is an address of its own.
func (n *Node) Dial(name, door, address string) (*Conn, error) {
	c, err := n.pipe(door, address)
	if err != nil {
		return nil, err
	}
	n.Journal.Add(name, "·", "connects")
	return NewConn(name, c, &n.Journal), nil
}

// DialTLS is direct TLS (XEP-0368).
func (n *Node) DialTLS(name, door, address, domain string) (*Conn, error) {
	c, err := n.pipe(door, address)
	if err != nil {
		return nil, err
	}
	n.Journal.Add(name, "·", "connects with TLS")
	return NewConn(name, tls.Client(c, n.TLS(domain)), &n.Journal), nil
}

// pipe gives every connection an address of its own unless told which, so that only scripts about limits meet them.
func (n *Node) pipe(door, address string) (net.Conn, error) {
	n.ports++
	from := netip.AddrFrom4([4]byte{198, 51, byte(n.ports >> 8), byte(n.ports)})
	if address != "" {
		var err error
		if from, err = netip.ParseAddr(address); err != nil {
			return nil, err
		}
	}
	return n.doors[door].Dial(net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 40000+n.ports)))
}

func copyFiles(to, from string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		switch name := f.Name(); {
		case f.IsDir():
			err = copyFiles(filepath.Join(to, name), filepath.Join(from, name))
		case filepath.Ext(name) == ".lock" || filepath.Ext(name) == ".db-shm":
		default:
			var b []byte
			if b, err = os.ReadFile(filepath.Join(from, name)); err == nil {
				err = os.WriteFile(filepath.Join(to, name), b, 0o600)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
