package transcript

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"chancery/admin/ops"
	"chancery/test/node"
)

// Whoever guesses cannot tell a wrong password from somebody who does not exist or was disabled, by what he is answered,
// with any mechanism (RFC 5802 §7, RFC 6120 §6.5.10).
func TestUnknownAndDisabledUsersLookLikeWrongPasswords(t *testing.T) {
	stage.Run(t, func(t *testing.T, n *node.Node) {
		if err := n.Server.Ops.SetDisabled(t.Context(), ops.Local("test"), "tybalt@a.example", true); err != nil {
			t.Fatal(err)
		}
		for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
			wrong := guess(t, n, mechanism, "romeo")
			for _, user := range []string{"nobody", "tybalt", "somebody-with-a-much-longer-name-than-anybody-here"} {
				if got := guess(t, n, mechanism, user); got != wrong {
					t.Errorf("%s: %s is answered\n%s\nand not, as with a wrong password,\n%s", mechanism, user, got, wrong)
				}
			}
		}
	})
}

// guess is the conversation of one wrong guess, without what is random in every one.
func guess(t *testing.T, n *node.Node, mechanism, user string) string {
	t.Helper()
	r := &run{node: n, values: values{}}
	defer r.close()
	initial := fmt.Sprintf(`{base64 \0%s\0wrong}`, user)
	if mechanism != "PLAIN" {
		initial = fmt.Sprintf("{base64 n,,n=%s,r=nonce}", user)
	}
	if err := r.play("mallory connects with TLS\nmallory opens\n" +
		fmt.Sprintf("mallory sends <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='%s'>%s</auth>\n", mechanism, initial)); err != nil {
		t.Fatal(err)
	}
	mallory := r.parties[0]
	var out []string
	for range 2 {
		n.Quiet()
		for _, e := range mallory.conn.Take() {
			text := e.String()
			if e.Kind == node.Stanza && e.Elem.Local == "challenge" {
				challenge := decoded(t, e.Elem.Text())
				text = fmt.Sprintf("challenge of %d bytes: %s", len(challenge), masked.ReplaceAllString(challenge, "$1=…"))
				mallory.conn.Send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + encode(final(challenge, mechanism)) + "</response>")
			}
			out = append(out, text)
		}
	}
	return strings.Join(out, "\n")
}

// masked are the nonce and the salt, whose lengths count all the same.
var masked = regexp.MustCompile(`\b([rs])=[^,]*`)

// final is a client-final-message with a proof that proves nothing.
func final(challenge, mechanism string) string {
	nonce, _, _ := strings.Cut(strings.TrimPrefix(challenge, "r="), ",")
	h, _ := node.ScramHash(mechanism)
	return "c=biws,r=" + nonce + ",p=" + base64.StdEncoding.EncodeToString(make([]byte, h().Size()))
}

func decoded(t *testing.T, text string) string {
	t.Helper()
	s, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The salt that somebody gets who does not exist is the same each time, and differs from user to user; else it would
// tell them apart (RFC 5802 §7). It survives a restart.
func TestSaltsOfUnknownUsersStand(t *testing.T) {
	stage.Run(t, func(t *testing.T, n *node.Node) {
		first := saltOf(t, n, "nobody")
		if again := saltOf(t, n, "nobody"); again != first {
			t.Errorf("the salt changes from %q to %q", first, again)
		}
		if other := saltOf(t, n, "somebody"); other == first {
			t.Errorf("two who do not exist have one salt: %q", first)
		}
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		if later := saltOf(t, n, "nobody"); later != first {
			t.Errorf("a restart changes the salt from %q to %q", first, later)
		}
	})
}

func saltOf(t *testing.T, n *node.Node, user string) string {
	t.Helper()
	r := &run{node: n, values: values{}}
	defer r.close()
	if err := r.play("mallory connects with TLS\nmallory opens\n" +
		"mallory sends <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{base64 n,,n=" + user + ",r=nonce}</auth>\n" +
		"mallory gets <challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{challenge}</challenge>\n"); err != nil {
		t.Fatal(err)
	}
	_, salt, _ := strings.Cut(decoded(t, r.values["challenge"]), ",s=")
	salt, _, _ = strings.Cut(salt, ",")
	return salt
}
