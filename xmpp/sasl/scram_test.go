package sasl

import (
	"context"
	"crypto/fips140"
	"crypto/pbkdf2"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	oracle "github.com/xdg-go/scram"

	"chancery/xmpp/jid"
)

const password = "pencil"

// users is the database of these tests: everybody's password is "pencil", and only the listed exist.
func users(names ...string) func(context.Context, jid.JID, Hash) (Keys, error) {
	secret := []byte("a secret of the server")
	return func(_ context.Context, user jid.JID, h Hash) (Keys, error) {
		for _, n := range names {
			if user.Local() == n {
				return Derive(h, password, []byte("0123456789abcdef"), MinIterations), nil
			}
		}
		return FakeKeys(secret, h, user.String(), MinIterations), nil
	}
}

var (
	exporter = Binding{Type: TLSExporter, Data: []byte("what the exporter gave, 32 bytes")}
	endPoint = Binding{Type: TLSServerEndPoint, Data: []byte("hash of the server's certificate")}
)

var everything = []string{ScramSHA512Plus, ScramSHA512, ScramSHA256Plus, ScramSHA256, ScramSHA1Plus, ScramSHA1, External, Plain}

// approved leaves out what the process may not use, when it runs with GODEBUG=fips140=only.
func approved(mechanisms ...string) []string {
	return slices.DeleteFunc(slices.Clone(mechanisms), func(m string) bool {
		h, _, _ := scramFamily(m)
		return h == SHA1 && fips140.Enforced()
	})
}

// newServer is one exchange inside TLS with everything on offer.
func newServer(names ...string) *Server {
	bindings := []Binding{exporter, endPoint}
	return &Server{
		Domain:   "a.example",
		Offer:    Make(Terms{Allowed: everything, TLS: true, Plain: true, Bindings: bindings}),
		Bindings: bindings,
		Lookup:   users(names...),
		CheckPassword: func(_ context.Context, user jid.JID, p string) (bool, error) {
			return user.Local() == "romeo" && p == password, nil
		},
	}
}

func oracleHash(h Hash) oracle.HashGeneratorFcn {
	return map[Hash]oracle.HashGeneratorFcn{SHA1: oracle.SHA1, SHA256: oracle.SHA256, SHA512: oracle.SHA512}[h]
}

