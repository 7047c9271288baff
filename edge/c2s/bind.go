package c2s

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// bind gives the client a session: a new resource (RFC 6120 §7), or the one it
// had (XEP-0198 resumption).
func (c *conn) bind(ctx context.Context, set *settings.Settings) error {
	who, err := c.srv.Accounts.Find(ctx, c.user)
	if err != nil || who.Disabled {
		return stream.Fail(stream.NotAuthorized, "the account is gone")
	}
	if err := c.offer(c.late(set)...); err != nil {
		return err
	}
	if set.C2S.SeeOtherHost != "" { // RFC 6120 §4.9.3.19, after authentication so that the client knows who says it
		return &stream.Error{Condition: stream.SeeOtherHost, Content: set.C2S.SeeOtherHost}
	}
	for c.sess == nil {
		ev, err := c.next()
		if err != nil {
			return err
		}
		if ev == elem.StreamClose {
			return errOrderly
		}
		e := c.dec.Element()
		switch e.Name {
		case elem.N(stanza.NSClient, "iq"):
			err = c.bindRequest(set, e, who)
		case elem.N(stream.NSSM, "resume"):
			err = c.resume(ctx, e)
		case elem.N(stream.NSSM, "enable"):
			err = c.say(unexpected())
		default:
			return stream.Fail(stream.NotAuthorized, "bind a resource first")
		}
		if err != nil {
			return err
		}
	}
	c.srv.Accounts.Seen(who.ID, c.sess.Since)
	return nil
}

// late lists the features after authentication.
func (c *conn) late(set *settings.Settings) []*elem.Node {
	return append([]*elem.Node{
		elem.New(stream.NSBind, "bind"),
		elem.New(stream.NSSession, "session").Add(elem.New(stream.NSSession, "optional")),
		elem.New(stream.NSSM, "sm"),
		elem.New(stream.NSCSI, "csi"),
	}, c.srv.Features(set, true)...)
}

// bindRequest answers an iq before there is a resource: only a bind is possible.
func (c *conn) bindRequest(set *settings.Settings, e *elem.Element, who account.Account) error {
	st, err := stanza.FromElement(e, &stanza.Cache{})
	if err != nil {
		return stream.Fail(stream.NotAuthorized, "bind a resource first")
	}
	request := st.Find(stream.NSBind, "bind")
	if st.Type != "set" || request == nil || len(st.Parts) != 1 {
		return stream.Fail(stream.NotAuthorized, "bind a resource first")
	}
	wanted := ""
	if r := request.Child(stream.NSBind, "resource"); r != nil {
		wanted = r.Text
	}
	s, err := c.enter(set, who, wanted)
	var refusal *stanza.Error
	if errors.As(err, &refusal) {
		refused := st.Bounce(refusal)
		refused.To = jid.JID{}
		_, err = c.Write(refused.Append(nil, ""))
		return err
	}
	if err != nil {
		return err
	}
	result := stanza.New(stanza.IQ, "result", elem.New(stream.NSBind, "bind").Add(elem.New(stream.NSBind, "jid").SetText(s.JID.String())))
	result.ID = st.ID
	if !s.Attach(c, result) {
		return stream.Fail(stream.Conflict, "the session was ended before it began")
	}
	c.sess = s
	return nil
}

// enter makes the session and puts it into the table (RFC 6120 §7.6, §7.7).
func (c *conn) enter(set *settings.Settings, who account.Account, wanted string) (*session.Session, error) {
	made := wanted == ""
	for {
		if made {
			wanted = rand.Text()[:16]
		}
		full, err := c.user.WithResource(wanted)
		if err != nil || !full.IsFull() {
			return nil, stanza.Refuse(stanza.BadRequest, "that is not a resource")
		}
		s := session.New(c.srv.Sessions, c.name, full, who.ID, nil, c.sessionFacts())
		replaced, err := c.srv.Online.Bind(s, online.Policy{Conflict: set.C2S.Conflict, Max: set.C2S.MaxResources})
		switch {
		case errors.Is(err, online.ErrTooMany):
			return nil, stanza.Wait(stanza.ResourceConstraint, "the account has "+strconv.Itoa(set.C2S.MaxResources)+" sessions already")
		case errors.Is(err, online.ErrConflict) && (made || set.C2S.Conflict == "rename"):
			made = true
			continue
		case err != nil:
			return nil, stanza.Refuse(stanza.Conflict, "the resource is in use")
		}
		if replaced != nil {
			replaced.EndNow(stream.Fail(stream.Conflict, "another client has bound this resource"))
		}
		return s, nil
	}
}

func (c *conn) sessionFacts() session.Facts {
	return session.Facts{
		Remote: c.door.Remote().String(), TLS: c.facts.Version, Group: c.facts.Group,
		Mechanism: c.how.mechanism, Binding: c.how.binding, Via: c.door.Via(),
	}
}

// resume moves an earlier session to this connection. The answer for somebody
// else's session, or none, is the same.
func (c *conn) resume(ctx context.Context, e *elem.Element) error {
	previd, _ := e.Attr("previd")
	text, _ := e.Attr("h")
	h, err := strconv.ParseUint(string(text), 10, 32)
	if err != nil {
		return c.say(failed(stanza.BadRequest))
	}
	s := c.srv.Online.Resume(string(previd), c.user)
	if s == nil {
		return c.say(failed(stanza.ItemNotFound))
	}
	var fatal *stream.Error
	revived, err := s.Resume(c, c.sessionFacts(), uint32(h))
	switch {
	case errors.As(err, &fatal):
		return fatal
	case err != nil:
		return c.say(failed(stanza.ItemNotFound))
	}
	c.srv.Count.Resumed.Add(1)
	c.sess = s
	c.log().Debug("session resumed", "who", s.JID.String(), "session", s.ID)
	if revived && c.srv.Revived != nil {
		c.srv.Revived(ctx, s)
	}
	return nil
}

func failed(condition string) *elem.Node {
	return elem.New(stream.NSSM, "failed").Add(elem.New(stanza.NSErrors, condition))
}

func unexpected() *elem.Node { return failed(stanza.UnexpectedRequest) }
