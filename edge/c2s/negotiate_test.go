package c2s

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"chancery/core/account"
	"chancery/core/host"
	"chancery/core/settings"
	"chancery/trust/keys"
	"chancery/trust/live"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/sasl"
)

// going never ends, and counts who waits for it to.
type going struct {
	context.Context
	done    chan struct{}
	mu      sync.Mutex
	waiting int
}

func (g *going) Done() <-chan struct{} { return g.done }

func (g *going) AfterFunc(func()) (stop func() bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	return sync.OnceValue(func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.waiting--
		return true
	})
}

// A stranger who connects and goes leaves nothing behind.
func TestAFailedNegotiationLeavesNothingBehind(t *testing.T) {
	w := newWorld()
	g := &going{Context: context.Background(), done: make(chan struct{})}
	w.srv.Going, w.srv.Hosts = g, host.Fixed("a.example")
	w.wait.Go(func() { w.l.Serve(context.Background(), w.srv.Serve) })
	for range 3 {
		client, server := net.Pipe()
		w.door.conns <- server
		go client.Write([]byte("<nonsense/>"))
		io.Copy(io.Discard, client)
		client.Close()
	}
	w.close()
	if g.waiting != 0 {
		t.Errorf("%d connections that are gone still wait for the shutdown", g.waiting)
	}
}

// certificate of a client.
func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// certified serves clients that may show a certificate.
func certified(t *testing.T, external func(context.Context, []*x509.Certificate, jid.JID) (jid.JID, error)) *world {
	t.Helper()
	ca, err := keys.LocalCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	state := live.New(live.Config{Dir: t.TempDir(), CA: ca, Log: slog.New(slog.DiscardHandler), Domains: func() []string { return []string{"a.example"} }})
	if err := state.Refresh(); err != nil {
		t.Fatal(err)
	}
	w.srv.TLS, w.srv.DirectTLS = state, state.Config(live.ClientsByCert)
	w.srv.Hosts, w.srv.Throttle = host.Fixed("a.example"), account.NewThrottle(settings.Fixed(w.set))
	w.srv.Features = func(*settings.Settings, bool) []*elem.Node { return nil }
	w.srv.LoginFailed = func(jid.JID, netip.Addr, string, string) {}
	w.srv.External = external
	w.wait.Go(func() { w.l.Serve(context.Background(), w.srv.Serve) })
	return w
}

// exchange is what a client with these certificates gets for what it sends.
func exchange(t *testing.T, w *world, until string, send string, certs ...tls.Certificate) string {
	t.Helper()
	client, server := net.Pipe()
	w.door.conns <- server
	c := tls.Client(client, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, Certificates: certs})
	defer client.Close()
	io.WriteString(c, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0'>"+send)
	var all strings.Builder
	for b := make([]byte, 4096); !strings.Contains(all.String(), until); {
		n, err := c.Read(b)
		all.Write(b[:n])
		if err != nil {
			t.Fatalf("%v after %q", err, all.String())
		}
	}
	return all.String()
}

func TestExternalAsksWhomTheCertificateSpeaksFor(t *testing.T) {
	const auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"
	w := certified(t, func(_ context.Context, certs []*x509.Certificate, authzid jid.JID) (jid.JID, error) {
		if len(certs) != 1 || !authzid.IsZero() {
			t.Errorf("asked with %d certificates for %q", len(certs), authzid)
		}
		if certs[0].DNSNames[0] == "romeo" {
			return romeo.Bare(), nil
		}
		return jid.JID{}, &sasl.Failure{Condition: sasl.NotAuthorized}
	})
	if got := exchange(t, w, "<success", auth, certificate(t, "romeo")); !strings.Contains(got, ">EXTERNAL<") {
		t.Error("EXTERNAL is not offered to a client with a certificate")
	}
	exchange(t, w, "<not-authorized", auth, certificate(t, "tybalt"))
	if got := exchange(t, w, "</stream:features>", ""); strings.Contains(got, ">EXTERNAL<") {
		t.Error("EXTERNAL is offered to a client without a certificate")
	}
	w.close()
}