func newClient(t testing.TB, h Hash, user, password, authzid string) *oracle.Client {
	t.Helper()
	c, err := oracleHash(h).NewClientUnprepped(user, password, authzid)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// talk lets a foreign client and our server finish an exchange.
func talk(t testing.TB, s *Server, mechanism string, c *oracle.ClientConversation) *Failure {
	t.Helper()
	msg := step1(t, c, "")
	answer, done, fail := s.Start(t.Context(), mechanism, []byte(msg))
	for fail == nil && !done {
		msg = step1(t, c, string(answer))
		answer, done, fail = s.Next(t.Context(), []byte(msg))
	}
	if fail == nil {
		step1(t, c, string(answer))
		if !c.Valid() {
			t.Fatal("the client does not believe the server")
		}
	}
	return fail
}

func step1(t testing.TB, c *oracle.ClientConversation, challenge string) string {
	t.Helper()
	msg, err := c.Step(challenge)
	if err != nil {
		t.Fatalf("client: %v, after %q", err, challenge)
	}
	return msg
}

func TestForeignClientLogsInWithEveryMechanism(t *testing.T) {
	for _, mechanism := range approved(everything...) {
		h, plus, ok := scramFamily(mechanism)
		if !ok {
			continue
		}
		for _, b := range []Binding{exporter, endPoint} {
			t.Run(mechanism+" "+b.Type, func(t *testing.T) {
				s := newServer("romeo")
				client := newClient(t, h, "romeo", password, "")
				conversation := client.NewConversation()
				want := ""
				if plus {
					conversation = client.NewConversationWithChannelBinding(oracle.ChannelBinding{Type: oracle.ChannelBindingType(b.Type), Data: b.Data})
					want = b.Type
				}
				if f := talk(t, s, mechanism, conversation); f != nil {
					t.Fatal(f)
				}
				if s.User() != jid.MustParse("romeo@a.example") || s.Binding() != want || s.Mechanism() != mechanism || !s.Done() {
					t.Errorf("user %v, binding %q, mechanism %q, done %v", s.User(), s.Binding(), s.Mechanism(), s.Done())
				}
			})
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	good := oracle.ChannelBinding{Type: TLSExporter, Data: exporter.Data}
	tests := []struct {
		name      string
		mechanism string
		start     func(t *testing.T, s *Server) *oracle.ClientConversation
		want      string
	}{
		{"wrong password", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo", "pencils", "").NewConversation()
		}, NotAuthorized},
		{"unknown user", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "tybalt", password, "").NewConversation()
		}, NotAuthorized},
		{"binding of another connection", ScramSHA256Plus, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo", password, "").NewConversationWithChannelBinding(
				oracle.ChannelBinding{Type: TLSExporter, Data: endPoint.Data})
		}, NotAuthorized},
		{"type that is not offered", ScramSHA256Plus, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo", password, "").NewConversationWithChannelBinding(
				oracle.ChannelBinding{Type: "tls-unique", Data: exporter.Data})
		}, MalformedRequest},
		{"binding without -PLUS", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo", password, "").NewConversationWithChannelBinding(good)
		}, MalformedRequest},
		{"-PLUS without binding", ScramSHA256Plus, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo", password, "").NewConversation()
		}, MalformedRequest},
		{"y although -PLUS is offered", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo", password, "").NewConversationAdvertisingChannelBinding()
		}, NotAuthorized},
		{"somebody else's name", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo", password, "juliet@a.example").NewConversation()
		}, InvalidAuthzid},
		{"full address as authzid", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo", password, "romeo@a.example/desk").NewConversation()
		}, InvalidAuthzid},
		{"same name at another domain", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo", password, "romeo@b.example").NewConversation()
		}, InvalidAuthzid},
		{"not an address", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo", password, "@").NewConversation()
		}, InvalidAuthzid},
		{"name that nobody can have", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			return newClient(t, SHA256, "romeo@a.example", password, "").NewConversation()
		}, NotAuthorized},
		{"mechanism that is not offered", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			s.Offer = Make(Terms{Allowed: []string{ScramSHA512}, TLS: true})
			return newClient(t, SHA256, "romeo", password, "").NewConversation()
		}, InvalidMechanism},
		{"database away", ScramSHA256, func(t *testing.T, s *Server) *oracle.ClientConversation {
			s.Lookup = func(context.Context, jid.JID, Hash) (Keys, error) { return Keys{}, errors.New("disk on fire") }
			return newClient(t, SHA256, "romeo", password, "").NewConversation()
		}, TemporaryAuthFailure},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newServer("romeo")
			f := talk(t, s, test.mechanism, test.start(t, s))
			if f == nil || f.Condition != test.want {
				t.Errorf("got %v, want %s", f, test.want)
			}
			if s.Done() {
				t.Error("the server lets him in")
			}
			if f != nil && strings.Contains(f.Text, "fire") {
				t.Error("the peer hears our troubles")
			}
		})
	}
}

func TestOwnAddressAsAuthzidIsAccepted(t *testing.T) {
	if f := talk(t, newServer("romeo"), ScramSHA256, newClient(t, SHA256, "romeo", password, "romeo@a.example").NewConversation()); f != nil {
		t.Error(f)
	}
}

func TestClientWithoutBindingMaySayYWhereNoneIsOffered(t *testing.T) {
	s := newServer("romeo")
	s.Offer = Make(Terms{Allowed: []string{ScramSHA256}, TLS: true, Bindings: s.Bindings})
	if f := talk(t, s, ScramSHA256, newClient(t, SHA256, "romeo", password, "").NewConversationAdvertisingChannelBinding()); f != nil {
		t.Error(f)
	}
}

