package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Lifetimes of what a local CA makes.
const (
	rootLife = 3650 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	backdate = time.Hour // for clients whose clock is slow
)

// CA is a certificate authority of this server's own, for a first minute without a public one. Whoever trusts its root
// trusts its key, so the key never leaves the folder.
//
// The root has no name constraints: domains are added while the server runs, and a root that forbids them would have to be
// handed out again.
type CA struct {
	dir  string
	root *x509.Certificate
	key  *ecdsa.PrivateKey

	mu     sync.Mutex
	issued map[string]*tls.Certificate // by names; renewed at two thirds of their life
}

// LocalCA loads the CA in dir, or makes one: ca.pem for everybody, ca.key for this server alone, and a folder with what it
// has issued.
func LocalCA(dir string) (*CA, error) {
	ca := &CA{dir: dir, issued: map[string]*tls.Certificate{}}
	err := ca.load()
	if errors.Is(err, fs.ErrNotExist) {
		err = ca.create()
	}
	if err != nil {
		return nil, fmt.Errorf("local CA in %s: %w", dir, err)
	}
	return ca, nil
}

// File is the root in PEM, for clients.
func (ca *CA) File() string { return filepath.Join(ca.dir, "ca.pem") }

// Root is the certificate that clients trust.
func (ca *CA) Root() *x509.Certificate { return ca.root }

func (ca *CA) keyFile() string { return filepath.Join(ca.dir, "ca.key") }

func (ca *CA) load() error {
	root, err := readFile(ca.File())
	if err != nil {
		return err
	}
	key, err := readFile(ca.keyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ca.pem is there, but its key is not; restore ca.key, or remove ca.pem to begin with a new CA")
	} else if err != nil {
		return err
	}
	pair, err := Parse(append(append(root, '\n'), key...))
	if err != nil {
		return err
	}
	var ok bool
	if ca.key, ok = pair.PrivateKey.(*ecdsa.PrivateKey); !ok || !pair.Leaf.IsCA {
		return errors.New("ca.pem is not what this program made")
	}
	ca.root = pair.Leaf
	return inTime(ca.root, time.Now())
}

func (ca *CA) create() error {
	if err := os.MkdirAll(ca.dir, 0o755); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "Chancery local CA " + rand.Text()[:6], Organization: []string{"Chancery"}},
		NotBefore:    now.Add(-backdate), NotAfter: now.Add(rootLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:     true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if ca.root, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	ca.key = key
	text, err := keyPEM(key)
	if err != nil {
		return err
	}
	// The key comes first: a root without its key would be refused at the next start.
	if err := writeFile(ca.keyFile(), text, 0o600); err != nil {
		return err
	}
	return writeFile(ca.File(), certPEM(der), 0o644)
}

// Issue gives a certificate for all of names, domains and addresses, the first of which names the file it is kept in. It
// is the same one until two thirds of its life are over or it was made by another root; then it is a new one.
func (ca *CA) Issue(names ...string) (*tls.Certificate, error) {
	if len(names) == 0 {
		return nil, errors.New("a certificate needs a name")
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	id := strings.Join(names, "\x00")
	now := time.Now()
	if c := ca.issued[id]; c != nil && now.Before(renewal(c.Leaf)) {
		return c, nil
	}
	file := filepath.Join(ca.dir, "issued", FileName(names[0])+".pem")
	c := ca.kept(file, names, now)
	if c == nil {
		var err error
		if c, err = ca.issue(file, names, now); err != nil {
			return nil, fmt.Errorf("certificate for %s: %w", names[0], err)
		}
	}
	ca.issued[id] = c
	return c, nil
}

// renewal is when two thirds of a certificate's life are over.
func renewal(leaf *x509.Certificate) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return leaf.NotBefore.Add(life / 3 * 2)
}

// kept is the certificate of an earlier run, so that clients which pin one see it change rarely; nil when it will not do.
func (ca *CA) kept(file string, names []string, now time.Time) *tls.Certificate {
	c, err := Load(file, "")
	if err != nil || now.After(renewal(c.Leaf)) || c.Leaf.CheckSignatureFrom(ca.root) != nil {
		return nil
	}
	want, err := altNames(names)
	if err != nil {
		return nil
	}
	for _, e := range c.Leaf.Extensions {
		if e.Id.Equal(oidSubjectAltName) && slices.Equal(e.Value, want.Value) {
			return c
		}
	}
	return nil
}

func (ca *CA) issue(file string, names []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	alt, err := altNames(names)
	if err != nil {
		return nil, err
	}
	end := now.Add(leafLife)
	if end.After(ca.root.NotAfter) {
		end = ca.root.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: commonName(names[0])},
		NotBefore:    now.Add(-backdate), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature,
		// A server is the client of another server (RFC 6120 §13.7.1.2).
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{alt},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.root, key.Public(), ca.key)
	if err != nil {
		return nil, err
	}
	text, err := keyPEM(key)
	if err != nil {
		return nil, err
	}
	text = append(certPEM(der), text...)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	if err := writeFile(file, text, 0o600); err != nil {
		return nil, err
	}
	return Parse(text)
}

// commonName has at most 64 characters (RFC 5280 appendix A.1); names are in the alternative names anyway.
func commonName(name string) string {
	if name = ASCII(name); len(name) > 64 {
		return ""
	}
	return name
}

// FileName is the name of a domain's file, without its ending: the ASCII form, with what a file name should not have
// written as %XX.
func FileName(domain string) string {
	var b strings.Builder
	for i, c := range []byte(ASCII(domain)) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f // positive, 127 bits
	return new(big.Int).SetBytes(b)
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
