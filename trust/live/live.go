// Package live is the TLS state of this node: the certificates in use, as a snapshot that every handshake reads and that
// is swapped whole when a file changes, a certificate is renewed, or a domain is added. Nothing needs a restart, and no
// tls.Config is edited while it is in use.
package live

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"chancery/trust/keys"
	"chancery/xmpp/sasl"
)

// Config says where certificates come from.
type Config struct {
	// Dir holds the operator's files, <domain>.pem with chain and key; the domain is written in ASCII. They come before the
	// local CA.
	Dir string
	// CA issues for domains without a file; nil when there is none.
	CA *keys.CA
	// Domains lists the domains served now, the default one first. Its certificate is shown to clients who name nobody.
	Domains func() []string
	// Names are further names and addresses that the CA writes into the default domain's certificate: localhost, ::1.
	Names []string
	Log   *slog.Logger
}

// TLS hands the current certificates to handshakes.
type TLS struct {
	cfg     Config
	current atomic.Pointer[snapshot]

	mu    sync.Mutex          // one Refresh at a time
	files map[string]seenFile // by domain
}

// snapshot is never changed.
type snapshot struct {
	byName map[string]*served // SNI, in lower case; "*.example.org" for wildcards
	first  *served            // nil when there is none at all
	all    []*served
}

// served is a certificate as it is shown for a domain.
type served struct {
	domain   string
	source   string // its file, or "local CA"
	cert     *tls.Certificate
	endPoint []byte // tls-server-end-point; nil where none is defined
}

// seenFile is what was read last.
type seenFile struct {
	size  int64
	mtime time.Time
	good  *served // nil when it was never any good

	warned time.Time // when its age was told last
}

// Every is how often Run looks for changed files and certificates to renew.
const Every = 10 * time.Second

// New makes an empty state: no handshake succeeds before the first Refresh.
func New(cfg Config) *TLS {
	t := &TLS{cfg: cfg, files: map[string]seenFile{}}
	t.current.Store(&snapshot{})
	return t
}

// Run refreshes until ctx is done. Problems go to the log, once for each.
func (t *TLS) Run(ctx context.Context) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for last := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		said := ""
		if err := t.Refresh(); err != nil {
			if said = err.Error(); said != last {
				t.cfg.Log.Error("certificates need attention", "err", err)
			}
		}
		last = said
	}
}

// Refresh looks at the domains, the files and the ages of the certificates, and swaps the snapshot. A bad file is logged,
// and what was served for its domain goes on being served. The error names domains that have no certificate at all.
func (t *TLS) Refresh() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.current.Load()
	next := &snapshot{byName: map[string]*served{}}
	var errs []error
	for i, domain := range t.cfg.Domains() {
		s, err := t.find(domain, i == 0)
		if err != nil {
			errs = append(errs, err)
			if s = old.of(domain); s == nil {
				continue
			}
		}
		next.add(s)
	}
	next.index()
	t.forget(next)
	t.tell(old, next)
	t.current.Store(next)
	return errors.Join(errs...)
}

