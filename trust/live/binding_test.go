package live

import (
	"context"
	"crypto/tls"
	"testing"

	"github.com/xdg-go/scram"

	"chancery/xmpp/jid"
	"chancery/xmpp/sasl"
)

// TestForeignClientBindsToTheConnection: a client that computes its bindings from its own end of the connection agrees with
// the server, and one that has been bound to another connection does not.
func TestForeignClientBindsToTheConnection(t *testing.T) {
	s := newState(t, "a.example")
	server := s.Config(Clients)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := s.client("a.example")
		client.MaxVersion = version
		here, there := s.shake(t, server, client, ""), s.shake(t, server, client, "")
		for name, bind := range map[string]func(*tls.ConnectionState) (scram.ChannelBinding, error){
			sasl.TLSExporter: scram.NewTLSExporterBinding, sasl.TLSServerEndPoint: scram.NewTLSServerEndpointBinding,
		} {
			own, err := bind(&here.client)
			if err != nil {
				t.Fatal(err)
			}
			if f := login(t, here.facts, own); f != nil {
				t.Errorf("%s, %s: %v", here.facts.Version, name, f)
			}
			other, err := bind(&there.client)
			if err != nil {
				t.Fatal(err)
			}
			f := login(t, here.facts, other)
			if isSame := name == sasl.TLSServerEndPoint; (f == nil) != isSame { // the certificate is the same, the keys are not
				t.Errorf("%s, %s of another connection: %v", here.facts.Version, name, f)
			}
		}
	}
}

func login(t *testing.T, f Facts, b scram.ChannelBinding) *sasl.Failure {
	t.Helper()
	s := &sasl.Server{
		Domain:   "a.example",
		Offer:    sasl.Make(sasl.Terms{Allowed: []string{sasl.ScramSHA256Plus}, TLS: true, Bindings: f.Bindings}),
		Bindings: f.Bindings,
		Lookup: func(_ context.Context, _ jid.JID, h sasl.Hash) (sasl.Keys, error) {
			return sasl.Derive(h, "pencil", []byte("0123456789abcdef"), sasl.MinIterations), nil
		},
	}
	user, err := scram.SHA256.NewClient("romeo", "pencil", "")
	if err != nil {
		t.Fatal(err)
	}
	c := user.NewConversationWithChannelBinding(b)
	msg, err := c.Step("")
	if err != nil {
		t.Fatal(err)
	}
	answer, _, fail := s.Start(t.Context(), sasl.ScramSHA256Plus, []byte(msg))
	if fail != nil {
		return fail
	}
	if msg, err = c.Step(string(answer)); err != nil {
		t.Fatal(err)
	}
	_, _, fail = s.Next(t.Context(), []byte(msg))
	return fail
}
