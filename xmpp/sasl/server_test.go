package sasl

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"chancery/xmpp/jid"
)

func TestOffer(t *testing.T) {
	scrams := approved(ScramSHA512, ScramSHA256, ScramSHA1)
	tests := []struct {
		name     string
		terms    Terms
		want     []string
		bindings []string
	}{
		{"outside TLS", Terms{Allowed: everything, Plain: true, External: true, Bindings: []Binding{exporter}}, scrams, nil},
		{"TLS without binding", Terms{Allowed: everything, TLS: true}, scrams, nil},
		{"PLAIN allowed", Terms{Allowed: everything, TLS: true, Plain: true}, append(slices.Clone(scrams), Plain), nil},
		{"a certificate", Terms{Allowed: everything, TLS: true, External: true}, append(slices.Clone(scrams), External), nil},
		{"everything", Terms{Allowed: everything, TLS: true, Plain: true, External: true, Bindings: []Binding{exporter, endPoint}},
			approved(everything...), []string{TLSExporter, TLSServerEndPoint}},
		{"no -PLUS, so no bindings", Terms{Allowed: scrams, TLS: true, Bindings: []Binding{exporter}}, scrams, nil},
		{"nonsense", Terms{Allowed: []string{"SCRAM-MD5", "SCRAM-", "DIGEST-MD5", ""}, TLS: true}, nil, nil},
	}
	for _, test := range tests {
		o := Make(test.terms)
		if !slices.Equal(o.Mechanisms, test.want) || !slices.Equal(o.Bindings, test.bindings) {
			t.Errorf("%s: got %v %v, want %v %v", test.name, o.Mechanisms, o.Bindings, test.want, test.bindings)
		}
	}
}

func TestPlain(t *testing.T) {
	tests := []struct{ msg, want string }{
		{"\x00romeo\x00pencil", ""},
		{"romeo@a.example\x00romeo\x00pencil", ""},
		{"\x00romeo\x00pencils", NotAuthorized},
		{"\x00tybalt\x00pencil", NotAuthorized},
		{"\x00romeo@a.example\x00pencil", NotAuthorized},
		{"juliet@a.example\x00romeo\x00pencil", InvalidAuthzid},
		{"romeo@a.example/desk\x00romeo\x00pencil", InvalidAuthzid},
		{"romeo\x00pencil", MalformedRequest},
		{"\x00romeo\x00pencil\x00", MalformedRequest},
		{"\x00romeo\x00", MalformedRequest},
		{"\x00\x00pencil", MalformedRequest},
		{"\x00\x00", MalformedRequest},
		{"", MalformedRequest},
		{"\x00romeo\x00pen\xffcil", MalformedRequest},
		{"\x00romeo\x00" + strings.Repeat("p", MaxMessage), MalformedRequest},
	}
	for _, test := range tests {
		s := newServer()
		answer, done, f := s.Start(t.Context(), Plain, []byte(test.msg))
		switch {
		case test.want == "" && (f != nil || !done || answer != nil || s.User() != jid.MustParse("romeo@a.example")):
			t.Errorf("%.40q got %v for %v", test.msg, f, s.User())
		case test.want != "" && (f == nil || f.Condition != test.want || done):
			t.Errorf("%.40q got %v, want %s", test.msg, f, test.want)
		}
	}
}

func TestInitialResponseMayComeLater(t *testing.T) {
	s := newServer()
	answer, done, f := s.Start(t.Context(), Plain, nil)
	if answer == nil || len(answer) != 0 || done || f != nil {
		t.Fatalf("got %q, %v, %v; want an empty challenge", answer, done, f)
	}
	if _, done, f = s.Next(t.Context(), []byte("\x00romeo\x00pencil")); !done || f != nil {
		t.Errorf("got %v, %v", done, f)
	}
}

func TestExternal(t *testing.T) {
	tests := []struct{ authzid, want string }{
		{"", ""},
		{"romeo@a.example", ""},
		{"juliet@a.example", InvalidAuthzid},
		{"romeo@a.example/desk", InvalidAuthzid},
		{"@", InvalidAuthzid},
	}
	for _, test := range tests {
		s := newServer()
		s.Offer = Make(Terms{Allowed: everything, TLS: true, External: true})
		s.External = func(context.Context, jid.JID) (jid.JID, error) { return jid.MustParse("romeo@a.example"), nil }
		_, done, f := s.Start(t.Context(), External, []byte(test.authzid))
		switch {
		case test.want == "" && (f != nil || !done || s.User().String() != "romeo@a.example"):
			t.Errorf("%q got %v", test.authzid, f)
		case test.want != "" && (f == nil || f.Condition != test.want || done):
			t.Errorf("%q got %v, want %s", test.authzid, f, test.want)
		}
	}
	s := newServer()
	s.Offer = Make(Terms{Allowed: everything, TLS: true, External: true})
	s.External = func(context.Context, jid.JID) (jid.JID, error) { return jid.JID{}, errors.New("expired") }
	if _, _, f := s.Start(t.Context(), External, []byte{}); f == nil || f.Condition != NotAuthorized || f.Text != "" {
		t.Errorf("got %v", f)
	}
}

