package live

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chancery/trust/keys"
	"chancery/xmpp/sasl"
)

// state is a TLS with a local CA, and its log.
type state struct {
	*TLS
	ca      *keys.CA
	dir     string
	log     *lines
	domains []string
}

type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func newState(t testing.TB, domains ...string) *state {
	t.Helper()
	ca, err := keys.LocalCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &state{ca: ca, dir: t.TempDir(), log: new(lines), domains: domains}
	s.TLS = New(Config{Dir: s.dir, CA: ca, Domains: func() []string { return s.domains }, Names: []string{"localhost", "127.0.0.1"},
		Log: slog.New(slog.NewTextHandler(s.log, nil))})
	if err := s.Refresh(); err != nil {
		t.Fatal(err)
	}
	return s
}

// client trusts the CA.
func (s *state) client(name string) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.ca.Root())
	return &tls.Config{RootCAs: roots, ServerName: name}
}

// outcome is a handshake seen from both sides.
type outcome struct {
	facts     Facts
	err       error
	client    tls.ConnectionState
	clientErr error
}

func (s *state) shake(t testing.TB, server, client *tls.Config, domain string) outcome {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	var o outcome
	var both sync.WaitGroup
	both.Go(func() {
		c := tls.Client(a, client)
		o.clientErr = c.Handshake()
		o.client = c.ConnectionState()
		if o.clientErr != nil {
			a.Close()
		}
		c.Read(make([]byte, 1)) // takes an alert that comes late
	})
	both.Go(func() {
		_, o.facts, o.err = s.Handshake(context.Background(), b, server, domain)
		b.Close()
	})
	both.Wait()
	return o
}

func TestHandshakeTellsWhatCameOfIt(t *testing.T) {
	s := newState(t, "a.example", "b.example")
	server := s.Config(Clients, ALPNClient)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := s.client("b.example")
		client.MaxVersion, client.NextProtos = version, []string{"h2", ALPNClient}
		o := s.shake(t, server, client, "")
		if o.err != nil || o.clientErr != nil {
			t.Fatalf("%v, %v", o.err, o.clientErr)
		}
		f := o.facts
		group := map[uint16]string{tls.VersionTLS12: "X25519", tls.VersionTLS13: "X25519MLKEM768"}[version]
		if version == tls.VersionTLS12 && fips140.Enabled() {
			group = "CurveP256"
		}
		if f.Version != tls.VersionName(version) || f.Group != group || f.ALPN != ALPNClient || f.SNI != "b.example" || !strings.Contains(f.Suite, "GCM") {
			t.Errorf("%+v", f)
		}
		exported, err := o.client.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil {
			t.Fatal(err)
		}
		seen := sha256.Sum256(o.client.PeerCertificates[0].Raw)
		want := []sasl.Binding{{Type: sasl.TLSExporter, Data: exported}, {Type: sasl.TLSServerEndPoint, Data: seen[:]}}
		for i, w := range want {
			if len(f.Bindings) != 2 || f.Bindings[i].Type != w.Type || !bytes.Equal(f.Bindings[i].Data, w.Data) {
				t.Errorf("%s: binding %d is not what the client sees", f.Version, i)
			}
		}
	}
}

func TestALPN(t *testing.T) {
	s := newState(t, "a.example")
	server := s.Config(Clients, ALPNClient)
	for _, test := range []struct {
		offered []string
		ok      bool
		got     string
	}{
		{nil, true, ""},
		{[]string{ALPNClient}, true, ALPNClient},
		{[]string{ALPNServer, ALPNClient}, true, ALPNClient},
		{[]string{ALPNServer}, false, ""},
		{[]string{"h2", "http/1.1"}, false, ""},
	} {
		client := s.client("a.example")
		client.NextProtos = test.offered
		o := s.shake(t, server, client, "")
		if (o.err == nil) != test.ok || o.facts.ALPN != test.got {
			t.Errorf("%v: got %q, %v", test.offered, o.facts.ALPN, o.err)
		}
		if !test.ok && (o.clientErr == nil || !strings.Contains(o.clientErr.Error(), "no application protocol")) {
			t.Errorf("%v: the client hears %v", test.offered, o.clientErr)
		}
	}
}

func TestOldAndWeakIsRefused(t *testing.T) {
	s := newState(t, "a.example")
	server := s.Config(Clients, ALPNClient)
	for name, weaken := range map[string]func(*tls.Config){
		"TLS 1.1": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
		"CBC": func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		},
	} {
		client := s.client("a.example")
		weaken(client)
		if o := s.shake(t, server, client, ""); o.err == nil {
			t.Errorf("%s: %+v", name, o.facts)
		}
	}
}

