package c2s

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"

	"chancery/core/settings"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/sasl"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// negotiate takes a client from its first byte to a session. A *stream.Error is
// said to the client, any other error closes.
func (c *conn) negotiate(ctx context.Context, set *settings.Settings) error {
	if c.door.TLS {
		if err := c.handshake(ctx, set, true); err != nil {
			return err
		}
	}
	for c.user.IsZero() {
		if err := c.openStream(); err != nil {
			return err
		}
		if err := c.authenticate(ctx, set); err != nil {
			return err
		}
	}
	c.door.Trust()
	c.dec.SetLimits(after(set))
	if err := c.openStream(); err != nil {
		return err
	}
	return c.bind(ctx, set)
}

// openStream reads the client's header and answers with ours (RFC 6120 §4.7).
// The features follow in the same write.
func (c *conn) openStream() error {
	c.open, c.id, c.claims = false, rand.Text(), jid.JID{}
	ev, err := c.next()
	if err != nil {
		return err
	}
	if ev != elem.StreamOpen {
		return errOrderly
	}
	e := c.dec.Element()
	if err := c.addressed(e); err != nil {
		return err
	}
	if from, ok := e.Attr("from"); ok { // RFC 6120 §4.7.2
		if j, err := jid.ParseBytes(from); err == nil {
			c.claims = j.Bare()
		}
	}
	lang, _ := e.Lang()
	c.lang = string(lang)
	version, _ := e.Attr("version")
	major, _, _ := strings.Cut(string(version), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 1 {
		return stream.Fail(stream.UnsupportedVersion, "this server speaks XMPP 1.0")
	}
	return nil
}

// addressed checks the 'to' of a header: a domain of ours, and the same one on
// every header of a connection.
func (c *conn) addressed(e *elem.Element) error {
	to, ok := e.Attr("to")
	if !ok || len(to) == 0 {
		return stream.Fail(stream.ImproperAddressing, "the stream header has no 'to'")
	}
	j, err := jid.ParseBytes(to)
	if err != nil || j.Server() != j || !c.srv.Hosts.Load().Serves(j.Domain()) {
		return stream.Fail(stream.HostUnknown, "this server does not serve that domain")
	}
	if !c.domain.IsZero() && j != c.domain {
		return stream.Fail(stream.HostUnknown, "the domain has changed since the last stream header")
	}
	c.domain = j
	return nil
}

// offer writes our header and the features.
func (c *conn) offer(features ...*elem.Node) error {
	_, err := c.Write(stream.AppendFeatures(c.header(nil), features...))
	return err
}

// handshake puts TLS on the connection.
func (c *conn) handshake(ctx context.Context, set *settings.Settings, direct bool) error {
	cfg := c.srv.StartTLS
	if direct {
		cfg = c.srv.DirectTLS
	}
	ctx, cancel := context.WithTimeout(ctx, set.C2S.TLSTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.door.Close() })
	t, facts, err := c.srv.TLS.Handshake(ctx, c.door, cfg, c.domain.Domain())
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.srv.Count.HandshakesFailed.Add(1)
		c.log().Debug("TLS handshake failed", "err", err)
		return errClosed
	}
	c.srv.Count.Handshakes.Add(1)
	c.net, c.tls, c.facts = t, t, facts
	return nil
}

// startTLS obeys <starttls/>. What came behind it in the clear was sent before
// anybody could know that there is TLS: somebody has put it there
// (CVE-2011-0411).
func (c *conn) startTLS(ctx context.Context, set *settings.Settings) error {
	// COMPAT(go-xmpp, go-sendxmpp): ends <starttls/> with a newline, which RFC 6120 §5.3.3 forbids. Nothing can hide in it.
	c.dec.SkipSpace()
	if c.tls != nil || c.dec.Buffered() > 0 {
		c.say(elem.New(stream.NSTLS, "failure"))
		return errOrderly
	}
	if err := c.say(elem.New(stream.NSTLS, "proceed")); err != nil {
		return err
	}
	c.dec.Reset()
	return c.handshake(ctx, set, false)
}

