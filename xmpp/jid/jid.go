// Package jid is the address of RFC 7622: [localpart@]domainpart[/resourcepart],
// prepared once when it is parsed, so that two addresses are the same exactly
// when they are ==.
package jid

import (
	"errors"
	"fmt"
)

// MaxPart is the bound in bytes of each part, after preparation (RFC 7622
// §3.1).
const MaxPart = 1023

// JID is a prepared address. It is comparable and fit to be a map key. The
// zero JID means "no address".
type JID struct {
	s             string // the whole address in prepared form
	local, domain uint16 // lengths of these parts
}

// The errors are one kind: an address either is one or is not. The text says
// why.
var (
	// ErrMalformed is what every error of this package wraps.
	ErrMalformed = errors.New("malformed address")

	errLocal    = fmt.Errorf("%w: localpart", ErrMalformed)
	errDomain   = fmt.Errorf("%w: domainpart", ErrMalformed)
	errResource = fmt.Errorf("%w: resourcepart", ErrMalformed)
	errLong     = fmt.Errorf("%w: longer than 1023 bytes", ErrMalformed)
)

// Parse prepares and checks an address.
//
// HOT: an address in prepared ASCII form, which is nearly all there are, costs
// one pass over its bytes and no allocation.
func Parse(s string) (JID, error) {
	if local, domain, ok := plain(s); ok {
		return JID{s, uint16(local), uint16(domain)}, nil
	}
	return prepare(s)
}

// ParseBytes is Parse for bytes that the caller will reuse. It allocates the
// string and, in the common case, nothing else.
func ParseBytes(b []byte) (JID, error) {
	if local, domain, ok := plain(b); ok {
		return JID{string(b), uint16(local), uint16(domain)}, nil
	}
	return prepare(string(b))
}

// MustParse is for addresses that stand in the program.
func MustParse(s string) JID {
	j, err := Parse(s)
	if err != nil {
		panic("jid: " + s + ": " + err.Error())
	}
	return j
}

// New makes an address of its parts; local and resource may be empty.
func New(local, domain, resource string) (JID, error) {
	if len(local)+len(domain)+len(resource) > maxInput {
		return JID{}, errLong
	}
	return join(local, domain, resource, local != "", resource != "")
}

// Local is the localpart, "" when there is none.
func (j JID) Local() string { return j.s[:j.local] }

// Domain is the domainpart; "" only for the zero JID.
func (j JID) Domain() string {
	start, end := j.span()
	return j.s[start:end]
}

// Resource is the resourcepart, "" when there is none.
func (j JID) Resource() string {
	_, end := j.span()
	if end == len(j.s) {
		return ""
	}
	return j.s[end+1:]
}

// span says where the domainpart stands.
func (j JID) span() (start, end int) {
	if j.local > 0 {
		start = int(j.local) + 1
	}
	return start, start + int(j.domain)
}

// Bare is the address without its resource.
func (j JID) Bare() JID {
	_, end := j.span()
	return JID{j.s[:end], j.local, j.domain}
}

// Server is the address of the domain alone.
func (j JID) Server() JID {
	start, end := j.span()
	return JID{j.s[start:end], 0, j.domain}
}

// WithResource is the bare address with this resource; "" gives the bare
// address.
func (j JID) WithResource(resource string) (JID, error) {
	b := j.Bare()
	if resource == "" || b.IsZero() {
		return b, nil
	}
	r, err := prepareResource(resource)
	if err != nil {
		return JID{}, err
	}
	b.s += "/" + r
	return b, nil
}

// IsZero tells whether this is no address at all.
func (j JID) IsZero() bool { return j.s == "" }

// IsBare tells whether there is an address and it has no resource: an account
// or a domain.
func (j JID) IsBare() bool {
	_, end := j.span()
	return end > 0 && end == len(j.s)
}

// IsFull tells whether there is a resource.
func (j JID) IsFull() bool {
	_, end := j.span()
	return end < len(j.s)
}

// String is the prepared address; "" for the zero JID.
func (j JID) String() string { return j.s }

// MarshalText writes the prepared address.
func (j JID) MarshalText() ([]byte, error) { return []byte(j.s), nil }

// UnmarshalText parses an address; empty text gives the zero JID.
func (j *JID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*j = JID{}
		return nil
	}
	p, err := ParseBytes(b)
	if err == nil {
		*j = p
	}
	return err
}
