package transcript

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"chancery/test/node"
)

// clients logs everybody in, with presence; what comes of that is nobody's business. Accounts are made where needed.
func (r *run) clients(arg string) error {
	for name := range strings.FieldsSeq(arg) {
		p := r.party(name)
		if err := r.login(p, node.Login{}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.conn.Send("<presence/>")
		r.node.Quiet()
	}
	r.skipAll()
	return nil
}

// accounts makes accounts that nobody is logged in to.
func (r *run) accounts(arg string) error {
	for name := range strings.FieldsSeq(arg) {
		p := party{user: name, domain: node.Domain}
		if local, domain, ok := strings.Cut(name, "@"); ok {
			p.user, p.domain = local, domain
		}
		if err := r.node.Account(p.bare()); err != nil {
			return err
		}
	}
	return nil
}

// interested is clients who have asked for their contact list too (RFC 6121 §2.2), so that they get pushes.
func (r *run) interested(arg string) error {
	for name := range strings.FieldsSeq(arg) {
		p := r.party(name)
		if err := r.login(p, node.Login{}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.conn.Send("<iq type='get' id='interest'><query xmlns='jabber:iq:roster'/></iq>")
		r.node.Quiet()
		p.conn.Send("<presence/>")
		r.node.Quiet()
	}
	r.skipAll()
	return nil
}

// friends subscribes each of the named accounts to every other (RFC 6121 §3). It comes before clients.
func (r *run) friends(arg string) error {
	names := strings.Fields(arg)
	for i, a := range names {
		for _, b := range names[i+1:] {
			if err := r.relate(a, b, "both"); err != nil {
				return err
			}
		}
	}
	return nil
}

// relation: relation romeo juliet STATE, one of RFC 6121 Appendix A as romeo sees it. It comes before clients.
func (r *run) relation(arg string) error {
	f := strings.Fields(arg)
	if len(f) != 3 {
		return errors.New("relation ONE OTHER STATE")
	}
	return r.relate(f[0], f[1], f[2])
}

// ways leads from nothing to each state of RFC 6121 Appendix A.1; '>' is what the one sends, '<' the other.
var ways = map[string][]string{
	"none":     {},
	"out":      {">subscribe"},
	"in":       {"<subscribe"},
	"out+in":   {">subscribe", "<subscribe"},
	"to":       {">subscribe", "<subscribed"},
	"to+in":    {">subscribe", "<subscribed", "<subscribe"},
	"from":     {"<subscribe", ">subscribed"},
	"from+out": {"<subscribe", ">subscribed", ">subscribe"},
	"both":     {">subscribe", "<subscribed", "<subscribe", ">subscribed"},
}

// relate goes the way with two sessions that are gone afterwards.
func (r *run) relate(one, other, state string) error {
	way, ok := ways[state]
	if !ok {
		return fmt.Errorf("%q is no state of RFC 6121 Appendix A", state)
	}
	a, err := r.helper(one)
	if err != nil {
		return err
	}
	defer a.conn.Close()
	b, err := r.helper(other)
	if err != nil {
		return err
	}
	defer b.conn.Close()
	for _, step := range way {
		from, to := a, b
		if step[0] == '<' {
			from, to = b, a
		}
		from.conn.Send(fmt.Sprintf("<presence to='%s' type='%s'/>", to.bare(), step[1:]))
		r.node.Quiet()
	}
	for _, p := range []*party{a, b} {
		p.conn.Send("</stream:stream>")
		r.node.Quiet()
	}
	return nil
}

// helper is a session that no script sees.
func (r *run) helper(name string) (*party, error) {
	local, domain, ok := strings.Cut(name, "@")
	if !ok {
		domain = node.Domain
	}
	p := &party{name: name + "/helper", user: local, domain: domain, resource: "helper"}
	if err := r.login(p, node.Login{}); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// login takes a new connection to a bound resource, or as far as the options say.
func (r *run) login(p *party, how node.Login) error {
	r.node.Journal.Hush()
	err := r.authenticate(p, how)
	if err == nil {
		err = r.bind(p)
	}
	r.node.Journal.Speak()
	if err == nil {
		r.node.Journal.Add(p.name, "·", "logs in")
	}
	return err
}

func (r *run) authenticate(p *party, how node.Login) error {
	if how.User == "" {
		how.User = p.user
		if err := r.node.Account(p.bare()); err != nil {
			return err
		}
	}
	if p.conn == nil || p.over {
		if err := r.connectsTLS(p, ""); err != nil {
			return err
		}
		if err := r.opens(p, ""); err != nil {
			return err
		}
	}
	return r.node.Authenticate(p.conn, p.domain, how)
}

func (r *run) bind(p *party) error {
	full, err := r.node.Bind(p.conn, p.resource)
	if err != nil {
		return err
	}
	_, p.resource, _ = strings.Cut(full, "/")
	return nil
}

// connect replaces the party's connection by a new one.
func (r *run) connect(p *party, conn *node.Conn) error {
	if p.conn != nil {
		p.conn.Close()
	}
	p.conn, p.over = conn, false
	r.node.Quiet()
	return nil
}

// connects opens a connection: X connects [from ADDRESS].
func (r *run) connects(p *party, arg string) error {
	return r.dial(p, node.Both, arg)
}

// connectsStrictly does so at the door that takes TLS only, without TLS.
func (r *run) connectsStrictly(p *party, arg string) error {
	return r.dial(p, node.Strict, arg)
}

func (r *run) dial(p *party, door, arg string) error {
	address, _ := strings.CutPrefix(arg, "from ")
	c, err := r.node.Dial(p.name, door, address)
	if err != nil {
		return err
	}
	return r.connect(p, c)
}

// connectsTLS is direct TLS (XEP-0368).
func (r *run) connectsTLS(p *party, arg string) error {
	address, _ := strings.CutPrefix(arg, "from ")
	c, err := r.node.DialTLS(p.name, node.Both, address, p.domain)
	if err != nil {
		return err
	}
	return r.connect(p, c)
}

// startsTLS: <starttls/>, <proceed/>, and the handshake (RFC 6120 §5.4); with 'now' only the handshake. The server's
// certificate is verified.
func (r *run) startsTLS(p *party, arg string) error {
	if arg != "now" {
		p.conn.Send("<starttls xmlns='" + node.NSTLS + "'/>")
		if err := r.gets(p, "<proceed xmlns='"+node.NSTLS+"'/>", 0); err != nil {
			return err
		}
	}
	conf := r.node.TLS(p.domain)
	if arg == "at 1.2" {
		conf.MaxVersion = tls.VersionTLS12
	}
	return p.conn.TLS(conf)
}

// failsTLS: the handshake does not succeed.
func (r *run) failsTLS(p *party, arg string) error {
	conf := r.node.TLS(p.domain)
	switch arg {
	case "at 1.1":
		conf.MinVersion, conf.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	case "":
	default:
		conf.ServerName = arg
	}
	if err := p.conn.TLS(conf); err == nil {
		return errors.New("    the handshake succeeded")
	}
	r.skip(p)
	p.over = true
	return nil
}

// opens sends a stream header, and takes the answer and the features.
func (r *run) opens(p *party, arg string) error {
	domain := p.domain
	if arg != "" {
		domain = arg
	}
	p.conn.Send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='" + node.NSStream + "' to='" + domain + "' version='1.0'>")
	return r.gets(p, "<stream:stream from='"+domain+"' id='{any}' version='1.0' xml:lang='{maybe}' to='{maybe}'><stream:features>{more}</stream:features>", exactly)
}

// authenticates: X authenticates [as USER] [with MECHANISM] [password PASSWORD]. Where X is not connected it connects
// with TLS. Ends before resource binding.
func (r *run) authenticates(p *party, arg string) error {
	var how node.Login
	words := strings.Fields(arg)
	for i := 0; i+1 < len(words); i += 2 {
		switch words[i] {
		case "as":
			how.User, p.user = words[i+1], words[i+1]
			if err := r.node.Account(p.bare()); err != nil {
				return err
			}
		case "with":
			how.Mechanism = words[i+1]
		case "password":
			how.Password = words[i+1]
		default:
			return fmt.Errorf("authenticates … %s?", words[i])
		}
	}
	return r.authenticate(p, how)
}

// binds the resource of the party's name.
func (r *run) binds(p *party, _ string) error { return r.bind(p) }

// logsIn is authenticates and binds; no presence.
func (r *run) logsIn(p *party, _ string) error {
	return r.login(p, node.Login{})
}

// resumes takes up the session of XEP-0198 on a new connection; the script must have seen <enabled/> with id='{sm}' or
// say 'resumes ID'. What the server sends again is for the script to get.
func (r *run) resumes(p *party, arg string) error {
	id := arg
	if id == "" {
		id = "{sm}"
	}
	id, err := r.fill(p, id)
	if err != nil {
		return err
	}
	handled := p.conn.Handled()
	p.conn.Close()
	p.over = true
	if err := r.authenticate(p, node.Login{}); err != nil {
		return err
	}
	p.conn.SetHandled(handled)
	p.conn.Send(fmt.Sprintf("<resume xmlns='%s' h='%d' previd='%s'/>", node.NSSM, handled, id))
	return r.gets(p, "<resumed xmlns='"+node.NSSM+"' h='{any}' previd='{any}'/>", exactly)
}

// disconnects: the connection breaks, and the server is told by the network.
func (r *run) disconnects(p *party, _ string) error {
	if err := r.nothing(p); err != nil {
		return fmt.Errorf("there was something to read before that\n%w", err)
	}
	p.conn.Cut()
	p.over = true
	return nil
}

// closes: the stream is closed, and the server closes it too (RFC 6120 §4.4).
func (r *run) closes(p *party, _ string) error {
	p.conn.Send("</stream:stream>")
	return r.isClosed(p, "")
}

// vanishes: nothing comes or goes any more, and nobody knows.
func (r *run) vanishes(p *party, _ string) error {
	p.conn.Vanish()
	p.over = true
	return nil
}

// scramFirst begins a conversation: USER [GS2 header].
func (r *run) scramFirst(p *party, arg string) (string, error) {
	user, gs2, _ := strings.Cut(arg, " ")
	mechanism, gs2, ok := strings.Cut(gs2, " ")
	if !ok {
		gs2 = "n,,"
	}
	h, err := node.ScramHash(mechanism)
	if err != nil {
		return "", err
	}
	p.scram = &node.Scram{Hash: h, User: user, GS2: gs2, Nonce: "a-nonce-of-the-script"}
	return encode(p.scram.First()), nil
}

// scramFinal answers the challenge that the script remembered as {challenge}.
func (r *run) scramFinal(p *party, password string) (string, error) {
	if p.scram == nil {
		return "", errors.New("{scram-final} without {scram-first}")
	}
	first, err := decode(r.values["challenge"])
	if err != nil {
		return "", err
	}
	p.scram.Password = password
	final, err := p.scram.Final(first)
	return encode(final), err
}
