package sasl

import (
	"crypto/fips140"
	"slices"
	"strings"
)

// Terms decide what is offered on one stream.
type Terms struct {
	Allowed  []string  // mechanisms that the administrator allows, in the order in which they are offered
	TLS      bool      // the stream is inside TLS
	Plain    bool      // PLAIN may be offered; it never is outside TLS (RFC 6120 §13.9.1)
	External bool      // the peer has shown a certificate that names somebody
	Bindings []Binding // what the TLS connection can be bound to
}

// Offer is what a stream advertises: the mechanisms (RFC 6120 §6.4.1) and the channel binding types (XEP-0440), which are
// none where no -PLUS mechanism is offered.
type Offer struct {
	Mechanisms []string
	Bindings   []string
}

// Make computes the offer.
func Make(t Terms) Offer {
	var o Offer
	for _, m := range t.Allowed {
		if t.allow(m) {
			o.Mechanisms = append(o.Mechanisms, m)
		}
	}
	if o.plus() {
		for _, b := range t.Bindings {
			o.Bindings = append(o.Bindings, b.Type)
		}
	}
	return o
}

func (t *Terms) allow(mechanism string) bool {
	switch mechanism {
	case Plain:
		return t.TLS && t.Plain
	case External:
		return t.TLS && t.External
	}
	h, plus, ok := scramFamily(mechanism)
	if h == SHA1 && fips140.Enforced() {
		return false // HMAC-SHA-1 would panic
	}
	return ok && (!plus || t.TLS && len(t.Bindings) > 0)
}

// plus tells whether a mechanism with channel binding is offered.
func (o Offer) plus() bool {
	return slices.ContainsFunc(o.Mechanisms, func(m string) bool { return strings.HasSuffix(m, plusSuffix) })
}

// digest is the attribute h of XEP-0474: it lets the client find out that somebody has taken something off the lists.
// Separators are those of version 0.4.0 and later.
func (o Offer) digest(h Hash) []byte {
	const between, lists = "\x1e", "\x1f"
	text := strings.Join(slices.Sorted(slices.Values(o.Mechanisms)), between)
	if len(o.Bindings) > 0 {
		text += lists + strings.Join(slices.Sorted(slices.Values(o.Bindings)), between)
	}
	d := h.New()
	d.Write([]byte(text))
	return d.Sum(nil)
}

const (
	scramPrefix = "SCRAM-"
	plusSuffix  = "-PLUS"
)

// scramFamily takes a name like SCRAM-SHA-256-PLUS apart.
func scramFamily(mechanism string) (h Hash, plus, ok bool) {
	name, ok := strings.CutPrefix(mechanism, scramPrefix)
	if !ok {
		return 0, false, false
	}
	name, plus = strings.CutSuffix(name, plusSuffix)
	h, ok = ParseHash(name)
	return h, plus, ok
}
