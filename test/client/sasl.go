package client

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
)

// Strongest first; the -PLUS forms bind the login to the TLS connection.
var families = []struct {
	name string
	hash func() hash.Hash
}{
	{"SCRAM-SHA-512", sha512.New},
	{"SCRAM-SHA-256", sha256.New},
	{"SCRAM-SHA-1", sha1.New},
}

// authenticate does SCRAM (RFC 5802) with the best mechanism that both know,
// bound to the channel by tls-exporter (RFC 9266) where that is offered, or
// PLAIN when told to.
func (c *Conn) authenticate() error {
	offered := map[string]bool{}
	for _, m := range c.Features.Child(nsSASL, "mechanisms").children() {
		offered[m.Content()] = true
	}
	if c.cfg.Mechanism == "PLAIN" {
		c.Mechanism = "PLAIN"
		return c.sasl("PLAIN", "\x00"+c.cfg.User+"\x00"+c.cfg.Password, nil)
	}
	binding, err := c.binding()
	if err != nil {
		return err
	}
	for _, f := range families {
		for _, plus := range []bool{true, false} {
			name := f.name
			if plus {
				name += "-PLUS"
			}
			if !offered[name] || (plus && binding == nil) || (c.cfg.Mechanism != "" && c.cfg.Mechanism != name) {
				continue
			}
			c.Mechanism = name
			gs2 := "n,,"
			if plus {
				gs2 = "p=tls-exporter,,"
			}
			return c.scram(name, f.hash, gs2, binding, plus)
		}
	}
	return fmt.Errorf("no usable mechanism among %s", c.Features.Child(nsSASL, "mechanisms"))
}

func (e *Element) children() []*Element {
	if e == nil {
		return nil
	}
	return e.Children
}

// binding is the data of tls-exporter when the server offers it (XEP-0440).
func (c *Conn) binding() ([]byte, error) {
	offers := c.Features.Child(nsCB, "sasl-channel-binding").children()
	known := slices.ContainsFunc(offers, func(e *Element) bool { return e.Attr("type") == "tls-exporter" })
	t, ok := c.conn.(*tls.Conn)
	if !known || !ok || t.ConnectionState().Version < tls.VersionTLS13 {
		return nil, nil
	}
	cs := t.ConnectionState()
	return cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
}

func (c *Conn) scram(name string, h func() hash.Hash, gs2 string, binding []byte, plus bool) error {
	user := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.cfg.User)
	nonce := rand.Text()
	first := "n=" + user + ",r=" + nonce
	if !plus {
		binding = nil
	}
	var signature string
	err := c.sasl(name, gs2+first, func(challenge string) (string, error) {
		a := attributes(challenge)
		salt, err := base64.StdEncoding.DecodeString(a["s"])
		n, err2 := strconv.Atoi(a["i"])
		if err := errors.Join(err, err2); err != nil {
			return "", fmt.Errorf("challenge %q: %w", challenge, err)
		}
		if !strings.HasPrefix(a["r"], nonce) || n < 4096 {
			return "", fmt.Errorf("challenge %q is not to be trusted", challenge)
		}
		salted, err := pbkdf2.Key(h, c.cfg.Password, salt, n, h().Size())
		if err != nil {
			return "", err
		}
		last := "c=" + base64.StdEncoding.EncodeToString(append([]byte(gs2), binding...)) + ",r=" + a["r"]
		said := first + "," + challenge + "," + last
		proof := mac(h, salted, "Client Key")
		stored := h()
		stored.Write(proof)
		for i, b := range mac(h, stored.Sum(nil), said) {
			proof[i] ^= b
		}
		signature = base64.StdEncoding.EncodeToString(mac(h, mac(h, salted, "Server Key"), said))
		return last + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
	}, func(success string) error {
		if attributes(success)["v"] != signature {
			return errors.New("the server did not prove that it knows the password")
		}
		return nil
	})
	return err
}

// sasl runs one exchange; answer may be nil when no challenge is expected.
func (c *Conn) sasl(name, initial string, answer func(string) (string, error), check ...func(string) error) error {
	b64 := base64.StdEncoding
	if err := c.Write("<auth xmlns='" + nsSASL + "' mechanism='" + name + "'>" + b64.EncodeToString([]byte(initial)) + "</auth>"); err != nil {
		return err
	}
	for {
		e, err := c.Read()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		data, err := b64.DecodeString(strings.TrimSpace(e.Content()))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		switch {
		case e.Is(nsSASL, "challenge") && answer != nil:
			text, err := answer(string(data))
			if err != nil {
				return err
			}
			if err := c.Write("<response xmlns='" + nsSASL + "'>" + b64.EncodeToString([]byte(text)) + "</response>"); err != nil {
				return err
			}
		case e.Is(nsSASL, "success"):
			for _, f := range check {
				if err := f(string(data)); err != nil {
					return err
				}
			}
			return nil
		default:
			return fmt.Errorf("%s: %s", name, e)
		}
	}
}

func attributes(s string) map[string]string {
	m := map[string]string{}
	for p := range strings.SplitSeq(s, ",") {
		k, v, _ := strings.Cut(p, "=")
		m[k] = v
	}
	return m
}

func mac(h func() hash.Hash, key []byte, s string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(s))
	return m.Sum(nil)
}