// TestUnknownUserCannotBeToldFromWrongPassword compares all bytes but the nonce, for one and the same name. Time is made
// the same by construction: the same steps run, whatever the keys.
func TestUnknownUserCannotBeToldFromWrongPassword(t *testing.T) {
	for _, mechanism := range approved(ScramSHA1, ScramSHA256, ScramSHA512) {
		h, _, _ := scramFamily(mechanism)
		var firsts []string
		for _, names := range [][]string{{"romeo"}, {}, {}} {
			s := newServer(names...)
			c := newClient(t, h, "romeo", "wrong", "").NewConversation()
			first, _, f := s.Start(t.Context(), mechanism, []byte(step1(t, c, "")))
			if f != nil {
				t.Fatal(f)
			}
			_, _, f = s.Next(t.Context(), []byte(step1(t, c, string(first))))
			if f == nil || f.Condition != NotAuthorized || f.Text != "" || f.Cause != nil {
				t.Errorf("got %v", f)
			}
			_, rest, _ := strings.Cut(string(first), ",")
			firsts = append(firsts, rest)
		}
		if len(firsts[0]) != len(firsts[1]) {
			t.Errorf("known: %s\nunknown: %s", firsts[0], firsts[1])
		}
		if firsts[1] != firsts[2] {
			t.Errorf("an unknown user changes: %s, then %s", firsts[1], firsts[2])
		}
	}
}

// TestFakeKeysNeverMatch hands the server fake keys whose password is known: the flag alone must be enough.
func TestFakeKeysNeverMatch(t *testing.T) {
	s := newServer()
	s.Lookup = func(_ context.Context, _ jid.JID, h Hash) (Keys, error) {
		k := Derive(h, password, NewSalt(), MinIterations)
		k.Fake = true
		return k, nil
	}
	f := talk(t, s, ScramSHA256, newClient(t, SHA256, "romeo", password, "").NewConversation())
	if f == nil || f.Condition != NotAuthorized {
		t.Errorf("got %v", f)
	}
	k := Derive(SHA256, password, NewSalt(), MinIterations)
	if !k.Matches(SHA256, password) || k.Matches(SHA256, "pencils") {
		t.Error("Matches is wrong about real keys")
	}
	if k.Fake = true; k.Matches(SHA256, password) {
		t.Error("fake keys match")
	}
}

