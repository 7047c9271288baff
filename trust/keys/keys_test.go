package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// made is a certificate with its key, as a public CA would make it.
type made struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (m made) certPEM() string { return string(certPEM(m.cert.Raw)) }

func (m made) keyPEM(t testing.TB) string {
	t.Helper()
	b, err := keyPEM(m.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// newCert makes a certificate signed by parent, or by itself.
func newCert(t testing.TB, parent *made, name string, change func(*x509.Certificate)) made {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true,
	}
	if strings.Contains(name, ".") {
		template.DNSNames = []string{name}
	} else {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	}
	if change != nil {
		change(template)
	}
	signer, by := crypto.Signer(key), template
	if parent != nil {
		signer, by = parent.key, parent.cert
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made{cert, key}
}

func write(t testing.TB, dir, name string, parts ...string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(strings.Join(parts, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestChainIsOrdered(t *testing.T) {
	root := newCert(t, nil, "root", nil)
	upper := newCert(t, &root, "upper", nil)
	lower := newCert(t, &upper, "lower", nil)
	stranger := newCert(t, nil, "stranger", nil)
	leaf := newCert(t, &lower, "a.example", nil)
	cert, err := Parse([]byte(root.certPEM() + "some text\n" + upper.certPEM() + stranger.certPEM() + leaf.keyPEM(t) + leaf.certPEM() + lower.certPEM()))
	if err != nil {
		t.Fatal(err)
	}
	want := [][]byte{leaf.cert.Raw, lower.cert.Raw, upper.cert.Raw}
	if !slices.EqualFunc(cert.Certificate, want, slices.Equal) || !cert.Leaf.Equal(leaf.cert) {
		t.Errorf("got %d certificates", len(cert.Certificate))
	}
}

func TestAuthoritiesThatSignedEachOtherAreNoTrap(t *testing.T) {
	a := newCert(t, nil, "a", nil)
	b := newCert(t, &a, "b", nil)
	der, err := x509.CreateCertificate(rand.Reader, a.cert, b.cert, a.key.Public(), b.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := newCert(t, &a, "a.example", nil)
	cert, err := Parse([]byte(leaf.certPEM() + leaf.keyPEM(t) + b.certPEM() + string(certPEM(der))))
	if err != nil || len(cert.Certificate) > 4 {
		t.Errorf("%v", err)
	}
}

func TestWhatIsWrongWithAFileIsSaid(t *testing.T) {
	dir := t.TempDir()
	ca := newCert(t, nil, "ca", nil)
	leaf, other := newCert(t, &ca, "a.example", nil), newCert(t, &ca, "b.example", nil)
	old := newCert(t, &ca, "a.example", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	early := newCert(t, &ca, "a.example", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
	block := func(kind, content string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)}))
	}
	tests := []struct{ name, text, want string }{
		{"empty", "", "no certificate"},
		{"not PEM", "hello", "no certificate"},
		{"key only", leaf.keyPEM(t), "no certificate"},
		{"chain only", leaf.certPEM(), "no private key in it, and"},
		{"another's key", leaf.certPEM() + other.keyPEM(t), "belongs to none"},
		{"two keys", leaf.certPEM() + leaf.keyPEM(t) + other.keyPEM(t), "more than one private key"},
		{"encrypted key", leaf.certPEM() + block("ENCRYPTED PRIVATE KEY", "x"), "encrypted"},
		{"broken certificate", block("CERTIFICATE", "x") + leaf.keyPEM(t), "certificate 1"},
		{"broken key", leaf.certPEM() + block("PRIVATE KEY", "x"), "private key"},
		{"broken EC key", leaf.certPEM() + block("EC PRIVATE KEY", "x"), "private key"},
		{"broken RSA key", leaf.certPEM() + block("RSA PRIVATE KEY", "x"), "private key"},
		{"another domain", other.certPEM() + other.keyPEM(t), "not for a.example"},
		{"expired", old.certPEM() + old.keyPEM(t), "expired on"},
		{"too early", early.certPEM() + early.keyPEM(t), "begins on"},
		{"huge", leaf.certPEM() + leaf.keyPEM(t) + strings.Repeat(" ", maxFile), "ordinary file"},
	}
	for _, test := range tests {
		file := write(t, dir, strings.ReplaceAll(test.name, " ", "-")+".pem", test.text)
		_, err := Load(file, "a.example")
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
		if isTime := test.name == "expired" || test.name == "too early"; errors.Is(err, ErrExpired) != isTime {
			t.Errorf("%s: is it about time? %v", test.name, !isTime)
		}
	}
	if _, err := Load(dir, ""); err == nil {
		t.Error("a folder is a file")
	}
}

func TestKeyMayStandBeside(t *testing.T) {
	dir := t.TempDir()
	leaf := newCert(t, nil, "a.example", nil)
	write(t, dir, "a.example.key", leaf.keyPEM(t))
	cert, err := Load(write(t, dir, "a.example.pem", leaf.certPEM()), "a.example")
	if err != nil || !cert.Leaf.Equal(leaf.cert) {
		t.Error(err)
	}
}

func TestNamesThatCover(t *testing.T) {
	ca, err := LocalCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Issue("bücher.example", "127.0.0.1", "[::1]", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	wild := newCert(t, nil, "x.example", func(c *x509.Certificate) { c.DNSNames = []string{"*.a.example"} })
	alt, err := altNames([]string{"a.example"})
	if err != nil {
		t.Fatal(err)
	}
	// An SRVName alone: the DNS name is of another host.
	onlySRV := &x509.Certificate{DNSNames: []string{"host.example"}, Extensions: []pkix.Extension{alt}}
	tests := []struct {
		cert   *x509.Certificate
		domain string
		want   bool
	}{
		{issued.Leaf, "bücher.example", true},
		{issued.Leaf, "xn--bcher-kva.example", true},
		{issued.Leaf, "BÜCHER.example", true},
		{issued.Leaf, "localhost", true},
		{issued.Leaf, "127.0.0.1", true},
		{issued.Leaf, "::1", true},
		{issued.Leaf, "[::1]", true},
		{issued.Leaf, "127.0.0.2", false},
		{issued.Leaf, "example", false},
		{wild.cert, "chat.a.example", true},
		{wild.cert, "a.example", false},
		{wild.cert, "x.chat.a.example", false},
		{onlySRV, "a.example", true},
		{onlySRV, "b.example", false},
	}
	for _, test := range tests {
		if err := Covers(test.cert, test.domain); (err == nil) != test.want {
			t.Errorf("%s: %v", test.domain, err)
		}
	}
	if got := srvNames(issued.Leaf); !slices.Equal(got, []string{"_xmpp-client.xn--bcher-kva.example", "_xmpp-server.xn--bcher-kva.example",
		"_xmpp-client.localhost", "_xmpp-server.localhost"}) {
		t.Errorf("SRVNames %q", got)
	}
}

func TestFileNames(t *testing.T) {
	for domain, want := range map[string]string{
		"a.example": "a.example", "A.Example.": "a.example", "bücher.example": "xn--bcher-kva.example",
		"../etc": "%2E.%2Fetc", "[::1]": "%5B%3A%3A1%5D", "a\x00b": "a%00b", "": "",
	} {
		if got := FileName(domain); got != want {
			t.Errorf("%q is %q, want %q", domain, got, want)
		}
	}
}

func TestOtherKindsOfKeys(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial(), DNSNames: []string{"a.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := append(certPEM(der), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)
	if _, err := Parse(text); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	leaf := newCert(f, nil, "a.example", nil)
	f.Add([]byte(leaf.certPEM() + leaf.keyPEM(f)))
	f.Add([]byte(leaf.keyPEM(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err == nil {
			Covers(c.Leaf, "a.example")
		}
	})
}

// FuzzSRVNames: the extension comes from whoever made the certificate.
func FuzzSRVNames(f *testing.F) {
	alt, err := altNames([]string{"a.example", "127.0.0.1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(alt.Value)
	f.Fuzz(func(t *testing.T, der []byte) {
		srvNames(&x509.Certificate{Extensions: []pkix.Extension{{Id: oidSubjectAltName, Value: der}}})
	})
}
