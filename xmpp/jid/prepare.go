package jid

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
)

// maxInput bounds what is prepared at all. Preparation shortens a character
// by at most a factor of three (full-width forms), so no longer address could
// come out short enough.
const maxInput = 3 * (3*MaxPart + 2)

// What an ASCII byte may be part of without being changed by preparation.
const (
	inLocal = 1 << iota
	inDomain
	inResource
)

var class = func() (t [256]uint8) {
	for c := ' '; c <= '~'; c++ {
		t[c] |= inResource
		// RFC 7622 §3.3.1 excludes these eight; space is not in the
		// IdentifierClass and capitals are mapped.
		if c != ' ' && !strings.ContainsRune(`"&'/:<>@`, c) && (c < 'A' || c > 'Z') {
			t[c] |= inLocal
		}
		if c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' {
			t[c] |= inDomain
		}
	}
	return t
}()

// plain recognises an address that preparation would not change, and gives the
// lengths of its localpart and domainpart. It must never accept what prepare
// refuses or changes; the fuzz target compares them.
func plain[T string | []byte](s T) (local, domain int, ok bool) {
	i := 0
	for i < len(s) && class[s[i]]&inLocal != 0 {
		i++
	}
	start := 0
	if i < len(s) && s[i] == '@' {
		if i == 0 || i > MaxPart {
			return 0, 0, false
		}
		local, start = i, i+1
	}
	label := start
	for i = start; i < len(s) && s[i] != '/'; i++ {
		c := s[i]
		if c == '.' {
			if !plainLabel(s[label:i]) {
				return 0, 0, false
			}
			label = i + 1
		} else if class[c]&inDomain == 0 {
			return 0, 0, false
		}
	}
	domain = i - start
	if !plainLabel(s[label:i]) || domain > MaxPart {
		return 0, 0, false
	}
	if i == len(s) {
		return local, domain, true
	}
	if n := len(s) - i - 1; n == 0 || n > MaxPart {
		return 0, 0, false
	}
	for i++; i < len(s); i++ {
		if class[s[i]]&inResource == 0 {
			return 0, 0, false
		}
	}
	return local, domain, true
}

// plainLabel leaves labels with hyphens in the third and fourth place (A-labels
// among them) to IDNA.
func plainLabel[T string | []byte](l T) bool {
	n := len(l)
	return n > 0 && n <= 63 && l[0] != '-' && l[n-1] != '-' && (n < 4 || l[2] != '-' || l[3] != '-')
}

// prepare is the way of all other addresses (RFC 7622 §3.2: the first slash
// begins the resourcepart, the first at-sign before it ends the localpart).
func prepare(s string) (JID, error) {
	if len(s) > maxInput {
		return JID{}, errLong
	}
	rest, resource, hasResource := strings.Cut(s, "/")
	local, domain, hasLocal := strings.Cut(rest, "@")
	if !hasLocal {
		local, domain = "", rest
	}
	return join(local, domain, resource, hasLocal, hasResource)
}

func join(local, domain, resource string, hasLocal, hasResource bool) (j JID, err error) {
	if domain, err = prepareDomain(domain); err != nil {
		return JID{}, err
	}
	j.domain, j.s = uint16(len(domain)), domain
	if hasLocal {
		if local, err = prepareLocal(local); err != nil {
			return JID{}, err
		}
		j.local, j.s = uint16(len(local)), local+"@"+domain
	}
	if hasResource {
		if resource, err = prepareResource(resource); err != nil {
			return JID{}, err
		}
		j.s += "/" + resource
	}
	return j, nil
}

// prepareLocal obeys RFC 7622 §3.3.
func prepareLocal(s string) (string, error) {
	s, ok := enforce(precis.UsernameCaseMapped, s)
	if !ok || strings.ContainsAny(s, `"&'/:<>@`) {
		return "", errLocal
	}
	if len(s) > MaxPart {
		return "", errLong
	}
	return s, nil
}

// prepareResource obeys RFC 7622 §3.4.
func prepareResource(s string) (string, error) {
	s, ok := enforce(precis.OpaqueString, s)
	if !ok {
		return "", errResource
	}
	if len(s) > MaxPart {
		return "", errLong
	}
	return s, nil
}

// enforce applies a profile until it changes nothing more (RFC 8264 §7): a
// prepared address must stay what it is when it is prepared again.
func enforce(p *precis.Profile, s string) (string, bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	for range 4 {
		t, err := p.String(s)
		if err != nil || t == "" {
			return "", false
		}
		if t == s {
			return s, true
		}
		s = t
	}
	return "", false
}

// lookup is IDNA 2008 with the mappings of UTS 46, non-transitional.
var lookup = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.CheckHyphens(true),
	idna.CheckJoiners(true),
	idna.StrictDomainName(true),
	idna.ValidateLabels(true),
	idna.Transitional(false),
)

// prepareDomain obeys RFC 7622 §3.2: an IP literal, or labels in their
// U-label form without the final dot.
func prepareDomain(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		return prepareLiteral(s)
	}
	if !utf8.ValidString(s) {
		return "", errDomain
	}
	u, err := lookup.ToUnicode(s)
	if err != nil {
		return "", errDomain
	}
	u = strings.TrimSuffix(u, ".")
	// An A-label may decode to something that maps on, and the bidi rule may
	// judge a label before it is mapped: what does not survive the way to
	// ASCII and back unchanged is no domain.
	a, err := lookup.ToASCII(u)
	if err != nil {
		return "", errDomain
	}
	if back, err := lookup.ToUnicode(a); err != nil || back != u {
		return "", errDomain
	}
	for label := range strings.SplitSeq(a, ".") {
		if label == "" || len(label) > 63 {
			return "", errDomain
		}
	}
	if len(u) > MaxPart {
		return "", errLong
	}
	return u, nil
}

// prepareLiteral reads an IPv6 address in brackets. Zones mean something on
// one machine only and are refused.
func prepareLiteral(s string) (string, error) {
	in, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", errDomain
	}
	a, err := netip.ParseAddr(in)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return "", errDomain
	}
	return "[" + a.String() + "]", nil
}
