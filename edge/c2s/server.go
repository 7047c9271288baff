// Package c2s negotiates with clients (RFC 6120 §4 to §7, XEP-0198) and then
// reads their stanzas. It goes one way: header, STARTTLS, SASL, bind or resume,
// stanzas; nothing calls back into negotiation.
//
// Files: server.go what it works with; conn.go the wire; negotiate.go up to
// authentication; login.go SASL; bind.go a resource, new or resumed; stanzas.go
// the rest of the stream's life.
package c2s

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"chancery/core/account"
	"chancery/core/host"
	"chancery/core/online"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/edge/listen"
	"chancery/trust/live"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// Server takes clients in. The fields are set before the first connection.
type Server struct {
	Log      *slog.Logger
	Settings *settings.Live
	Hosts    *host.Hosts
	Accounts *account.Accounts
	Throttle *account.Throttle
	Online   *online.Table
	Sessions *session.Env
	Router   *route.Router

	// Going ends when the server is about to stop: streams that are still
	// negotiating are told so. Those with a session are told through it.
	Going context.Context

	TLS       *live.TLS
	StartTLS  *tls.Config // after STARTTLS
	DirectTLS *tls.Config // direct TLS (XEP-0368)

	// External tells for whom a client's certificates speak, the leaf first (SASL
	// EXTERNAL, XEP-0178): a *sasl.Failure refuses, and authzid is zero when the client
	// leaves the choice to us. Nothing about the certificates has been checked. Nil
	// where nobody speaks by certificate.
	External func(ctx context.Context, certs []*x509.Certificate, authzid jid.JID) (jid.JID, error)
	// Newcomers make accounts in band (XEP-0077); nil where nobody can.
	Newcomers Newcomers
	// Features are advertised beyond what is negotiated here, before and after
	// authentication.
	Features func(s *settings.Settings, authenticated bool) []*elem.Node
	// Revived is told of a session that was resumed after a restart of the
	// server, which may have missed something. It may be nil.
	Revived func(ctx context.Context, s *session.Session)
	// LoginFailed is told of every failed attempt, for the audit.
	LoginFailed func(who jid.JID, from netip.Addr, mechanism, why string)

	Count Counters
}

// Newcomers answers an unauthenticated client's registration.
type Newcomers interface {
	Feature(secure bool) *elem.Node
	Stranger(ctx context.Context, st *stanza.Stanza, domain jid.JID, from netip.Addr, secure bool) (answer *stanza.Stanza, made bool)
}

// Counters are read by the metrics.
type Counters struct {
	Streams, Logins, Failures, Resumed, Handshakes, HandshakesFailed atomic.Uint64
}

// Serve negotiates on a connection that was just accepted, in the caller's
// goroutine, and reads its stanzas in a fresh one whose stack has not been grown
// by a handshake. It is the handler of a listen.Listener.
func (s *Server) Serve(ctx context.Context, door *listen.Conn) {
	c := newConn(s, door)
	set := s.Settings.Load()
	c.setDeadline(time.Now().Add(set.C2S.NegotiationTime))
	stay := context.AfterFunc(s.Going, func() { door.SetReadDeadline(time.Now()) })
	err := c.negotiate(ctx, set)
	stayed := stay() // whatever came of it: what waits for a shutdown waits for as long as the server lives
	if err != nil {
		c.hangUp(err)
		return
	}
	if !stayed {
		c.sess.Suspend(Shutdown())
		if c.sess.Ended() {
			c.sess.End(nil)
		}
	}
	door.Go(func() { c.stanzas(ctx) })
}

// limits for the decoder.
func before(s *settings.Settings) elem.Limits {
	p := s.C2S.PreAuth
	return elem.Limits{Bytes: p.StanzaBytes, Depth: p.Depth, Attrs: p.Attrs, Namespaces: p.Namespaces}
}

func after(s *settings.Settings) elem.Limits {
	c := s.C2S
	return elem.Limits{Bytes: c.StanzaBytes, Depth: c.Depth, Attrs: c.Attrs, Namespaces: c.Namespaces}
}

// Shutdown says that the server stops: it is the stream error of every session.
func Shutdown() *stream.Error {
	return stream.Fail(stream.SystemShutdown, "the server stops; it will be back")
}
