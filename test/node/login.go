package node

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Login says how to authenticate.
type Login struct {
	User      string // local part
	Password  string // "" for the one the node gave the account
	Mechanism string // "" for SCRAM-SHA-256-PLUS inside TLS, SCRAM-SHA-256 outside
}

// Authenticate does SASL (RFC 6120 §6) on a stream whose features have been read, and opens the stream anew.
func (n *Node) Authenticate(c *Conn, domain string, how Login) error {
	if how.Password == "" {
		how.Password = Password(how.User)
	}
	state := c.State()
	if how.Mechanism == "" {
		how.Mechanism = "SCRAM-SHA-256"
		if state != nil {
			how.Mechanism += "-PLUS"
		}
	}
	if how.Mechanism == "PLAIN" {
		c.Send(auth("PLAIN", "\x00"+how.User+"\x00"+how.Password))
	} else if err := n.scram(c, how, state); err != nil {
		return err
	}
	if _, err := n.expect(c, NSSASL, "success"); err != nil {
		return err
	}
	c.Send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='" + NSStream + "' to='" + domain + "' version='1.0'>")
	n.Quiet()
	if e, ok := c.Pop(); !ok || e.Kind != Header {
		return fmt.Errorf("no stream header after authentication, but %v", e)
	}
	_, err := n.expect(c, NSStream, "features")
	return err
}

func auth(mechanism, initial string) string {
	return fmt.Sprintf("<auth xmlns='%s' mechanism='%s'>%s</auth>", NSSASL, mechanism, base64.StdEncoding.EncodeToString([]byte(initial)))
}

// scram sends and answers all but the <success/>, whose signature is checked before it is put back.
func (n *Node) scram(c *Conn, how Login, state *tls.ConnectionState) error {
	h, err := ScramHash(how.Mechanism)
	if err != nil {
		return err
	}
	s := &Scram{Hash: h, User: how.User, Password: how.Password, GS2: "n,,", Nonce: "nonce-of-a-client-in-a-test", salted: n.salts.salted(h)}
	if strings.HasSuffix(how.Mechanism, "-PLUS") {
		if state == nil {
			return errors.New("no channel binding without TLS")
		}
		s.GS2 = "p=tls-exporter,,"
		if s.Binding, err = state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err != nil {
			return err
		}
	}
	c.Send(auth(how.Mechanism, s.First()))
	challenge, err := n.expect(c, NSSASL, "challenge")
	if err != nil {
		return err
	}
	first, err := base64.StdEncoding.DecodeString(challenge.Text())
	if err != nil {
		return err
	}
	final, err := s.Final(string(first))
	if err != nil {
		return err
	}
	c.Send("<response xmlns='" + NSSASL + "'>" + base64.StdEncoding.EncodeToString([]byte(final)) + "</response>")
	n.Quiet()
	if e, ok := c.Peek(); ok && e.Kind == Stanza && e.Elem.Is(NSSASL, "success") {
		last, err := base64.StdEncoding.DecodeString(e.Elem.Text())
		if err != nil {
			return err
		}
		return s.Check(string(last))
	}
	return nil
}

// expect takes the next event, which must be that element.
func (n *Node) expect(c *Conn, space, local string) (*Element, error) {
	n.Quiet()
	e, ok := c.Pop()
	if !ok {
		return nil, fmt.Errorf("nothing came, wanted <%s/>", local)
	}
	if e.Kind != Stanza || !e.Elem.Is(space, local) {
		return nil, fmt.Errorf("%s came, wanted <%s xmlns='%s'/>", e, local, space)
	}
	return e.Elem, nil
}

// Bind binds a resource (RFC 6120 §7), one of the server's making when resource is "", and returns the full address.
func (n *Node) Bind(c *Conn, resource string) (string, error) {
	inner := ""
	if resource != "" {
		inner = "<resource>" + textEscaper.Replace(resource) + "</resource>"
	}
	c.Send("<iq type='set' id='bind'><bind xmlns='" + NSBind + "'>" + inner + "</bind></iq>")
	r, err := n.expect(c, NSClient, "iq")
	if err != nil {
		return "", err
	}
	if b := r.Child(NSBind, "bind"); b != nil && r.Attr("type") == "result" {
		if j := b.Child(NSBind, "jid"); j != nil {
			return j.Text(), nil
		}
	}
	return "", fmt.Errorf("not bound: %s", r)
}
