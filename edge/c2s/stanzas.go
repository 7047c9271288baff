package c2s

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"runtime/debug"
	"strconv"
	"time"

	"chancery/core/session"
	"chancery/edge/listen"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// stanzas reads until the connection ends.
func (c *conn) stanzas(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			c.log().Error("a connection ended by a defect of this program", "who", c.sess.JID.String(), "panic", p, "stack", string(debug.Stack()))
			c.sess.Fail(c, stream.Fail(stream.InternalServerError, ""))
			<-c.ended
		}
	}()
	c.door.NoWait()
	r := reader{conn: c, pace: pace{}}
	err := r.run(ctx)
	var e *stream.Error
	switch {
	case errors.Is(err, errOrderly):
		c.sess.Drain() // what came before the closing tag is answered before ours (RFC 6120 §4.4)
		c.sess.Close(c)
		<-c.ended
	case errors.As(err, &e):
		c.sess.Fail(c, e)
		<-c.ended
	case errors.Is(err, errLeft):
		<-c.ended
	default:
		c.sess.Lost(c)
	}
	c.hangUp(errClosed)
}

// errLeft says that the session has ended or goes on elsewhere; somebody sees to
// the end of the connection.
var errLeft = errors.New("the session has left the connection")

// reader is the part of a connection that only its reading goroutine knows.
type reader struct {
	*conn
	pace
	cache stanza.Cache
}

// run handles one element after the other.
func (r *reader) run(ctx context.Context) error {
	for {
		ev, err := r.dec.Next()
		switch {
		case err == elem.ErrMore:
			if err := r.more(); err != nil {
				return err
			}
			continue
		case err != nil:
			return streamError(err)
		}
		switch ev {
		case elem.StreamClose:
			return errOrderly
		case elem.StreamOpen:
			return stream.Fail(stream.NotWellFormed, "a stream header inside a stream")
		}
		r.begun = time.Time{} // what follows has its own time
		if err := r.element(ctx, r.dec.Element()); err != nil {
			return err
		}
	}
}

// pace is how long the client may take.
type pace struct {
	due    time.Time // the deadline as set last
	begun  time.Time // of a stanza that is not complete; zero when there is none
	pinged bool
}

// more waits for bytes. Between stanzas an idle client costs no buffer.
func (r *reader) more() error {
	for {
		err := r.read()
		switch {
		case err == nil:
			r.pinged = false
			return nil
		case err != listen.ErrNoData:
			return r.timeout(err)
		}
		r.arm()
		if err := r.door.Wait(); err != nil {
			if err := r.timeout(err); err != nil {
				return err
			}
		}
	}
}

// arm sets the deadline: for the rest of a stanza that has begun, for the answer
// to a ping, or for the next sign of life.
func (r *reader) arm() {
	set := &r.srv.Settings.Load().C2S
	now := time.Now()
	if r.dec.Partial() {
		if r.begun.IsZero() {
			r.begun = now
		}
		r.until(r.begun.Add(set.StanzaTime), 0)
		return
	}
	r.begun = time.Time{}
	r.dec.Release()
	switch {
	case r.pinged:
	case set.PingAfter == 0:
		r.until(now.Add(24*time.Hour), time.Hour)
	default:
		r.until(now.Add(set.PingAfter), set.PingAfter/8)
	}
}

// until moves the deadline, unless it is as good as it was: a timer costs more
// than a comparison.
func (r *reader) until(t time.Time, slack time.Duration) {
	if d := t.Sub(r.due); d < 0 || d > slack {
		r.due = t
		r.setDeadline(t)
	}
}

// timeout pings a silent client, and gives up on one that is silent after that.
// Any other error is the end of the connection.
func (r *reader) timeout(err error) error {
	var t net.Error
	if !errors.As(err, &t) || !t.Timeout() || r.ending.Load() {
		return readError(err)
	}
	switch {
	case r.dec.Partial():
		return stream.Fail(stream.PolicyViolation, "a stanza has to be complete in "+r.srv.Settings.Load().C2S.StanzaTime.String())
	case r.pinged:
		r.log().Debug("client is silent", "who", r.sess.JID.String())
		return stream.Fail(stream.ConnectionTimeout, "no answer to a ping")
	}
	r.pinged = true
	set := &r.srv.Settings.Load().C2S
	ping := stanza.New(stanza.IQ, "get", elem.New("urn:xmpp:ping", "ping"))
	ping.ID, ping.From, ping.To = "ping-"+rand.Text()[:8], r.domain, r.sess.JID
	r.sess.Send(ping)
	r.until(time.Now().Add(set.PingTimeout), 0)
	return nil
}