// authenticate offers what there is before login and returns when the stream is
// to be opened anew: after STARTTLS, or with c.user set.
func (c *conn) authenticate(ctx context.Context, set *settings.Settings) error {
	offer := c.mechanisms(set)
	if err := c.offer(c.early(set, offer)...); err != nil {
		return err
	}
	attempts := attempts{c: c, set: set, offer: offer}
	for {
		ev, err := c.next()
		if err != nil {
			return err
		}
		if ev == elem.StreamClose {
			return errOrderly
		}
		e := c.dec.Element()
		switch e.Name {
		case elem.N(stream.NSTLS, "starttls"):
			return c.startTLS(ctx, set)
		case elem.N(stream.NSSASL, "auth"), elem.N(stream.NSSASL, "response"), elem.N(stream.NSSASL, "abort"):
			if c.tls == nil && set.C2S.RequireTLS {
				return stream.Fail(stream.PolicyViolation, "TLS comes first")
			}
			if done, err := attempts.take(ctx, e); done || err != nil {
				c.dec.SkipSpace() // COMPAT(go-xmpp): a newline behind <auth/> belongs to the stream that ends here
				c.dec.Reset()
				return err
			}
		case elem.N(stanza.NSClient, "iq"):
			if err := c.stranger(ctx, set, e); err != nil {
				return err
			}
		default:
			return stream.Fail(stream.NotAuthorized, "log in first")
		}
	}
}

func (c *conn) mechanisms(set *settings.Settings) sasl.Offer {
	return sasl.Make(sasl.Terms{
		Allowed: set.C2S.Mechanisms, TLS: c.tls != nil, Plain: set.C2S.AllowPlainAuth,
		External: c.certified(), Bindings: c.facts.Bindings,
	})
}

// certified tells whether the client has shown a certificate that somebody here
// can make sense of.
func (c *conn) certified() bool {
	return c.srv.External != nil && c.tls != nil && len(c.tls.ConnectionState().PeerCertificates) > 0
}

// early lists the features before authentication (RFC 6120 §5.4.1, §6.4.1,
// XEP-0440).
func (c *conn) early(set *settings.Settings, offer sasl.Offer) []*elem.Node {
	var all []*elem.Node
	if c.tls == nil {
		n := elem.New(stream.NSTLS, "starttls")
		if set.C2S.RequireTLS {
			n.Add(elem.New(stream.NSTLS, "required"))
		}
		all = append(all, n)
	}
	if c.tls != nil || !set.C2S.RequireTLS {
		m := elem.New(stream.NSSASL, "mechanisms")
		for _, name := range offer.Mechanisms {
			m.Add(elem.New(stream.NSSASL, "mechanism").SetText(name))
		}
		all = append(all, m)
		if len(offer.Bindings) > 0 {
			b := elem.New(nsBinding, "sasl-channel-binding")
			for _, typ := range offer.Bindings {
				b.Add(elem.New(nsBinding, "channel-binding").With("type", typ))
			}
			all = append(all, b)
		}
		if c.srv.Newcomers != nil {
			all = append(all, c.srv.Newcomers.Feature(c.tls != nil))
		}
	}
	return append(all, c.srv.Features(set, false)...)
}

const nsBinding = "urn:xmpp:sasl-cb:0"

// stranger answers an iq before authentication: only registration is possible
// (XEP-0077), everything else ends the stream (RFC 6120 §7.1).
func (c *conn) stranger(ctx context.Context, set *settings.Settings, e *elem.Element) error {
	st, err := stanza.FromElement(e, &stanza.Cache{})
	if err != nil || c.srv.Newcomers == nil || (c.tls == nil && set.C2S.RequireTLS) {
		return stream.Fail(stream.NotAuthorized, "log in first")
	}
	if c.made { // XEP-0077 usecases-register-server
		_, err = c.Write(st.Bounce(stanza.Refuse(stanza.NotAcceptable, "one account for a stream; log in now")).Append(nil, ""))
		return err
	}
	answer, made := c.srv.Newcomers.Stranger(ctx, st, c.domain, c.door.Remote().Addr(), c.tls != nil)
	if answer == nil {
		return stream.Fail(stream.NotAuthorized, "log in first")
	}
	c.made = made
	_, err = c.Write(answer.Append(nil, ""))
	return err
}
