package sasl

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
)

// Channel binding types that we offer.
const (
	TLSExporter       = "tls-exporter"         // RFC 9266
	TLSServerEndPoint = "tls-server-end-point" // RFC 5929 §4
)

// Binding is what ties an authentication to the TLS connection below it (RFC 5056).
type Binding struct {
	Type string
	Data []byte
}

// Exporter is the tls-exporter binding of a finished handshake (RFC 9266 §2). It is false when the connection cannot give
// one: TLS 1.2 without extended master secret, or a handshake that is not complete.
func Exporter(cs tls.ConnectionState) (Binding, bool) {
	if !cs.HandshakeComplete {
		return Binding{}, false
	}
	data, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		return Binding{}, false
	}
	return Binding{Type: TLSExporter, Data: data}, true
}

// ServerEndPoint is the data of the tls-server-end-point binding (RFC 5929 §4.1) for the certificate that this server
// served: its hash with the hash function of its signature, SHA-256 for MD5 and SHA-1. It is nil for a signature whose
// hash function is not single and known (Ed25519, RSA-PSS with odd parameters), for which RFC 5929 defines nothing.
func ServerEndPoint(leaf *x509.Certificate) []byte {
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256, x509.DSAWithSHA256:
		sum := sha256.Sum256(leaf.Raw)
		return sum[:]
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		sum := sha512.Sum384(leaf.Raw)
		return sum[:]
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		sum := sha512.Sum512(leaf.Raw)
		return sum[:]
	}
	return nil
}
