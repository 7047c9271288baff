// Package client is a small XMPP client over real sockets: TLS that is
// verified, SCRAM, stream management and archive queries. The drills judge the
// server with it, so it shares no code with the server: it reads with
// encoding/xml and counts for itself.
package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Namespaces that the client speaks.
const (
	nsClient = "jabber:client"
	nsStream = "http://etherx.jabber.org/streams"
	nsTLS    = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL   = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind   = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSM     = "urn:xmpp:sm:3"
	nsCB     = "urn:xmpp:sasl-cb:0"
	NSMAM    = "urn:xmpp:mam:2"
	NSRSM    = "http://jabber.org/protocol/rsm"
	NSSID    = "urn:xmpp:sid:0"
)

// Config says where and as whom to log in.
type Config struct {
	Addr      string // host:port of the client port
	Domain    string
	User      string // localpart
	Password  string
	Resource  string
	Roots     *x509.CertPool // whom to believe; nil is the system's
	Direct    bool           // TLS at once instead of STARTTLS
	Mechanism string         // "" takes the best that both know
	Patience  time.Duration  // for connecting and for one read; 0 is 30 s
}

// JID is the bare address of the account.
func (c Config) JID() string { return c.User + "@" + c.Domain }

func (c Config) patience() time.Duration {
	if c.Patience > 0 {
		return c.Patience
	}
	return 30 * time.Second
}

// Conn is one authenticated stream. One goroutine reads; any may write.
type Conn struct {
	cfg       Config
	conn      net.Conn
	dec       *xml.Decoder
	Features  *Element // of the current stream
	Mechanism string   // that authenticated
	Full      string   // address after Bind

	mu sync.Mutex // guards writes
}

// Dial connects, secures and authenticates. The stream then waits for Bind or
// for a resumption.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.patience())
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, err
	}
	c := &Conn{cfg: cfg, conn: nc}
	c.extend()
	if err := c.negotiate(ctx); err != nil {
		c.conn.Close()
		return nil, fmt.Errorf("log in as %s: %w", cfg.JID(), err)
	}
	return c, nil
}

func (c *Conn) negotiate(ctx context.Context) error {
	if !c.cfg.Direct {
		if err := c.open(); err != nil {
			return err
		}
		if err := c.starttls(); err != nil {
			return err
		}
	}
	if err := c.secure(ctx); err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	if err := c.authenticate(); err != nil {
		return err
	}
	return c.open()
}

// extend gives the peer another while to answer.
func (c *Conn) extend() { c.conn.SetDeadline(time.Now().Add(c.cfg.patience())) }

// open sends a stream header and reads the peer's, with its features.
func (c *Conn) open() error {
	c.dec = xml.NewDecoder(bufio.NewReader(c.conn))
	err := c.Write("<?xml version='1.0'?><stream:stream xmlns='" + nsClient + "' xmlns:stream='" + nsStream +
		"' to='" + escape(c.cfg.Domain) + "' version='1.0'>")
	if err != nil {
		return err
	}
	for {
		t, err := c.dec.Token()
		if err != nil {
			return fmt.Errorf("read stream header: %w", err)
		}
		if s, ok := t.(xml.StartElement); ok {
			if s.Name != (xml.Name{Space: nsStream, Local: "stream"}) {
				return fmt.Errorf("a <%s> instead of a stream header", s.Name.Local)
			}
			break
		}
	}
	c.Features, err = c.expect(nsStream, "features")
	return err
}

func (c *Conn) starttls() error {
	if c.Features.Child(nsTLS, "starttls") == nil {
		return errors.New("STARTTLS is not offered")
	}
	if err := c.Write("<starttls xmlns='" + nsTLS + "'/>"); err != nil {
		return err
	}
	_, err := c.expect(nsTLS, "proceed")
	return err
}

func (c *Conn) secure(ctx context.Context) error {
	conf := &tls.Config{ServerName: c.cfg.Domain, RootCAs: c.cfg.Roots, MinVersion: tls.VersionTLS12}
	if c.cfg.Direct {
		conf.NextProtos = []string{"xmpp-client"}
	}
	t := tls.Client(c.conn, conf)
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	c.conn = t
	return nil
}

// Bind takes the resource of the configuration, or what the server gives.
func (c *Conn) Bind() error {
	res := ""
	if c.cfg.Resource != "" {
		res = "<resource>" + escape(c.cfg.Resource) + "</resource>"
	}
	if err := c.Write("<iq type='set' id='bind'><bind xmlns='" + nsBind + "'>" + res + "</bind></iq>"); err != nil {
		return err
	}
	iq, err := c.expect(nsClient, "iq")
	if err != nil {
		return err
	}
	if iq.Attr("type") != "result" {
		return fmt.Errorf("bind: %s", iq)
	}
	c.Full = iq.Child(nsBind, "bind").Child(nsBind, "jid").Content()
	if c.Full == "" {
		return fmt.Errorf("bind without an address: %s", iq)
	}
	return nil
}

// Write sends text as it is.
func (c *Conn) Write(s string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := io.WriteString(c.conn, s)
	return err
}

// Read returns the next top-level element; io.EOF when the peer closed the
// stream, *StreamError when it ended it with an error.
func (c *Conn) Read() (*Element, error) {
	for {
		t, err := c.dec.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.EndElement:
			return nil, io.EOF
		case xml.StartElement:
			c.extend()
			e := new(Element)
			if err := c.dec.DecodeElement(e, &t); err != nil {
				return nil, err
			}
			if e.Is(nsStream, "error") {
				return nil, &StreamError{e}
			}
			return e, nil
		}
	}
}

// expect reads the next element, which must be this one.
func (c *Conn) expect(space, local string) (*Element, error) {
	e, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("waiting for <%s>: %w", local, err)
	}
	if !e.Is(space, local) {
		return nil, fmt.Errorf("waiting for <%s>, got %s", local, e)
	}
	return e, nil
}

// Close ends the stream politely.
func (c *Conn) Close() error {
	c.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	c.Write("</stream:stream>")
	return c.conn.Close()
}

// Cut ends the connection as a lost network does: without a word.
func (c *Conn) Cut() {
	if t, ok := c.conn.(*tls.Conn); ok {
		t.NetConn().Close()
		return
	}
	c.conn.Close()
}
