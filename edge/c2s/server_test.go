package c2s_test

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chancery/admin/ops"
	"chancery/test/node"
)

// The tests of this file run against the whole server in memory. What one can see
// by a script stands in test/transcript; here is what needs bytes, or a client
// that does two things at once.

var nodes node.Stage

func stage(t *testing.T, do func(t *testing.T, n *node.Node)) {
	t.Helper()
	nodes.Run(t, do)
}

func dial(t *testing.T, n *node.Node, tls bool) *node.Conn {
	t.Helper()
	var c *node.Conn
	var err error
	if tls {
		c, err = n.DialTLS("client", node.Both, "", node.Domain)
	} else {
		c, err = n.Dial("client", node.Both, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	c.Send("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0'>")
	synctest.Wait()
	return c
}

// login is a client that has bound a resource.
func login(t *testing.T, n *node.Node, user, resource string) *node.Conn {
	t.Helper()
	c := dial(t, n, true)
	c.Take()
	if err := n.Authenticate(c, node.Domain, node.Login{User: user}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Bind(c, resource); err != nil {
		t.Fatal(err)
	}
	return c
}

func said(c *node.Conn) string {
	synctest.Wait()
	var b strings.Builder
	for _, e := range c.Take() {
		b.WriteString(e.String())
	}
	return b.String()
}

func plain(user, password string) string {
	return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "</auth>"
}

// attempt is what a client sees of one that fails, with nothing that may differ:
// the nonce is random, and of the salt only the length is compared.
func attempt(t *testing.T, n *node.Node, user, mechanism string) string {
	t.Helper()
	c := dial(t, n, true)
	defer c.Close()
	said(c)
	start := time.Now()
	if mechanism == "PLAIN" {
		c.Send(plain(user, "wrong"))
		return said(c) + time.Since(start).String()
	}
	h, err := node.ScramHash(mechanism)
	if err != nil {
		t.Fatal(err)
	}
	s := &node.Scram{Hash: h, User: user, Password: "wrong", Nonce: "of-the-client"}
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mechanism + "'>" + base64.StdEncoding.EncodeToString([]byte(s.First())) + "</auth>")
	challenge := said(c)
	m := text.FindStringSubmatch(challenge)
	if m == nil {
		return challenge
	}
	first, err := base64.StdEncoding.DecodeString(m[1])
	if err != nil {
		t.Fatal(err)
	}
	final, err := s.Final(string(first))
	if err != nil {
		t.Fatal(err)
	}
	c.Send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString([]byte(final)) + "</response>")
	shape := letters.ReplaceAllString(nonce.ReplaceAllString(string(first), "r=…"), "x")
	return strings.Replace(challenge, m[1], shape, 1) + said(c) + time.Since(start).String()
}

var (
	text    = regexp.MustCompile(`<challenge[^>]*>([^<]*)</challenge>`)
	nonce   = regexp.MustCompile(`r=[^,]*`)
	letters = regexp.MustCompile(`[A-Za-z0-9+/]`)
)

func TestUnknownAndDisabledUsersAreWrongPasswordsInBytes(t *testing.T) {
	stage(t, func(t *testing.T, n *node.Node) {
		if err := n.Server.Ops.SetDisabled(t.Context(), ops.Local("test"), "tybalt@a.example", true); err != nil {
			t.Fatal(err)
		}
		if err := n.Set("login.failures_before_delay", "100"); err != nil { // which would be another difference
			t.Fatal(err)
		}
		for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
			want := attempt(t, n, "romeo", mechanism)
			if !strings.Contains(want, "<not-authorized/>") {
				t.Fatalf("%s: a wrong password gives %s", mechanism, want)
			}
			for _, user := range []string{"nobody", "tybalt", "nurse"} {
				if got := attempt(t, n, user, mechanism); got != want {
					t.Errorf("%s as %s:\n%s\nas romeo:\n%s", mechanism, user, got, want)
				}
			}
		}
	})
}