// element handles what stands at the top level of a stream.
func (r *reader) element(ctx context.Context, e *elem.Element) error {
	switch e.Name.Space {
	case stanza.NSClient:
		return r.stanza(ctx, e)
	case stream.NSSM:
		return r.management(ctx, e)
	case stream.NSCSI:
		switch e.Name.Local {
		case "active", "inactive":
			r.sess.SetActive(e.Name.Local == "active")
			return nil
		}
	case stream.NS:
		if e.Name.Local == "error" { // RFC 6120 §4.9.1.1: the stream is over for the client
			return errOrderly
		}
	case stream.NSSASL, stream.NSTLS:
		return stream.Fail(stream.NotAuthorized, "that has been negotiated")
	}
	return stream.Fail(stream.UnsupportedStanzaType, "")
}

// stanza checks who speaks, and hands it to the router (RFC 6120 §8.1).
func (r *reader) stanza(ctx context.Context, e *elem.Element) error {
	st, err := stanza.FromElement(e, &r.cache)
	if errors.Is(err, stanza.ErrKind) {
		return stream.Fail(stream.UnsupportedStanzaType, "")
	}
	if _, claimed := e.Attr("from"); claimed && st.From != r.sess.JID && st.From != r.sess.JID.Bare() {
		return stream.Fail(stream.InvalidFrom, "that is not who you are")
	}
	st.From = r.sess.JID
	if st.Lang == "" { // RFC 6120 §8.1.5
		st.Lang = r.lang
	}
	if alone := err != nil || st.Kind != stanza.Message; !r.sess.Take(r.conn, st, alone) {
		return errLeft
	}
	switch {
	case err != nil:
		r.malformed(st)
	case st.Kind == stanza.IQ && st.Type == "set" && st.Has(stream.NSSession, "session") && (st.To.IsZero() || st.To == r.domain):
		r.established(st)
	default:
		r.srv.Router.Handle(ctx, r.sess, st)
	}
	return nil
}

// malformed answers a stanza whose 'to' is no address (RFC 6120 §8.3.3.8). The
// address cannot be given back.
func (r *reader) malformed(st *stanza.Stanza) {
	defer r.sess.Done(false)
	if st.Type == "error" || st.Type == "result" {
		return
	}
	st.To = jid.JID{}
	answer := st.Bounce(stanza.Refuse(stanza.JIDMalformed, ""))
	answer.From = r.domain
	r.sess.Send(answer)
}

// established is the answer to RFC 3921's session, which old clients ask for.
func (r *reader) established(st *stanza.Stanza) {
	defer r.sess.Done(false)
	r.sess.Send(st.Result())
}

// management is XEP-0198 after binding.
func (r *reader) management(ctx context.Context, e *elem.Element) error {
	switch e.Name.Local {
	case "r":
		r.sess.AckRequested()
	case "a":
		text, _ := e.Attr("h")
		h, err := strconv.ParseUint(string(text), 10, 32)
		if err != nil {
			return stream.Fail(stream.BadFormat, "an acknowledgement needs a number h")
		}
		if e := r.sess.Ack(uint32(h)); e != nil {
			return e
		}
	case "enable":
		return r.enable(ctx, e)
	case "resume":
		r.sess.Control(unexpected())
	default:
		return stream.Fail(stream.UnsupportedStanzaType, "")
	}
	return nil
}

func (r *reader) enable(ctx context.Context, e *elem.Element) error {
	if r.sess.Managed() {
		r.sess.Control(unexpected())
		return nil
	}
	resume, _ := e.Attr("resume")
	r.sess.Drain()
	switch err := r.sess.Enable(ctx, string(resume) == "true" || string(resume) == "1"); {
	case errors.Is(err, session.ErrGone):
		return errLeft
	case err != nil:
		r.log().Error("a session cannot be made resumable", "who", r.sess.JID.String(), "err", err)
		r.sess.Control(failed(stanza.InternalServerError))
		return nil
	}
	if id := r.sess.ResumeID(); id != "" {
		r.srv.Online.Resumable(id, r.sess)
	}
	return nil
}
