package node

import (
	"bufio"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// Event is something that came from the server.
type Event struct {
	Kind EventKind
	Elem *Element // of Header and Stanza
	Err  error    // of Broken
}

// EventKind tells events apart.
type EventKind uint8

// What can come on a connection.
const (
	Header EventKind = iota + 1 // the opening tag of a stream
	Stanza                      // a whole child of the stream
	Closed                      // the closing tag of the stream
	Ended                       // the end of the connection
	Broken                      // bytes that are no XMPP, or a TLS alert
)

func (e Event) String() string {
	switch e.Kind {
	case Header:
		return strings.TrimSuffix(e.Elem.String(), "/>") + ">"
	case Stanza:
		return e.Elem.String()
	case Closed:
		return "</stream:stream>"
	case Ended:
		return "(the connection ends)"
	}
	return fmt.Sprintf("(broken: %v)", e.Err)
}

// Conn is a client's end of a connection. Nothing in it waits for anything: Send queues, a reader collects what comes,
// and the test asks for it when all is quiet.
type Conn struct {
	Name string

	log  *Journal
	read chan net.Conn // the connection to read from next; after <proceed/> the reader waits here for TLS

	mu      sync.Mutex
	conn    net.Conn // where the writer writes
	events  []Event
	asked   int // <r/> of XEP-0198 that are not looked at yet
	handled uint32
	bytes   int  // that came, as the decoder saw them
	counts  bool // XEP-0198 is on: stanzas that come are counted
	gone    bool // reads and discards: the network is dead and nobody knows
	stopped bool // does not read
	reading *sync.Cond
	queue   []byte
	writing *sync.Cond
	done    bool
	wait    sync.WaitGroup
}

// NewConn starts the reader and the writer of a client's end. For TLS from the first byte c is a *tls.Conn that has not
// shaken hands yet. Close it.
func NewConn(name string, c net.Conn, log *Journal) *Conn {
	k := &Conn{Name: name, log: log, conn: c, read: make(chan net.Conn, 1)}
	k.reading, k.writing = sync.NewCond(&k.mu), sync.NewCond(&k.mu)
	k.read <- c
	k.wait.Go(k.reader)
	k.wait.Go(k.writer)
	return k
}

// Send queues bytes for the server.
func (c *Conn) Send(text string) {
	c.log.Add(c.Name, "→", text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done || c.gone {
		return
	}
	c.queue = append(c.queue, text...)
	c.writing.Signal()
}

// Take removes and returns what has come.
func (c *Conn) Take() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.events
	c.events = nil
	return e
}

// Peek shows the next event without removing it.
func (c *Conn) Peek() (Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) == 0 {
		return Event{}, false
	}
	return c.events[0], true
}

// Pop removes the next event.
func (c *Conn) Pop() (Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) == 0 {
		return Event{}, false
	}
	e := c.events[0]
	c.events = c.events[1:]
	return e, true
}

// Asked tells how many acknowledgements the server has requested since the last call.
func (c *Conn) Asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.asked
	c.asked = 0
	return n
}

// Handled is the number of stanzas that came since XEP-0198 was enabled.
func (c *Conn) Handled() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handled
}

// Received is the number of bytes that came, inside TLS.
func (c *Conn) Received() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// SetHandled continues the count of another connection.
func (c *Conn) SetHandled(n uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handled, c.counts = n, true
}

// TLS takes the connection into TLS. Before, the reader must have stopped at <proceed/>, or nothing must have come at
// all; it reads on when the handshake is over, whatever its end.
func (c *Conn) TLS(conf *tls.Config) error {
	c.mu.Lock()
	plain := c.conn
	c.mu.Unlock()
	t := tls.Client(plain, conf)
	err := t.Handshake()
	c.mu.Lock()
	c.conn = t
	c.mu.Unlock()
	if err != nil {
		c.log.Add(c.Name, "!", "TLS: "+err.Error())
	} else {
		c.log.Add(c.Name, "·", "TLS "+tls.VersionName(t.ConnectionState().Version))
	}
	c.read <- t
	return err
}

// State is the TLS state; nil outside TLS.
func (c *Conn) State() *tls.ConnectionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.conn.(*tls.Conn); ok {
		s := t.ConnectionState()
		return &s
	}
	return nil
}

// Cut ends the connection without a word, as a phone in a tunnel does when the network notices.
func (c *Conn) Cut() {
	c.log.Add(c.Name, "!", "disconnects")
	c.close()
}

// Vanish is a phone in a tunnel before anybody notices: the server's bytes get lost, and none come from here.
func (c *Conn) Vanish() {
	c.log.Add(c.Name, "!", "vanishes")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
}