func TestTooManyFailedLoginsEndTheStream(t *testing.T) {
	stage(t, func(t *testing.T, n *node.Node) {
		c := dial(t, n, true)
		said(c)
		tries := 0
		for got := ""; !strings.Contains(got, "</stream:stream>"); {
			if tries++; tries > 20 {
				t.Fatal("it may go on guessing")
			}
			c.Send(plain("romeo", fmt.Sprint("guess", tries)))
			time.Sleep(5 * time.Second) // the wait that failures earn
			if got = said(c); strings.Contains(got, "<stream:error>") && !strings.Contains(got, "<policy-violation ") {
				t.Error(got)
			}
		}
		if tries > 5 {
			t.Error("it guessed", tries, "times")
		}
		c.Close()
		time.Sleep(5 * time.Minute)
		login(t, n, "romeo", "phone").Close() // the owner gets in
	})
}

func TestPipelinedPlaintextAfterStartTLSIsDropped(t *testing.T) {
	const starttls, header = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0'>"
	for name, behind := range map[string]string{
		"a password":           plain("romeo", node.Password("romeo")),
		"a header":             header,
		"one letter":           "<",
		"a space and a letter": " <",
	} {
		stage(t, func(t *testing.T, n *node.Node) {
			c := dial(t, n, false)
			said(c)
			c.Send(starttls + behind) // in one piece
			if got := said(c); !strings.Contains(got, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>") || !strings.Contains(got, "</stream:stream>") || strings.Contains(got, "<success") {
				t.Errorf("%s: %s", name, got)
			}
			c.Close()

			// Behind <proceed/> it is taken for TLS, and is none.
			c = dial(t, n, false)
			said(c)
			c.Send(starttls)
			synctest.Wait()
			c.Send(behind)
			time.Sleep(time.Minute)
			if got := said(c); strings.Contains(got, "<success") || strings.Contains(got, "<features") {
				t.Errorf("%s, later: %s", name, got)
			}
			c.Close()
		})
	}
}

func TestStanzaBeforeBindEndsTheStream(t *testing.T) {
	for _, sent := range []string{
		"<message to='juliet@a.example'><body>x</body></message>",
		"<presence/>",
		"<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
		"<iq type='get' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
		"<iq type='set' id='1' to='@'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
		"<r xmlns='urn:xmpp:sm:3'/>",
	} {
		stage(t, func(t *testing.T, n *node.Node) {
			c := dial(t, n, true)
			said(c)
			if err := n.Authenticate(c, node.Domain, node.Login{User: "romeo"}); err != nil {
				t.Fatal(err)
			}
			c.Send(sent)
			if got := said(c); !strings.Contains(got, "<not-authorized ") || !strings.Contains(got, "</stream:stream>") {
				t.Errorf("%s: %s", sent, got)
			}
			c.Close()
		})
	}
}

// What waited for a client that was away may be more than the outbox holds.
func TestALargeQueueComesAfterAResumption(t *testing.T) {
	stage(t, func(t *testing.T, n *node.Node) {
		phone := login(t, n, "romeo", "phone")
		phone.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
		id := regexp.MustCompile(` id='([^']*)'`).FindStringSubmatch(said(phone))
		if id == nil {
			t.Fatal("not enabled")
		}
		phone.Send("<presence/>")
		said(phone)
		phone.Cut()
		balcony := login(t, n, "juliet", "balcony")
		const count = 40
		for i := range count {
			balcony.Send(fmt.Sprintf("<message to='romeo@a.example' type='chat' id='%d'><body>%s</body></message>", i, strings.Repeat("x", 50_000)))
			synctest.Wait()
		}
		again := dial(t, n, true)
		said(again)
		if err := n.Authenticate(again, node.Domain, node.Login{User: "romeo"}); err != nil {
			t.Fatal(err)
		}
		again.Send("<resume xmlns='urn:xmpp:sm:3' previd='" + id[1] + "' h='1'/>")
		got := said(again)
		if n := strings.Count(got, "<message "); n != count || !strings.HasPrefix(got, "<resumed ") {
			t.Errorf("%d of %d messages came, behind %.100s", n, count, got)
		}
		for _, c := range []*node.Conn{phone, balcony, again} {
			c.Close()
		}
	})
}