func TestCertificateIsChosenByName(t *testing.T) {
	s := newState(t, "a.example", "bücher.example", "wild.example")
	writeChain(t, s.dir, "wild.example", "wild.example", "*.wild.example", "HOST.example")
	if err := s.Refresh(); err != nil {
		t.Fatal(err)
	}
	server := s.Config(Clients)
	for _, test := range []struct{ sni, domain, want string }{
		{"a.example", "", "a.example"},
		{"A.EXAMPLE", "", "a.example"},
		{"xn--bcher-kva.example", "", "xn--bcher-kva.example"},
		{"chat.wild.example", "", "wild.example"},
		{"host.example", "", "wild.example"},
		{"x.chat.wild.example", "", "a.example"},
		{"unknown.example", "", "a.example"},
		{"", "", "a.example"},
		{"", "bücher.example", "xn--bcher-kva.example"}, // the stream said so before STARTTLS
		{"wild.example", "a.example", "wild.example"},   // SNI says it better
	} {
		client := s.client(test.sni)
		client.InsecureSkipVerify = true
		o := s.shake(t, server, client, test.domain)
		if o.err != nil || o.clientErr != nil {
			t.Fatalf("%+v: %v, %v", test, o.err, o.clientErr)
		}
		if got := o.client.PeerCertificates[0].DNSNames[0]; got != test.want {
			t.Errorf("SNI %q, stream to %q: got %s, want %s", test.sni, test.domain, got, test.want)
		}
	}
}

func TestDefaultDomainHasTheFurtherNames(t *testing.T) {
	s := newState(t, "a.example", "b.example")
	for _, name := range []string{"localhost", "127.0.0.1"} {
		client := s.client(name)
		if o := s.shake(t, s.Config(Clients), client, ""); o.clientErr != nil {
			t.Errorf("%s: %v", name, o.clientErr)
		}
	}
}

func TestNoHandshakeWithoutCertificate(t *testing.T) {
	s := newState(t, "a.example")
	s.TLS = New(s.cfg) // before the first Refresh
	if o := s.shake(t, s.Config(Clients), s.client("a.example"), ""); o.err == nil {
		t.Error("it succeeds")
	}
}

func TestClientCertificateIsAskedForWhereItMatters(t *testing.T) {
	s := newState(t, "a.example")
	for purpose, want := range map[Purpose]bool{Clients: false, ClientsByCert: true, Servers: true} {
		asked := false
		client := s.client("a.example")
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		}
		if o := s.shake(t, s.Config(purpose), client, ""); o.err != nil || asked != want {
			t.Errorf("purpose %d: asked %v, %v", purpose, asked, o.err)
		}
	}
}

// writeChain puts an operator's file in place, for the names, the first of which need not be the file's.
func writeChain(t testing.TB, dir, domain string, names ...string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, domain, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// writeFile dates every file later than the one before, whatever the clock of the file system.
func writeFile(t testing.TB, dir, domain, text string) {
	t.Helper()
	file := filepath.Join(dir, domain+".pem")
	later := time.Now()
	if st, err := os.Stat(file); err == nil {
		later = st.ModTime().Add(time.Second)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
}

func (s *state) serves(domain string) *x509.Certificate {
	return s.current.Load().choose(domain).cert.Leaf
}

func (s *state) refresh(t testing.TB) {
	t.Helper()
	if err := s.Refresh(); err != nil {
		t.Error(err)
	}
}

func TestOperatorsFileIsTakenAndReread(t *testing.T) {
	s := newState(t, "a.example", "b.example")
	ours := s.serves("a.example")

	first := writeChain(t, s.dir, "a.example", "a.example")
	s.refresh(t)
	if !s.serves("a.example").Equal(first) {
		t.Error("the file is not taken")
	}
	if s.serves("b.example").Equal(first) {
		t.Error("it is served for another domain")
	}
	second := writeChain(t, s.dir, "a.example", "a.example")
	s.refresh(t)
	if !s.serves("a.example").Equal(second) {
		t.Error("the changed file is not taken")
	}
	if err := os.Remove(filepath.Join(s.dir, "a.example.pem")); err != nil {
		t.Fatal(err)
	}
	s.refresh(t)
	if !s.serves("a.example").Equal(ours) {
		t.Error("without a file the CA does not help out")
	}
	if n := s.log.count("certificate in use"); n != 5 { // two at first, then one for each change
		t.Errorf("%d lines in the log", n)
	}
}

func TestBadFileLeavesTheOldOneInForce(t *testing.T) {
	s := newState(t, "a.example")
	ours := s.serves("a.example")
	for i, bad := range []string{"broken", "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		writeFile(t, s.dir, "a.example", bad)
		s.refresh(t)
		s.refresh(t)
		if !s.serves("a.example").Equal(ours) {
			t.Errorf("%q is served", bad)
		}
		if n := s.log.count("cannot be used"); n != i+1 {
			t.Errorf("%d lines in the log after %d bad files", n, i+1)
		}
	}
	good := writeChain(t, s.dir, "a.example", "a.example")
	s.refresh(t)
	writeChain(t, s.dir, "a.example", "b.example") // for another domain
	s.refresh(t)
	if !s.serves("a.example").Equal(good) {
		t.Error("the good file is not served any more")
	}
}

func TestReadableKeyIsSaid(t *testing.T) {
	s := newState(t, "a.example")
	writeChain(t, s.dir, "a.example", "a.example")
	if err := os.Chmod(filepath.Join(s.dir, "a.example.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.refresh(t)
	s.refresh(t)
	if n := s.log.count("may read the private key"); n != 1 {
		t.Errorf("%d lines in the log", n)
	}
}

func TestAgeingFileIsSaidOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t, "a.example")
		writeChain(t, s.dir, "a.example", "a.example") // for a day
		for range 36 {
			s.refresh(t)
			time.Sleep(time.Hour)
		}
		if n := s.log.count("ends soon"); n != 2 {
			t.Errorf("%d lines in the log", n)
		}
	})
}