// Stop stops reading, and Resume reads again.
func (c *Conn) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}

// Resume reads again.
func (c *Conn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = false
	c.reading.Broadcast()
}

// Close ends the connection and waits for its goroutines.
func (c *Conn) Close() {
	c.close()
	c.wait.Wait()
}

func (c *Conn) close() {
	c.mu.Lock()
	if !c.done {
		c.done = true
		close(c.read)
		c.writing.Broadcast()
		c.reading.Broadcast()
	}
	under := c.conn
	c.mu.Unlock()
	if t, ok := under.(*tls.Conn); ok {
		under = t.NetConn() // no close_notify: that is what a cut is
	}
	under.Close()
}

// writer writes what is queued, in order.
func (c *Conn) writer() {
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.done {
			c.writing.Wait()
		}
		if c.done {
			c.mu.Unlock()
			return
		}
		b, conn := c.queue, c.conn
		c.queue = nil
		c.mu.Unlock()
		if _, err := conn.Write(b); err != nil {
			return // the reader says why
		}
	}
}

// reader collects events from one connection after the other: TCP, then TLS.
func (c *Conn) reader() {
	for conn := range c.read {
		c.readFrom(bufio.NewReader(&tap{c: c, conn: conn}))
	}
}

// readFrom returns when TLS is to begin, or at the end of the connection.
func (c *Conn) readFrom(r *bufio.Reader) {
	for {
		d := xml.NewDecoder(r)
		h, in, err := readHeader(d)
		if err != nil {
			c.ended(err)
			return
		}
		c.add(Event{Kind: Header, Elem: h})
		for restart := false; !restart; {
			e, err := readElement(d, in)
			if err != nil {
				if err == io.EOF {
					c.add(Event{Kind: Closed})
					_, err = r.ReadByte()
				}
				c.ended(err)
				return
			}
			c.add(Event{Kind: Stanza, Elem: e})
			if e.Is(NSTLS, "proceed") {
				if r.Buffered() > 0 {
					c.add(Event{Kind: Broken, Err: errors.New("plain bytes after <proceed/>")})
				}
				return
			}
			restart = e.Is(NSSASL, "success")
		}
	}
}

func (c *Conn) ended(err error) {
	var alert tls.AlertError
	switch {
	case err == nil:
		c.add(Event{Kind: Broken, Err: errors.New("bytes after the end of the stream")})
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, net.ErrClosed):
		c.add(Event{Kind: Ended})
	case errors.As(err, &alert):
		c.add(Event{Kind: Broken, Err: alert})
	default:
		c.add(Event{Kind: Broken, Err: err})
	}
}

func (c *Conn) add(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done && e.Kind == Ended {
		return // we ended it
	}
	if e.Kind == Stanza && e.Elem.Space == NSSM {
		switch e.Elem.Local {
		case "r":
			c.asked++
			return
		case "enabled", "resumed":
			c.counts = true
		}
	}
	if e.Kind == Stanza && c.counts && e.Elem.Space == NSClient {
		c.handled++
	}
	c.log.Add(c.Name, "←", e.String())
	c.events = append(c.events, e)
}

// tap is the read side: it can be stopped, and it can go deaf.
type tap struct {
	c    *Conn
	conn net.Conn
}

func (t *tap) Read(b []byte) (int, error) {
	for {
		t.c.mu.Lock()
		for t.c.stopped && !t.c.done {
			t.c.reading.Wait()
		}
		t.c.mu.Unlock()
		n, err := t.conn.Read(b)
		t.c.mu.Lock()
		t.c.bytes += n
		deaf := t.c.gone
		t.c.mu.Unlock()
		if err != nil || !deaf {
			return n, err
		}
	}
}

// Journal is the conversation so far, for failure messages.
type Journal struct {
	mu    sync.Mutex
	lines []string
	quiet bool
}

// Hush leaves out what comes next, until Speak.
func (j *Journal) Hush() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.quiet = true
}

// Speak ends Hush.
func (j *Journal) Speak() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.quiet = false
}

// Add appends a line.
func (j *Journal) Add(who, arrow, text string) {
	if len(text) > 1000 {
		text = fmt.Sprintf("%s… (%d bytes)", text[:1000], len(text))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.quiet {
		return
	}
	j.lines = append(j.lines, fmt.Sprintf("%-16s %s %s", who, arrow, text))
}

// Last returns the last n lines.
func (j *Journal) Last(n int) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.lines[max(0, len(j.lines)-n):]...)
}
