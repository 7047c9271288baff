package keys

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/net/idna"
)

// Names in certificates for XMPP besides DNS names: constants in disguise.
var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidSRVName        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7} // RFC 4985
	oidXmppAddr       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5} // RFC 6120 §13.7.1.4
)

// ASCII is domain as it stands in DNS and SNI, in lower case and without a final dot. A name that IDNA does not know, an
// address for example, stays as it is.
func ASCII(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	if a, err := idna.Lookup.ToASCII(domain); err == nil {
		return a
	}
	return strings.ToLower(domain)
}

func address(name string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	return a.Unmap(), err == nil && a.Zone() == ""
}

// Covers is an error unless the certificate is good for domain: by DNS name (RFC 9525), by address, or by SRVName.
func Covers(leaf *x509.Certificate, domain string) error {
	name := ASCII(domain)
	if a, ok := address(name); ok {
		name = a.String()
	}
	err := leaf.VerifyHostname(name)
	if err == nil {
		return nil
	}
	for _, srv := range srvNames(leaf) {
		service, host, ok := strings.Cut(srv, ".")
		if ok && (service == "_xmpp-client" || service == "_xmpp-server") && strings.EqualFold(host, name) {
			return nil
		}
	}
	return fmt.Errorf("the certificate is not for %s: %w", domain, err)
}

// srvNames reads the SRVNames among the alternative names, which crypto/x509 passes over.
func srvNames(leaf *x509.Certificate) []string {
	at := slices.IndexFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSubjectAltName) })
	if at < 0 {
		return nil
	}
	in := cryptobyte.String(leaf.Extensions[at].Value)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cryptobyte_asn1.SEQUENCE) {
		return nil
	}
	var names []string
	for !list.Empty() {
		var general, wrapped, text cryptobyte.String
		var tag cryptobyte_asn1.Tag
		var id asn1.ObjectIdentifier
		if !list.ReadAnyASN1(&general, &tag) {
			return names
		}
		if tag == tagOther && general.ReadASN1ObjectIdentifier(&id) && id.Equal(oidSRVName) &&
			general.ReadASN1(&wrapped, tagWrapped) && wrapped.ReadASN1(&text, cryptobyte_asn1.IA5String) {
			names = append(names, string(text))
		}
	}
	return names
}

// Tags of GeneralName (RFC 5280 §4.2.1.6).
const (
	tagOther   = cryptobyte_asn1.Tag(0) | 0xa0
	tagDNS     = cryptobyte_asn1.Tag(2) | 0x80
	tagIP      = cryptobyte_asn1.Tag(7) | 0x80
	tagWrapped = cryptobyte_asn1.Tag(0) | 0xa0
)

// altNames makes the extension with all names: addresses, or DNS name, SRVNames and XmppAddr of each domain.
func altNames(names []string) (pkix.Extension, error) {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, n := range names {
			if a, ok := address(n); ok {
				b.AddASN1(tagIP, func(b *cryptobyte.Builder) { b.AddBytes(a.AsSlice()) })
				continue
			}
			domain := ASCII(n)
			b.AddASN1(tagDNS, func(b *cryptobyte.Builder) { b.AddBytes([]byte(domain)) })
			for _, service := range []string{"_xmpp-client.", "_xmpp-server."} {
				other(b, oidSRVName, cryptobyte_asn1.IA5String, service+domain)
			}
			other(b, oidXmppAddr, cryptobyte_asn1.UTF8String, n)
		}
	})
	der, err := b.Bytes()
	return pkix.Extension{Id: oidSubjectAltName, Value: der}, err
}

func other(b *cryptobyte.Builder, id asn1.ObjectIdentifier, kind cryptobyte_asn1.Tag, text string) {
	b.AddASN1(tagOther, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		b.AddASN1(tagWrapped, func(b *cryptobyte.Builder) {
			b.AddASN1(kind, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
		})
	})
}