func TestWithoutCAMissingFilesAreNamed(t *testing.T) {
	s := newState(t, "a.example", "b.example")
	s.cfg.CA = nil
	s.TLS = New(s.cfg)
	a := writeChain(t, s.dir, "a.example", "a.example")
	err := s.Refresh()
	if err == nil || !strings.Contains(err.Error(), "b.example has no certificate") || strings.Contains(err.Error(), "a.example has") {
		t.Errorf("got %v", err)
	}
	if !s.serves("a.example").Equal(a) {
		t.Error("one missing file takes the others along")
	}
	if err := os.Remove(filepath.Join(s.dir, "a.example.pem")); err != nil {
		t.Fatal(err)
	}
	if err := s.Refresh(); err == nil || !s.serves("a.example").Equal(a) {
		t.Errorf("a removed file ends service: %v", err)
	}
}

func TestNewDomainIsServedWithoutRestart(t *testing.T) {
	s := newState(t, "a.example")
	s.domains = append(s.domains, "new.example")
	s.refresh(t)
	if o := s.shake(t, s.Config(Clients), s.client("new.example"), ""); o.clientErr != nil {
		t.Error(o.clientErr)
	}
	s.domains = s.domains[:1]
	s.refresh(t)
	if st := s.Status(); len(st) != 1 || st[0].Domain != "a.example" || st[0].Source != "local CA" {
		t.Errorf("%+v", st)
	}
}

// TestConfigurationInUseFollows: a listener keeps one configuration for ever.
func TestConfigurationInUseFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t, "a.example")
		server := s.Config(Clients)
		before := s.serves("a.example")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx)

		time.Sleep(time.Minute)
		file := writeChain(t, s.dir, "a.example", "a.example")
		time.Sleep(Every + time.Second)
		client := s.client("a.example")
		client.InsecureSkipVerify = true
		if o := s.shake(t, server, client, ""); o.clientErr != nil || !o.client.PeerCertificates[0].Equal(file) || file.Equal(before) {
			t.Errorf("the new file is not shown: %v", o.clientErr)
		}
	})
}

func TestLocalCertificateIsRenewedWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newState(t, "a.example")
		before := s.serves("a.example")
		time.Sleep(60*24*time.Hour + time.Hour)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Run(ctx)
		time.Sleep(Every + time.Second)
		if after := s.serves("a.example"); after.Equal(before) || !after.NotAfter.After(before.NotAfter) {
			t.Error("not renewed")
		}
	})
}

// TestSwapUnderHandshakes is for the race detector: what a client is bound to is what it was shown.
func TestSwapUnderHandshakes(t *testing.T) {
	s := newState(t, "a.example")
	server := s.Config(Clients)
	client := s.client("a.example")
	client.InsecureSkipVerify = true
	stop := make(chan struct{})
	var swaps sync.WaitGroup
	swaps.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				writeChain(t, s.dir, "a.example", "a.example")
				s.refresh(t)
			}
		}
	})
	for range 50 {
		o := s.shake(t, server, client, "")
		if o.err != nil || o.clientErr != nil {
			t.Fatalf("%v, %v", o.err, o.clientErr)
		}
		seen := sha256.Sum256(o.client.PeerCertificates[0].Raw)
		if !bytes.Equal(o.facts.Bindings[1].Data, seen[:]) {
			t.Fatal("bound to a certificate that was not shown")
		}
	}
	close(stop)
	swaps.Wait()
}

func BenchmarkHandshake(b *testing.B) {
	s := newState(b, "a.example")
	server := s.Config(Clients, ALPNClient)
	for _, group := range []tls.CurveID{tls.X25519MLKEM768, tls.X25519} {
		b.Run(group.String()+", both sides", func(b *testing.B) {
			client := s.client("a.example")
			client.CurvePreferences = []tls.CurveID{group}
			b.ReportAllocs()
			for b.Loop() {
				if o := s.shake(b, server, client, ""); o.err != nil {
					b.Fatal(o.err)
				}
			}
		})
	}
}