// TestVectors are the exchanges printed in RFC 5802 §5 and RFC 7677 §3: their server's keys, nonce and final message.
func TestVectors(t *testing.T) {
	tests := []struct {
		h                               Hash
		salt, nonce, bare, proof, verif string
	}{
		{SHA1, "QSXCR+Q6sek8bf92", "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j", "n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "n=user,r=rOprNGfwEbeRWgbNEkqO",
			"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	}
	for _, v := range tests {
		t.Run(v.h.String(), func(t *testing.T) {
			salt, err := base64.StdEncoding.DecodeString(v.salt)
			if err != nil {
				t.Fatal(err)
			}
			fips140.WithoutEnforcement(func() {
				x := &scram{s: &Server{}, hash: v.h, keys: Derive(v.h, password, salt, 4096), bound: []byte("n,,"), nonce: v.nonce,
					message: v.bare + ",r=" + v.nonce + ",s=" + v.salt + ",i=4096"}
				got, done, f := x.final(t.Context(), []byte("c=biws,r="+v.nonce+",p="+v.proof))
				if f != nil || !done || string(got) != "v="+v.verif {
					t.Errorf("got %s, %v, %v; want v=%s", got, done, f, v.verif)
				}
			})
		})
	}
}

// TestDigestOfOffers is the example of XEP-0474 §5.3.
func TestDigestOfOffers(t *testing.T) {
	o := Offer{Mechanisms: []string{ScramSHA1Plus, ScramSHA1}, Bindings: []string{TLSServerEndPoint, TLSExporter}}
	fips140.WithoutEnforcement(func() {
		if got, want := base64.StdEncoding.EncodeToString(o.digest(SHA1)), "G6k/rBLDqgOhRRaCuuatSDFkJ08="; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// TestStrippedListIsNoticed plays a client that checks h, and a man in the middle who corrects it.
func TestStrippedListIsNoticed(t *testing.T) {
	s := newServer("romeo")
	first, _, f := s.Start(t.Context(), ScramSHA256, []byte("n,,n=romeo,r=abc"))
	if f != nil {
		t.Fatal(f)
	}
	_, h, ok := strings.Cut(string(first), ",h=")
	if !ok || h != base64.StdEncoding.EncodeToString(s.Offer.digest(SHA256)) {
		t.Fatalf("no digest of the offer in %s", first)
	}
	stripped := Offer{Mechanisms: []string{ScramSHA256}}
	forged := strings.Replace(string(first), h, base64.StdEncoding.EncodeToString(stripped.digest(SHA256)), 1)
	_, _, f = s.Next(t.Context(), clientFinalFor(forged, "n=romeo,r=abc", "n,,", nil))
	if f == nil || f.Condition != NotAuthorized {
		t.Errorf("got %v", f)
	}
}

// clientFinalFor is what an honest client answers to a first message, with the password of these tests and SHA-256.
func clientFinalFor(first, bare, gs2 string, bound []byte) []byte {
	part := strings.SplitN(first, ",", 4)
	salt, _ := base64.StdEncoding.DecodeString(part[1][2:])
	salted, _ := pbkdf2.Key(SHA256.New, password, salt, MinIterations, SHA256.Size())
	clientKey := mac(SHA256, salted, "Client Key")
	storedKey := SHA256.New()
	storedKey.Write(clientKey)
	withoutProof := "c=" + base64.StdEncoding.EncodeToString(append([]byte(gs2), bound...)) + "," + part[0]
	proof := mac(SHA256, storedKey.Sum(nil), bare+","+first+","+withoutProof)
	subtle.XORBytes(proof, proof, clientKey)
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof))
}

func TestHonestFinalAndItsForgeries(t *testing.T) {
	tests := []struct {
		name  string
		forge func(final string) string
		want  string // "" for success
	}{
		{"as it is", func(s string) string { return s }, ""},
		{"another nonce", func(s string) string { return strings.Replace(s, "r=abc", "r=abd", 1) }, NotAuthorized},
		{"only the client's nonce", func(s string) string { return "c=biws,r=abc,p=" + s[strings.Index(s, ",p=")+3:] }, NotAuthorized},
		{"another header", func(s string) string { return strings.Replace(s, "c=biws", "c=eSws", 1) }, NotAuthorized},
		{"an extension that was not signed", func(s string) string { return strings.Replace(s, ",p=", ",x=1,p=", 1) }, NotAuthorized},
		{"a short proof", func(s string) string { return s[:strings.Index(s, ",p=")] + ",p=AAAA" }, MalformedRequest},
		{"a proof of nothing", func(s string) string { return s[:strings.Index(s, ",p=")] + ",p=" }, MalformedRequest},
		{"no proof", func(s string) string { return s[:strings.Index(s, ",p=")] }, MalformedRequest},
		{"a proof with a line break", func(s string) string { return s + "\n" }, MalformedRequest},
		{"something after the proof", func(s string) string { return s + ",x=1" }, MalformedRequest},
		{"a mandatory extension", func(s string) string { return strings.Replace(s, ",p=", ",m=1,p=", 1) }, MalformedRequest},
		{"the wrong order", func(s string) string { return "r=abc,c=biws" + s[strings.Index(s, ",p="):] }, MalformedRequest},
		{"not UTF-8", func(s string) string { return strings.Replace(s, ",p=", ",x=\xff,p=", 1) }, MalformedRequest},
		{"a NUL", func(s string) string { return strings.Replace(s, ",p=", ",x=\x00,p=", 1) }, MalformedRequest},
		{"nothing", func(string) string { return "" }, MalformedRequest},
		{"too much", func(s string) string {
			return strings.Replace(s, ",p=", ",x="+strings.Repeat("x", MaxMessage)+",p=", 1)
		}, MalformedRequest},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newServer("romeo")
			first, _, f := s.Start(t.Context(), ScramSHA256, []byte("n,,n=romeo,r=abc"))
			if f != nil {
				t.Fatal(f)
			}
			final := test.forge(string(clientFinalFor(string(first), "n=romeo,r=abc", "n,,", nil)))
			_, done, f := s.Next(t.Context(), []byte(final))
			switch {
			case test.want == "" && (f != nil || !done):
				t.Errorf("got %v", f)
			case test.want != "" && (f == nil || f.Condition != test.want || done):
				t.Errorf("got %v, want %s", f, test.want)
			}
			if _, _, f := s.Next(t.Context(), []byte(final)); f == nil || f.Condition != MalformedRequest {
				t.Errorf("the same again got %v", f)
			}
		})
	}
}

func TestFirstMessages(t *testing.T) {
	tests := []struct {
		msg  string
		want string // "" for a challenge
	}{
		{"n,,n=romeo,r=abc", ""},
		{"n,a=romeo@a.example,n=romeo,r=abc", ""},
		{"n,,n=romeo,r=abc,x=extension,y=another", ""},
		{"n,,n=ROMEO,r=abc", ""},
		{"y,,n=romeo,r=abc", NotAuthorized},
		{"p=tls-exporter,,n=romeo,r=abc", MalformedRequest},
		{"", MalformedRequest},
		{"n", MalformedRequest},
		{"n,", MalformedRequest},
		{"n,,", MalformedRequest},
		{"n,,n=romeo", MalformedRequest},
		{"n,,n=,r=abc", MalformedRequest},
		{"n,,n=romeo,r=", MalformedRequest},
		{"n,,r=abc,n=romeo", MalformedRequest},
		{"n,,n=romeo,r=ab c", MalformedRequest},
		{"n,,n=romeo,r=ab\u00e9c", MalformedRequest},
		{"n,,n=romeo,r=abc,", MalformedRequest},
		{"n,,n=romeo,r=abc,x", MalformedRequest},
		{"n,,n=romeo,r=abc,x=", MalformedRequest},
		{"n,,n=romeo,r=abc,1=x", MalformedRequest},
		{"n,,n=romeo,r=abc,r=def", MalformedRequest},
		{"n,,n=romeo,r=abc,n=juliet", MalformedRequest},
		{"n,,m=x,n=romeo,r=abc", MalformedRequest},
		{"n,,n=romeo,r=abc,m=x", MalformedRequest},
		{"n,,n=rom=eo,r=abc", MalformedRequest},
		{"n,,n=romeo=2,r=abc", MalformedRequest},
		{"n,,n=romeo=2c,r=abc", MalformedRequest},
		{"n,romeo@a.example,n=romeo,r=abc", MalformedRequest},
		{"n,a=,n=romeo,r=abc", MalformedRequest},
		{"x,,n=romeo,r=abc", MalformedRequest},
		{"nn,,n=romeo,r=abc", MalformedRequest},
		{"p=,,n=romeo,r=abc", MalformedRequest},
		{"p=tls exporter,,n=romeo,r=abc", MalformedRequest},
		{",,n=romeo,r=abc", MalformedRequest},
		{"n,,n=ro\x00meo,r=abc", MalformedRequest},
		{"n,,n=ro\xffmeo,r=abc", MalformedRequest},
		{"n,,n=" + strings.Repeat("r", MaxMessage) + ",r=abc", MalformedRequest},
		{"n,,n=romeo=2Cjuliet,r=abc", ""}, // a name with a comma is a name; nobody has it here
	}
	for _, test := range tests {
		s := newServer("romeo")
		answer, done, f := s.Start(t.Context(), ScramSHA256, []byte(test.msg))
		switch {
		case test.want == "" && (f != nil || done || !strings.HasPrefix(string(answer), "r=abc")):
			t.Errorf("%.60q got %q, %v", test.msg, answer, f)
		case test.want != "" && (f == nil || f.Condition != test.want):
			t.Errorf("%.60q got %q, %v; want %s", test.msg, answer, f, test.want)
		}
	}
}

func TestNoncesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		first, _, f := newServer("romeo").Start(t.Context(), ScramSHA256, []byte("n,,n=romeo,r=abc"))
		if f != nil {
			t.Fatal(f)
		}
		nonce, _, _ := strings.Cut(string(first), ",")
		if len(nonce) != len("r=abc")+24 || seen[nonce] {
			t.Fatalf("nonce %q", nonce)
		}
		seen[nonce] = true
	}
}