func TestOutOfOrder(t *testing.T) {
	hello := []byte("n,,n=romeo,r=abc")
	t.Run("a response to nothing", func(t *testing.T) {
		wantFailure(t, MalformedRequest)(newServer("romeo").Next(t.Context(), hello))
	})
	t.Run("begun twice", func(t *testing.T) {
		s := newServer("romeo")
		s.Start(t.Context(), ScramSHA256, hello)
		wantFailure(t, MalformedRequest)(s.Start(t.Context(), ScramSHA256, hello))
		wantFailure(t, MalformedRequest)(s.Next(t.Context(), hello))
	})
	t.Run("after a failure", func(t *testing.T) {
		s := newServer("romeo")
		wantFailure(t, MalformedRequest)(s.Start(t.Context(), ScramSHA256, []byte("?")))
		wantFailure(t, MalformedRequest)(s.Next(t.Context(), hello))
	})
	t.Run("after success", func(t *testing.T) {
		s := newServer()
		s.Start(t.Context(), Plain, []byte("\x00romeo\x00pencil"))
		wantFailure(t, MalformedRequest)(s.Next(t.Context(), []byte("\x00romeo\x00pencil")))
		if s.Done() {
			t.Error("still done")
		}
	})
	t.Run("aborted", func(t *testing.T) {
		s := newServer("romeo")
		s.Start(t.Context(), ScramSHA256, hello)
		if f := s.Abort(); f.Condition != Aborted {
			t.Errorf("got %v", f)
		}
		wantFailure(t, MalformedRequest)(s.Next(t.Context(), hello))
	})
}

func wantFailure(t *testing.T, condition string) func([]byte, bool, *Failure) {
	return func(answer []byte, done bool, f *Failure) {
		t.Helper()
		if answer != nil || done || f == nil || f.Condition != condition {
			t.Errorf("got %q, %v, %v; want %s", answer, done, f, condition)
		}
	}
}

// TestThrottleReachesThePeer: a *Failure from one of the functions is not hidden.
func TestThrottleReachesThePeer(t *testing.T) {
	s := newServer("romeo")
	s.Lookup = func(context.Context, jid.JID, Hash) (Keys, error) {
		return Keys{}, &Failure{Condition: TemporaryAuthFailure, Text: "try again in a minute"}
	}
	_, _, f := s.Start(t.Context(), ScramSHA256, []byte("n,,n=romeo,r=abc"))
	if f == nil || f.Text != "try again in a minute" {
		t.Errorf("got %v", f)
	}
}

func TestDecode(t *testing.T) {
	tests := []struct {
		text   string
		isAuth bool
		want   string
		isNil  bool
		fail   string
	}{
		{text: "", isAuth: true, isNil: true},
		{text: "", want: ""},
		{text: "=", isAuth: true, want: ""},
		{text: "=", want: ""},
		{text: "biws", want: "n,,"},
		{text: "bg==", want: "n"},
		{text: "bg=", fail: IncorrectEncoding},
		{text: "bg", fail: IncorrectEncoding},
		{text: "bh==", fail: IncorrectEncoding}, // trailing bits
		{text: "bi ws", fail: IncorrectEncoding},
		{text: "bi\nws", fail: IncorrectEncoding},
		{text: "biws\r\n", fail: IncorrectEncoding},
		{text: "====", fail: IncorrectEncoding},
		{text: "bi-_", fail: IncorrectEncoding}, // the URL alphabet
		{text: "\x00\x01", fail: IncorrectEncoding},
		{text: strings.Repeat("AAAA", MaxMessage), fail: MalformedRequest},
	}
	for _, test := range tests {
		got, f := Decode(test.text, test.isAuth)
		switch {
		case test.fail != "":
			if f == nil || f.Condition != test.fail {
				t.Errorf("%.20q got %v, want %s", test.text, f, test.fail)
			}
		case f != nil || string(got) != test.want || (got == nil) != test.isNil:
			t.Errorf("%.20q got %#v, %v", test.text, got, f)
		}
	}
}

func TestEndPointHash(t *testing.T) {
	for algorithm, size := range map[x509.SignatureAlgorithm]int{
		x509.SHA1WithRSA: 32, x509.MD5WithRSA: 32, x509.ECDSAWithSHA256: 32, x509.SHA384WithRSAPSS: 48, x509.ECDSAWithSHA512: 64, x509.PureEd25519: 0,
	} {
		if got := len(ServerEndPoint(&x509.Certificate{Raw: []byte("leaf"), SignatureAlgorithm: algorithm})); got != size {
			t.Errorf("%v: %d bytes, want %d", algorithm, got, size)
		}
	}
}

// FuzzServer feeds whole exchanges; only the right password may end well.
func FuzzServer(f *testing.F) {
	f.Add(ScramSHA256, "n,,n=romeo,r=abc", "c=biws,r=abc,p=AAAA")
	f.Add(ScramSHA256Plus, "p=tls-exporter,,n=romeo,r=abc", "c=biws,r=abc,p=AAAA")
	f.Add(Plain, "\x00romeo\x00wrong", "")
	f.Add(Plain, "", "\x00romeo\x00wrong")
	offer := Make(Terms{Allowed: everything, TLS: true, Plain: true, Bindings: []Binding{exporter, endPoint}})
	lookup := users()
	f.Fuzz(func(t *testing.T, mechanism, first, second string) {
		s := &Server{Domain: "a.example", Offer: offer, Bindings: []Binding{exporter, endPoint}, Lookup: lookup,
			CheckPassword: func(context.Context, jid.JID, string) (bool, error) { return false, nil }}
		s.Start(t.Context(), mechanism, []byte(first))
		s.Next(t.Context(), []byte(second))
		if s.Done() {
			t.Errorf("%s %q %q logs in", mechanism, first, second)
		}
	})
}
