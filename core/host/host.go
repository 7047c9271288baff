// Package host knows the domains that this server serves.
package host

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"chancery/store"
	"chancery/xmpp/jid"
)

// Revision is the name under which changes are counted in the table `revision`.
const Revision = "hosts"

// Set is a snapshot of the domains; it never changes.
type Set struct {
	domains []string // the oldest first
	known   map[string]struct{}
}

// NewSet makes a snapshot; the first domain is the default.
func NewSet(domains ...string) *Set {
	s := &Set{domains: domains, known: make(map[string]struct{}, len(domains))}
	for _, d := range domains {
		s.known[d] = struct{}{}
	}
	return s
}

// Serves tells whether a domain, in canonical form, is ours.
func (s *Set) Serves(domain string) bool {
	_, ok := s.known[domain]
	return ok
}

// Default is the domain that was added first; "" when there is none.
func (s *Set) Default() string {
	if len(s.domains) == 0 {
		return ""
	}
	return s.domains[0]
}

// All lists the domains, the default first.
func (s *Set) All() []string { return slices.Clone(s.domains) }

// Hosts is the set in use, and the way to change it.
type Hosts struct {
	current atomic.Pointer[Set]
	db      *store.DB
	refresh sync.Mutex // so that what was read later is never overwritten by what was read earlier
}

// Fixed is a Hosts that has no rows.
func Fixed(domains ...string) *Hosts {
	h := new(Hosts)
	h.current.Store(NewSet(domains...))
	return h
}

// Open reads the rows.
func Open(ctx context.Context, db *store.DB) (*Hosts, error) {
	h := &Hosts{db: db}
	return h, h.Refresh(ctx)
}

// Load returns the set in use.
func (h *Hosts) Load() *Set { return h.current.Load() }

// Refresh reads the rows again after a change, here or on another node.
func (h *Hosts) Refresh(ctx context.Context) error {
	if h.db == nil {
		return nil
	}
	h.refresh.Lock()
	defer h.refresh.Unlock()
	rows, err := h.db.Read().Query(ctx, `SELECT domain FROM host ORDER BY created, domain`)
	if err != nil {
		return fmt.Errorf("reading the hosts: %w", err)
	}
	defer rows.Close()
	var domains []string
	for rows.Next() {
		var d string
		if err := rows.Scan(&d); err != nil {
			return fmt.Errorf("reading the hosts: %w", err)
		}
		domains = append(domains, d)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the hosts: %w", err)
	}
	h.current.Store(NewSet(domains...))
	return nil
}

// Add writes a new domain and returns its canonical form; store.ErrExists when it is served already. Call Refresh after the
// commit.
func (h *Hosts) Add(ctx context.Context, tx store.Tx, domain string) (string, error) {
	d, err := Canonical(domain)
	if err != nil {
		return "", err
	}
	n, err := tx.Exec(ctx, `INSERT INTO host (domain, created) VALUES (?, ?) ON CONFLICT (domain) DO NOTHING`, d, time.Now().UnixMicro())
	switch {
	case err != nil:
		return "", err
	case n == 0:
		return "", fmt.Errorf("%s: %w", d, store.ErrExists)
	}
	_, err = store.Bump(ctx, tx, Revision)
	return d, err
}

// Remove takes a domain away; store.ErrNone when it is not there. A domain with accounts stays.
func (h *Hosts) Remove(ctx context.Context, tx store.Tx, domain string) error {
	d, err := Canonical(domain)
	if err != nil {
		return err
	}
	var accounts int
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM account WHERE domain = ?`, d).Scan(&accounts); err != nil {
		return err
	}
	if accounts > 0 {
		return fmt.Errorf("%s has %d accounts; delete them first", d, accounts)
	}
	n, err := tx.Exec(ctx, `DELETE FROM host WHERE domain = ?`, d)
	if err == nil && n == 0 {
		return fmt.Errorf("%s: %w", d, store.ErrNone)
	}
	if err == nil {
		_, err = store.Bump(ctx, tx, Revision)
	}
	return err
}

// Canonical is the form in which a domain is kept and compared (RFC 7622 §3.2).
func Canonical(domain string) (string, error) {
	j, err := jid.New("", domain, "")
	if err != nil {
		return "", fmt.Errorf("%q is no domain: %w", domain, err)
	}
	return j.Domain(), nil
}
