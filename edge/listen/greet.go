package listen

import (
	"io"
	"math/rand/v2"
	"strconv"
	"time"
)

// greet reads what comes before the stream: the PROXY header, and the first byte. It is false when the connection is to
// be closed.
func (l *Listener) greet(c *Conn) bool {
	c.SetDeadline(time.Now().Add(l.gate.live.Load().C2S.TLSTime))
	if c.proxied && !l.introduce(c) {
		return false
	}
	if len(c.ahead) == 0 {
		var first [1]byte
		if _, err := io.ReadFull(c, first[:]); err != nil {
			return false
		}
		c.ahead = first[:]
	}
	const handshakeRecord = 0x16 // RFC 8446 §5.1; no XML begins like that
	c.TLS = c.ahead[0] == handshakeRecord
	if c.TLS || l.Mode() == Both {
		return true
	}
	l.gate.refuse(NotTLS, c.remote.Addr())
	if c.ahead[0] == '<' {
		c.Write(l.tlsOnly())
		c.Linger()
	}
	return false
}

// introduce reads the PROXY header and counts the connection under the address that it names.
func (l *Listener) introduce(c *Conn) bool {
	h, rest, err := readProxy(c)
	if err != nil {
		l.log.Warn("a trusted neighbour sent no usable PROXY header", "peer", c.remote, "err", err)
		l.gate.refuse(BadProxy, c.remote.Addr())
		return false
	}
	c.ahead = rest
	if !h.Source.IsValid() { // the neighbour speaks for itself, a health check as a rule
		return true
	}
	if l.gate.claim(h.Source.Addr()) != Welcome {
		return false
	}
	c.remote = h.Source
	return l.rename(c, h.Source.Addr())
}

// tlsOnly answers a plain stream where only TLS is taken (RFC 6120 §4.9.3.14). The id of that stream protects nothing.
func (l *Listener) tlsOnly() []byte {
	return []byte("<?xml version='1.0'?><stream:stream xmlns='" + l.cfg.Content + "' xmlns:stream='http://etherx.jabber.org/streams' id='" +
		strconv.FormatUint(rand.Uint64(), 36) + "' version='1.0'><stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" +
		"<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>This port takes TLS from the first byte only; " +
		"STARTTLS is turned off.</text></stream:error></stream:stream>")
}
