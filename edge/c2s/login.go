package c2s

import (
	"context"
	"errors"
	"time"

	"chancery/core/account"
	"chancery/core/settings"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/sasl"
	"chancery/xmpp/stream"
)

// How often a client may fail on one stream: with a wrong password, and with
// messages that never came to a password. A client that knows only a channel
// binding we cannot give tries one mechanism after the other.
const maxGuesses, maxFailures = 4, 12

// attempts is the SASL side of one stream (RFC 6120 §6).
type attempts struct {
	c               *conn
	set             *settings.Settings
	offer           sasl.Offer
	now             *sasl.Server // nil between attempts
	looked          bool         // this attempt came to keys or a password
	guesses, failed int
}

// take handles <auth/>, <response/> or <abort/>. done means that the client is
// who it says.
func (a *attempts) take(ctx context.Context, e *elem.Element) (done bool, err error) {
	var answer []byte
	var failure *sasl.Failure
	switch e.Name.Local {
	case "auth":
		mechanism, _ := e.Attr("mechanism")
		answer, done, failure = a.start(ctx, string(mechanism), text(e))
	case "response":
		answer, done, failure = a.respond(ctx, text(e))
	default:
		failure = a.abort()
	}
	if failure != nil {
		return false, a.fail(failure)
	}
	if !done {
		return false, a.c.say(elem.New(stream.NSSASL, "challenge").SetText(sasl.Encode(answer)))
	}
	return true, a.succeed(answer)
}

func text(e *elem.Element) string {
	n, err := elem.Parse(append(append([]byte("<x xmlns='x'>"), e.Inner...), "</x>"...), "")
	if err != nil {
		return "!" // not base64
	}
	return n.Text
}

func (a *attempts) start(ctx context.Context, mechanism, initial string) ([]byte, bool, *sasl.Failure) {
	if a.now != nil {
		return nil, false, &sasl.Failure{Condition: sasl.MalformedRequest, Text: "authentication has begun already"}
	}
	a.now, a.looked = a.server(), false
	msg, failure := sasl.Decode(initial, true)
	if failure != nil {
		return nil, false, failure
	}
	return a.now.Start(ctx, mechanism, msg)
}

func (a *attempts) respond(ctx context.Context, response string) ([]byte, bool, *sasl.Failure) {
	if a.now == nil {
		return nil, false, &sasl.Failure{Condition: sasl.MalformedRequest, Text: "nothing was asked"}
	}
	msg, failure := sasl.Decode(response, false)
	if failure != nil {
		return nil, false, failure
	}
	return a.now.Next(ctx, msg)
}

func (a *attempts) abort() *sasl.Failure {
	if a.now == nil {
		return &sasl.Failure{Condition: sasl.Aborted}
	}
	return a.now.Abort()
}

// server is one exchange. Keys and passwords are looked at only after the wait
// that earlier failures have earned.
func (a *attempts) server() *sasl.Server {
	s := a.c.srv
	return &sasl.Server{
		Domain: a.c.domain.Domain(), Offer: a.offer, Bindings: a.c.facts.Bindings,
		Lookup: func(ctx context.Context, user jid.JID, h sasl.Hash) (sasl.Keys, error) {
			if err := a.wait(ctx, user); err != nil {
				return sasl.Keys{}, err
			}
			return s.Accounts.Keys(ctx, user, h)
		},
		CheckPassword: func(ctx context.Context, user jid.JID, password string) (bool, error) {
			if err := a.wait(ctx, user); err != nil {
				return false, err
			}
			_, err := s.Accounts.CheckPassword(ctx, user, password)
			if errors.Is(err, account.ErrDenied) {
				return false, nil
			}
			return err == nil, err
		},
		External: func(ctx context.Context, authzid jid.JID) (jid.JID, error) {
			if err := a.wait(ctx, authzid); err != nil {
				return jid.JID{}, err
			}
			return s.External(ctx, a.c.tls.ConnectionState().PeerCertificates, authzid)
		},
	}
}

// patience is the longest wait for which a connection is held.
const patience = 5 * time.Second

// wait holds an attempt back. One that would have to wait for long is turned
// away at once, with words that say nothing about the password.
func (a *attempts) wait(ctx context.Context, user jid.JID) error {
	a.looked = true
	d := a.c.srv.Throttle.Wait(user, a.c.door.Remote().Addr())
	if d <= 0 {
		return nil
	}
	if d > patience {
		return tooMany()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func tooMany() *sasl.Failure {
	return &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "too many failed attempts; try again later"}
}

func (a *attempts) succeed(extra []byte) error {
	c := a.c
	c.user = a.now.User()
	c.how = login{a.now.Mechanism(), a.now.Binding()}
	c.facts.Bindings = nil // not needed any more
	c.srv.Throttle.Succeeded(c.user, c.door.Remote().Addr())
	c.srv.Count.Logins.Add(1)
	n := elem.New(stream.NSSASL, "success")
	if extra != nil {
		n.SetText(sasl.Encode(extra))
	}
	return c.say(n)
}

// fail answers <failure/>; after too many of them the stream ends.
func (a *attempts) fail(f *sasl.Failure) error {
	c := a.c
	user, mechanism := jid.JID{}, ""
	if a.now != nil {
		user, mechanism = a.now.User(), a.now.Mechanism()
	}
	a.now = nil
	if f.Cause != nil {
		c.log().Error("authentication could not be decided", "who", user.String(), "err", f.Cause)
	}
	if f.Condition == sasl.NotAuthorized && a.looked {
		a.guesses++
		c.srv.Throttle.Failed(user, c.door.Remote().Addr())
	}
	if f.Condition != sasl.Aborted && a.looked {
		c.srv.Count.Failures.Add(1)
		c.srv.LoginFailed(user, c.door.Remote().Addr(), mechanism, f.Condition)
	}
	n := elem.New(stream.NSSASL, "failure").Add(elem.New(stream.NSSASL, f.Condition))
	if f.Text != "" {
		n.Add(elem.New(stream.NSSASL, "text").With("xml:lang", "en").SetText(f.Text))
	}
	if err := c.say(n); err != nil {
		return err
	}
	if a.failed++; a.guesses >= maxGuesses || a.failed >= maxFailures {
		return stream.Fail(stream.PolicyViolation, "too many failed attempts")
	}
	return nil
}