func BenchmarkExchange(b *testing.B) {
	for _, mechanism := range approved(ScramSHA1Plus, ScramSHA256Plus, ScramSHA512Plus) {
		h, _, _ := scramFamily(mechanism)
		b.Run(mechanism, func(b *testing.B) {
			keys := Derive(h, password, []byte("0123456789abcdef"), MinIterations)
			offer := Make(Terms{Allowed: everything, TLS: true, Plain: true, Bindings: []Binding{exporter, endPoint}})
			client := newClient(b, h, "romeo", password, "")
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				c := client.NewConversationWithChannelBinding(oracle.ChannelBinding{Type: TLSExporter, Data: exporter.Data})
				hello := []byte(step1(b, c, ""))
				b.StartTimer()
				s := &Server{Domain: "a.example", Offer: offer, Bindings: []Binding{exporter, endPoint},
					Lookup: func(context.Context, jid.JID, Hash) (Keys, error) { return keys, nil }}
				first, _, f := s.Start(b.Context(), mechanism, hello)
				b.StopTimer()
				if f != nil {
					b.Fatal(f)
				}
				final := []byte(step1(b, c, string(first)))
				b.StartTimer()
				if _, _, f := s.Next(b.Context(), final); f != nil {
					b.Fatal(f)
				}
			}
		})
	}
}

