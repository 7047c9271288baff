package c2s

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"chancery/core/session"
	"chancery/edge/listen"
	"chancery/trust/live"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// Bounds on writing. A peer that does not read for writeTime is taken for dead;
// one that is told goodbye gets less.
const (
	writeTime   = 60 * time.Second
	goodbyeTime = 5 * time.Second
)

// conn is the wire of one client, and what was negotiated on it.
type conn struct {
	srv  *Server
	door *listen.Conn
	net  net.Conn // door, or the TLS on it
	tls  *tls.Conn
	dec  *elem.Decoder
	name string // for logs
	id   string // of the stream, new with every header

	facts  live.Facts
	how    login
	made   bool // an account was made on this stream
	domain jid.JID
	user   jid.JID // after authentication
	sess   *session.Session
	open   bool    // our header has been sent
	claims jid.JID // whom the client says it is in its header, for the 'to' of ours
	lang   string  // xml:lang of the client's stream

	ending atomic.Bool
	ended  chan struct{} // closed when the goodbye has been written, or given up
	over   sync.Once

	// turn guards writing: full while somebody writes. It is no mutex because it is
	// held while a peer does not read, and testing/synctest must see that.
	turn     chan struct{}
	closed   bool
	deadline time.Time // for writing, as set last
}

// login is how the client proved who it is.
type login struct {
	mechanism, binding string
}

func newConn(s *Server, door *listen.Conn) *conn {
	s.Count.Streams.Add(1)
	name := rand.Text()[:12]
	return &conn{
		srv: s, door: door, net: door, name: name, id: name, ended: make(chan struct{}), turn: make(chan struct{}, 1),
		dec: elem.NewDecoder(stanza.NSClient, before(s.Settings.Load())),
	}
}

// log is made when there is something to say: an idle connection keeps none.
func (c *conn) log() *slog.Logger {
	return c.srv.Log.With("conn", c.name, "peer", c.door.Remote().String())
}

// errClosed ends a connection without a word.
var errClosed = errors.New("connection closed")

// read gets more bytes into the decoder.
func (c *conn) read() error {
	n, err := c.net.Read(c.dec.Space())
	c.dec.Filled(n)
	if n > 0 {
		return nil
	}
	return err
}

// next gives the next event of the stream during negotiation, within the
// deadline of the connection.
func (c *conn) next() (elem.Event, error) {
	for {
		ev, err := c.dec.Next()
		if err != elem.ErrMore {
			return ev, streamError(err)
		}
		if err := c.read(); err != nil {
			if c.srv.Going.Err() != nil {
				return 0, Shutdown()
			}
			return 0, readError(err)
		}
	}
}

// streamError gives an error of the decoder the form in which the peer gets it.
func streamError(err error) error {
	var e *elem.Error
	if errors.As(err, &e) {
		return stream.Fail(e.Condition, e.Text)
	}
	return err
}

func readError(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, listen.ErrBudget):
		return stream.Fail(stream.PolicyViolation, "too many bytes before authentication")
	case errors.As(err, &timeout) && timeout.Timeout():
		return stream.Fail(stream.ConnectionTimeout, "")
	case errors.Is(err, io.EOF):
		return errClosed
	}
	return err
}

// setDeadline bounds reading.
func (c *conn) setDeadline(t time.Time) {
	c.door.SetReadDeadline(t)
	if c.ending.Load() { // End may have been waking the reader just now
		c.door.SetReadDeadline(time.Now())
	}
}

// Write implements session.Wire.
func (c *conn) Write(p []byte) (int, error) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if c.closed {
		return 0, net.ErrClosed
	}
	if now := time.Now(); c.deadline.Sub(now) < writeTime/2 { // a timer less for most writes
		c.deadline = now.Add(writeTime)
		c.door.SetWriteDeadline(c.deadline)
	}
	return c.net.Write(p)
}

// End implements session.Wire.
func (c *conn) End(rest []byte, reason *stream.Error) {
	if c.ending.Swap(true) {
		return
	}
	defer c.isOver()
	c.door.SetWriteDeadline(time.Now().Add(goodbyeTime)) // also for a write that is under way
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if !c.open {
		rest = c.header(rest)
	}
	if reason != nil {
		rest = reason.Append(rest)
	}
	c.net.Write(append(rest, stream.Close...))
	if c.tls != nil {
		c.tls.CloseWrite()
	}
	c.closed = true
	c.door.SetReadDeadline(time.Now()) // wakes the reader, who closes
}

// Cut implements session.Wire.
func (c *conn) Cut() {
	c.ending.Store(true)
	c.door.Close()
	c.isOver()
}

func (c *conn) isOver() { c.over.Do(func() { close(c.ended) }) }

// hangUp ends the connection from the goroutine that reads it.
func (c *conn) hangUp(why error) {
	var e *stream.Error
	switch {
	case errors.As(why, &e):
		c.log().Debug("stream ended", "err", e)
		c.End(nil, e)
	case errors.Is(why, errOrderly):
		c.End(nil, nil)
	default:
		c.log().Debug("connection ended", "err", why)
		if !c.ending.Load() {
			c.Cut()
		}
	}
	<-c.ended // somebody else may be saying it
	c.dec.Release()
	c.door.Linger()
}

// errOrderly is the client's closing tag.
var errOrderly = errors.New("stream closed")

// header appends our stream header (RFC 6120 §4.7).
func (c *conn) header(dst []byte) []byte {
	c.open = true
	return stream.Header{From: c.domain, To: c.claims, ID: c.id, Lang: "en", Content: stanza.NSClient}.Append(dst)
}

// say writes nodes outside any session.
func (c *conn) say(nodes ...*elem.Node) error {
	var b []byte
	for _, n := range nodes {
		b = n.Append(b, stanza.NSClient)
	}
	_, err := c.Write(b)
	return err
}
