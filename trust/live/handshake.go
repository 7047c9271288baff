package live

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"chancery/trust/keys"
	"chancery/xmpp/sasl"
)

// Purpose is who is at the other end.
type Purpose int

// The purposes.
const (
	Clients       Purpose = iota // asks for no certificate
	ClientsByCert                // asks for one, takes none too; whoever authenticates decides (SASL EXTERNAL)
	Servers                      // the same for other servers
)

// Names of protocols for ALPN (XEP-0368).
const (
	ALPNClient = "xmpp-client"
	ALPNServer = "xmpp-server"
)

// errNoCertificate is what a handshake gets before the first Refresh, or when no domain has a certificate.
var errNoCertificate = errors.New("no certificate to show")

// Config makes the configuration of a listener, once; it reads the current certificates at every handshake. A client that
// offers protocols by ALPN must offer one of alpn; one that offers none is taken (XEP-0368 §3).
//
// TLS 1.2 with forward secrecy and AEAD, and TLS 1.3 (RFC 9325 §3.1, §4.2); key exchange as Go prefers it, X25519MLKEM768
// first. No session tickets: a resumed session would go on with the trust of an older configuration.
func (t *TLS) Config(p Purpose, alpn ...string) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2; those of 1.3 are all good
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos:             alpn,
		SessionTicketsDisabled: true,
		GetCertificate:         t.certificate,
	}
	if p != Clients {
		c.ClientAuth = tls.RequestClientCert
	}
	return c
}

// shown remembers in the context of a handshake which certificate was shown: crypto/tls does not tell afterwards, and
// tls-server-end-point needs it.
type shown struct {
	domain string // what the stream asked for; for clients that send no SNI
	cert   *served
}

type shownKey struct{}

func (t *TLS) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	note, _ := hello.Context().Value(shownKey{}).(*shown)
	name := strings.ToLower(hello.ServerName)
	if name == "" && note != nil {
		name = keys.ASCII(note.domain)
	}
	s := t.current.Load().choose(name)
	if s == nil {
		return nil, errNoCertificate
	}
	if note != nil {
		note.cert = s
	}
	return s.cert, nil
}

// Facts is what came of a handshake.
type Facts struct {
	Version string // TLS 1.3
	Group   string // X25519MLKEM768; "" for TLS 1.2 without one
	Suite   string // TLS_AES_128_GCM_SHA256
	ALPN    string // "" when the client offered none
	SNI     string // "" when the client sent none

	// Bindings are the channel bindings of this connection, the strongest first. They are needed until authentication.
	Bindings []sasl.Binding
}

// Handshake does the server's half on conn, within conn's deadline, with a configuration from Config. domain is the one
// that the stream asked for, when there was one before TLS; "" otherwise. conn stays open when it fails: crypto/tls has
// told the peer why, and the caller closes.
//
// It grows the stack of its goroutine. A connection that will be idle for long should be read by a fresh one.
func (t *TLS) Handshake(ctx context.Context, conn net.Conn, cfg *tls.Config, domain string) (*tls.Conn, Facts, error) {
	note := &shown{domain: domain}
	tc := tls.Server(conn, cfg)
	// Without its cancellation the handshake needs no second goroutine to wait for it; who cancels closes conn.
	if err := tc.HandshakeContext(context.WithValue(context.WithoutCancel(ctx), shownKey{}, note)); err != nil {
		return nil, Facts{}, err
	}
	return tc, facts(tc.ConnectionState(), note.cert), nil
}

func facts(cs tls.ConnectionState, s *served) Facts {
	f := Facts{Version: tls.VersionName(cs.Version), Suite: tls.CipherSuiteName(cs.CipherSuite), ALPN: cs.NegotiatedProtocol, SNI: cs.ServerName}
	if cs.CurveID != 0 {
		f.Group = cs.CurveID.String()
	}
	if b, ok := sasl.Exporter(cs); ok {
		f.Bindings = append(f.Bindings, b)
	}
	if s != nil && s.endPoint != nil {
		f.Bindings = append(f.Bindings, sasl.Binding{Type: sasl.TLSServerEndPoint, Data: s.endPoint})
	}
	return f
}