func BenchmarkDerive(b *testing.B) {
	for _, h := range Hashes() {
		b.Run(h.String(), func(b *testing.B) {
			for b.Loop() {
				Derive(h, password, []byte("0123456789abcdef"), 10000)
			}
		})
	}
}

// FuzzClientFirst: whatever is accepted can be put together again from its parts.
func FuzzClientFirst(f *testing.F) {
	for _, seed := range []string{"n,,n=romeo,r=abc", "p=tls-exporter,a=a=2Cb,n=r=3Do,r=x,e=x", "y,,m=x,n=a,r=b", "n,,n=,r="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, msg string) {
		m, ok := parseClientFirst(msg)
		if !ok {
			return
		}
		if m.header+m.bare != msg {
			t.Errorf("%q and %q are not %q", m.header, m.bare, msg)
		}
		if m.mandatory {
			return
		}
		escape := strings.NewReplacer("=", "=3D", ",", "=2C")
		if want := "n=" + escape.Replace(m.user) + ",r=" + m.nonce; !strings.HasPrefix(m.bare+",", want+",") {
			t.Errorf("%q does not begin with %q", m.bare, want)
		}
		if strings.Count(m.header, ",") != 2 || (m.flag == 'p') != (m.binding != "") {
			t.Errorf("header %q, flag %q, binding %q", m.header, m.flag, m.binding)
		}
	})
}

// FuzzClientFinal: no message but the honest one logs in, and none makes the server fall over.
func FuzzClientFinal(f *testing.F) {
	f.Add("c=biws,r=abc,p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	f.Add("c=biws,r=abc,x=1,p=,p=AAAA")
	keys := Derive(SHA256, password, []byte("0123456789abcdef"), MinIterations)
	f.Fuzz(func(t *testing.T, msg string) {
		m, ok := parseClientFinal(msg)
		if ok && !strings.HasPrefix(msg, m.withoutProof+",p=") {
			t.Errorf("%q does not begin with %q", msg, m.withoutProof)
		}
		x := &scram{s: &Server{}, hash: SHA256, keys: keys, bound: []byte("n,,"), nonce: "abc", message: "n=romeo,r=a,r=abc"}
		if _, done, _ := x.final(t.Context(), []byte(msg)); done {
			t.Errorf("%q logs in", msg)
		}
	})
}