// find gives the operator's certificate for a domain, or else the CA's.
func (t *TLS) find(domain string, isFirst bool) (*served, error) {
	s, err := t.file(domain)
	if err != nil || s != nil {
		return s, err
	}
	if t.cfg.CA == nil {
		return nil, fmt.Errorf("%s has no certificate: put chain and key into %s", domain, t.path(domain))
	}
	names := []string{domain}
	if isFirst {
		for _, n := range t.cfg.Names {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	cert, err := t.cfg.CA.Issue(names...)
	if err != nil {
		return nil, err
	}
	return newServed(domain, "local CA", cert), nil
}

func (t *TLS) path(domain string) string {
	return filepath.Join(t.cfg.Dir, keys.FileName(domain)+".pem")
}

// file reads the operator's file when it is new. It returns what was good last, and nil without an error where there is
// no file or none that was ever good and a CA can help out.
func (t *TLS) file(domain string) (*served, error) {
	path := t.path(domain)
	seen := t.files[domain]
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if seen.good != nil {
			t.cfg.Log.Info("the certificate file is gone", "domain", domain, "file", path)
		}
		delete(t.files, domain)
		return nil, nil
	}
	size, mtime := int64(-1), time.Time{}
	if err == nil {
		size, mtime = st.Size(), t.newest(path, st)
	}
	if size == seen.size && mtime.Equal(seen.mtime) {
		t.warnAge(domain, seen)
		return seen.good, nil
	}
	now := seenFile{size: size, mtime: mtime, good: seen.good}
	cert, err := keys.Load(path, domain)
	switch {
	case err == nil:
		now.good = newServed(domain, path, cert)
		t.warnMode(domain, path, st)
	case errors.Is(err, keys.ErrExpired) && now.good == nil && t.cfg.CA == nil:
		// An expired chain is better than none: the operator sees what clients say.
		now.good = newServed(domain, path, cert)
		fallthrough
	default:
		t.cfg.Log.Error("the certificate file cannot be used; what was there before goes on being served",
			"domain", domain, "file", path, "err", err)
	}
	t.files[domain] = now
	return now.good, nil
}

// newest is the time of the last change of the chain or of a key beside it.
func (t *TLS) newest(path string, st fs.FileInfo) time.Time {
	key, err := os.Stat(strings.TrimSuffix(path, ".pem") + ".key")
	if err == nil && key.ModTime().After(st.ModTime()) {
		return key.ModTime()
	}
	return st.ModTime()
}

func (t *TLS) warnMode(domain, path string, st fs.FileInfo) {
	if st != nil && st.Mode().Perm()&0o077 != 0 {
		t.cfg.Log.Warn("other users of this machine may read the private key; chmod 600 would stop that",
			"domain", domain, "file", path, "mode", st.Mode().Perm().String())
	}
}

// warnAge tells once a day that a file should be replaced soon. The CA's certificates are renewed by themselves.
func (t *TLS) warnAge(domain string, seen seenFile) {
	const soon, again = 14 * 24 * time.Hour, 24 * time.Hour
	now := time.Now()
	if seen.good == nil || now.Sub(seen.warned) < again {
		return
	}
	if end := seen.good.cert.Leaf.NotAfter; end.Sub(now) < soon {
		t.cfg.Log.Warn("the certificate ends soon; replace its file, which is read again by itself",
			"domain", domain, "file", seen.good.source, "until", end.UTC().Format(time.DateTime))
		seen.warned = now
		t.files[domain] = seen
	}
}

// forget drops what is known of files whose domains are gone.
func (t *TLS) forget(next *snapshot) {
	for domain := range t.files {
		if next.of(domain) == nil && !slices.Contains(t.cfg.Domains(), domain) {
			delete(t.files, domain)
		}
	}
}

// tell logs what has changed.
func (t *TLS) tell(old, next *snapshot) {
	for _, s := range next.all {
		if o := old.of(s.domain); o == nil || o.cert != s.cert {
			t.cfg.Log.Info("certificate in use", "domain", s.domain, "source", s.source,
				"until", s.cert.Leaf.NotAfter.UTC().Format(time.DateTime), "serial", s.cert.Leaf.SerialNumber.Text(16))
		}
	}
}

func newServed(domain, source string, cert *tls.Certificate) *served {
	return &served{domain: domain, source: source, cert: cert, endPoint: sasl.ServerEndPoint(cert.Leaf)}
}

func (n *snapshot) add(s *served) {
	if n.first == nil {
		n.first = s
	}
	n.all = append(n.all, s)
	n.byName[keys.ASCII(s.domain)] = s
}

// index adds the names inside the certificates, for clients who ask for the host that an SRV record named. Domains come
// first, and of two certificates the earlier domain's.
func (n *snapshot) index() {
	for _, s := range n.all {
		for _, name := range s.cert.Leaf.DNSNames {
			name = strings.ToLower(name)
			if n.byName[name] == nil {
				n.byName[name] = s
			}
		}
	}
}

func (n *snapshot) of(domain string) *served {
	for _, s := range n.all {
		if s.domain == domain {
			return s
		}
	}
	return nil
}

// choose finds the certificate for a name: that very name, a wildcard above it, the default.
func (n *snapshot) choose(name string) *served {
	if s := n.byName[name]; s != nil {
		return s
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		if s := n.byName["*."+parent]; s != nil {
			return s
		}
	}
	return n.first
}

// Status is one certificate, for administrators.
type Status struct {
	Domain   string    `json:"domain"`
	Source   string    `json:"source"` // a file, or "local CA"
	Issuer   string    `json:"issuer"`
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"not_after"`
}

// Status lists what is served.
func (t *TLS) Status() []Status {
	var all []Status
	for _, s := range t.current.Load().all {
		leaf := s.cert.Leaf
		all = append(all, Status{s.domain, s.source, leaf.Issuer.String(), leaf.SerialNumber.Text(16), leaf.NotAfter})
	}
	return all
}
