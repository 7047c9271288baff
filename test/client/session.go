package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
)

// ErrNotResumed says that the server no longer knew the session (XEP-0198
// resumption); a fresh one was begun in its place.
var ErrNotResumed = errors.New("not resumed")

// Session outlives its connections by XEP-0198: it keeps what the server has
// not acknowledged, counts what came, and resumes.
//
// One goroutine calls Connect and Read; any may Send.
type Session struct {
	cfg Config
	// Acked is told of each stanza that the server has acknowledged, in order
	// and with the session locked.
	Acked func(note any)

	mu    sync.Mutex
	conn  *Conn
	id    string // to resume with; "" before the first
	in    uint32 // stanzas that came
	out   uint32 // stanzas that the server has acknowledged
	queue []outgoing
}

type outgoing struct {
	text string
	note any
}

// NewSession does not connect yet.
func NewSession(cfg Config, acked func(note any)) *Session {
	return &Session{cfg: cfg, Acked: acked}
}

// Connect resumes, or begins when there is nothing to resume. When the server
// refuses to resume, a new session is begun, ErrNotResumed returned, and lost
// has the notes of what was never acknowledged: the client cannot know whether
// those arrived.
func (s *Session) Connect(ctx context.Context) (lost []any, err error) {
	s.mu.Lock()
	cfg := s.cfg
	s.mu.Unlock()
	c, err := Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id != "" {
		lost, err = s.resume(c)
		if err == nil || !errors.Is(err, ErrNotResumed) {
			return nil, err
		}
	}
	if err2 := s.begin(c); err2 != nil {
		c.Cut()
		return lost, err2
	}
	return lost, err
}

func (s *Session) begin(c *Conn) error {
	s.id, s.in, s.out = "", 0, 0
	if err := c.Bind(); err != nil {
		return err
	}
	if err := c.Write("<enable xmlns='" + nsSM + "' resume='true'/>"); err != nil {
		return err
	}
	e, err := c.expect(nsSM, "enabled")
	if err != nil {
		return err
	}
	s.id, s.conn = e.Attr("id"), c
	return s.flush()
}

// flush writes what waits: what was sent while there was no connection, and,
// after a resumption, what the server has not handled.
func (s *Session) flush() error {
	for _, o := range s.queue {
		if err := s.conn.Write(o.text); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) resume(c *Conn) (lost []any, err error) {
	err = c.Write("<resume xmlns='" + nsSM + "' previd='" + escape(s.id) + "' h='" + utoa(s.in) + "'/>")
	if err != nil {
		c.Cut()
		return nil, err
	}
	e, err := c.Read()
	if err != nil {
		c.Cut()
		return nil, err
	}
	switch {
	case e.Is(nsSM, "resumed"):
		if err := s.ack(e.Attr("h")); err != nil {
			c.Cut()
			return nil, err
		}
		s.conn = c
		if err := s.flush(); err != nil {
			return nil, err
		}
		return nil, s.request()
	case e.Is(nsSM, "failed"):
		if h := e.Attr("h"); h != "" {
			if err := s.ack(h); err != nil {
				c.Cut()
				return nil, err
			}
		}
		for _, o := range s.queue {
			lost = append(lost, o.note)
		}
		s.queue, s.id = nil, ""
		return lost, fmt.Errorf("%w: %s", ErrNotResumed, e)
	}
	c.Cut()
	return nil, fmt.Errorf("resume: %s", e)
}

// Move changes where the next Connect goes: a restarted server may have another
// address.
func (s *Session) Move(cfg Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = cfg
}

// Online tells whether there is a connection.
func (s *Session) Online() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil
}

// Send queues a stanza and writes it if there is a connection; note comes back
// through Acked. An error of the connection is left to the reader to find.
func (s *Session) Send(stanza string, note any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, outgoing{stanza, note})
	if s.conn != nil {
		s.conn.Write(stanza)
	}
}

// Request asks the server for an acknowledgement.
func (s *Session) Request() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.request()
	}
}

func (s *Session) request() error { return s.conn.Write("<r xmlns='" + nsSM + "'/>") }

// Waiting is how many stanzas are not acknowledged.
func (s *Session) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// Read returns the next stanza. On an error the connection is gone, and
// Connect is due.
func (s *Session) Read() (*Element, error) {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if c == nil {
		return nil, errors.New("not connected")
	}
	for {
		e, err := c.Read()
		if err == nil && e.XMLName.Space == nsSM {
			err = s.management(c, e)
			e = nil
		}
		if err != nil {
			c.Cut()
			s.mu.Lock()
			s.conn = nil
			s.mu.Unlock()
			return nil, err
		}
		if e != nil {
			s.mu.Lock()
			s.in++
			s.mu.Unlock()
			return e, nil
		}
	}
}

func (s *Session) management(c *Conn, e *Element) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.XMLName.Local {
	case "r":
		return c.Write("<a xmlns='" + nsSM + "' h='" + utoa(s.in) + "'/>")
	case "a":
		return s.ack(e.Attr("h"))
	}
	return fmt.Errorf("unexpected %s", e)
}

// ack takes the server's count; mu is held.
func (s *Session) ack(text string) error {
	h, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fmt.Errorf("acknowledgement %q: %w", text, err)
	}
	n := int32(uint32(h) - s.out)
	if n < 0 || int(n) > len(s.queue) {
		return fmt.Errorf("the server acknowledges %d stanzas; %d were acknowledged and %d sent since", h, s.out, len(s.queue))
	}
	for _, o := range s.queue[:n] {
		s.Acked(o.note)
	}
	s.queue = append([]outgoing(nil), s.queue[n:]...)
	s.out = uint32(h)
	return nil
}

// Cut drops the connection without a word.
func (s *Session) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.Cut()
	}
}

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
