package sasl

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"chancery/xmpp/jid"
)

// MaxMessage bounds one message of the peer, decoded. The longest that makes sense carries an address twice.
const MaxMessage = 8 << 10

// Server is the server's side of one exchange: Start once, then Next for every response until it is done or has failed.
// Another attempt on the same stream needs another Server. The fields are set before Start.
//
// The functions may wait; when they fail, an error that is a *Failure goes to the peer as it is, and any other becomes
// temporary-auth-failure.
type Server struct {
	Domain   string    // whose users log in on this stream
	Offer    Offer     // what the stream has advertised
	Bindings []Binding // those of its TLS connection, with their data

	// Lookup gives the keys of an account, or fake ones; for SCRAM.
	Lookup func(ctx context.Context, user jid.JID, h Hash) (Keys, error)
	// CheckPassword tells whether a password is right, and takes as long when there is no such account; for PLAIN.
	CheckPassword func(ctx context.Context, user jid.JID, password string) (bool, error)
	// External tells for whom the peer's certificate speaks; authzid is zero when the peer leaves the choice to us.
	External func(ctx context.Context, authzid jid.JID) (jid.JID, error)

	begun     bool
	mechanism string
	next      step // nil before Start and after the end
	user      jid.JID
	binding   string
	done      bool
}

// step handles one message of the peer.
type step func(ctx context.Context, msg []byte) (answer []byte, done bool, err *Failure)

// Mechanism is the one that the peer chose; "" when it was not offered.
func (s *Server) Mechanism() string { return s.mechanism }

// User is the bare address that the peer says he is, and after the end the one he has proved; zero before he has named one.
func (s *Server) User() jid.JID { return s.user }

// Binding is the type of the channel binding in use; "" for none.
func (s *Server) Binding() string { return s.binding }

// Done tells whether the peer has proved who he is.
func (s *Server) Done() bool { return s.done }

// Start begins with the mechanism that the peer chose. initial is nil when no initial response came, which is not the same
// as an empty one. The answer is the next challenge, or when done the additional data for <success/>, nil for none.
func (s *Server) Start(ctx context.Context, mechanism string, initial []byte) (answer []byte, done bool, err *Failure) {
	if s.begun {
		return s.fail(malformed("authentication has begun already"))
	}
	s.begun = true
	if !slices.Contains(s.Offer.Mechanisms, mechanism) {
		return s.fail(&Failure{Condition: InvalidMechanism})
	}
	s.mechanism = mechanism
	switch h, plus, isScram := scramFamily(mechanism); {
	case isScram:
		s.next = (&scram{s: s, hash: h, plus: plus}).first
	case mechanism == Plain:
		s.next = s.plain
	case mechanism == External:
		s.next = s.external
	default:
		return s.fail(&Failure{Condition: InvalidMechanism})
	}
	if initial == nil {
		return []byte{}, false, nil // all mechanisms here begin with the client; it gets an empty challenge
	}
	return s.Next(ctx, initial)
}

// Next takes a response.
func (s *Server) Next(ctx context.Context, msg []byte) (answer []byte, done bool, err *Failure) {
	if s.next == nil {
		return s.fail(malformed("nothing was asked"))
	}
	if len(msg) > MaxMessage {
		return s.fail(malformed("the message is too long"))
	}
	answer, s.done, err = s.next(ctx, msg)
	if err != nil {
		return s.fail(err)
	}
	if s.done {
		s.next = nil
	}
	return answer, s.done, nil
}

// Abort ends the exchange because the peer wants to (RFC 6120 §6.4.4).
func (s *Server) Abort() *Failure {
	_, _, err := s.fail(&Failure{Condition: Aborted})
	return err
}

func (s *Server) fail(f *Failure) ([]byte, bool, *Failure) {
	s.next, s.done = nil, false
	return nil, false, f
}

// plain takes authzid NUL authcid NUL password (RFC 4616 §2).
func (s *Server) plain(ctx context.Context, msg []byte) ([]byte, bool, *Failure) {
	part := strings.Split(string(msg), "\x00")
	if len(part) != 3 || part[1] == "" || part[2] == "" || !utf8.Valid(msg) {
		return nil, false, malformed("PLAIN is authzid, name and password, separated by NUL")
	}
	if f := s.named(part[1], part[0]); f != nil {
		return nil, false, f
	}
	ok, err := s.CheckPassword(ctx, s.user, part[2])
	if err != nil {
		return nil, false, trouble(err)
	}
	if !ok {
		return nil, false, refused()
	}
	return nil, true, nil
}

// external takes an authzid or nothing (RFC 4422 appendix A.1).
func (s *Server) external(ctx context.Context, msg []byte) ([]byte, bool, *Failure) {
	var authzid jid.JID
	if len(msg) > 0 {
		var err error
		if authzid, err = jid.Parse(string(msg)); err != nil {
			return nil, false, &Failure{Condition: InvalidAuthzid}
		}
	}
	user, err := s.External(ctx, authzid)
	if err != nil {
		var f *Failure
		if errors.As(err, &f) {
			return nil, false, f
		}
		return nil, false, &Failure{Condition: NotAuthorized, Cause: err}
	}
	if !authzid.IsZero() && authzid != user {
		return nil, false, &Failure{Condition: InvalidAuthzid}
	}
	s.user = user
	return nil, true, nil
}

// named notes who the peer says he is. The authzid must be his own bare address or absent: nobody acts for anybody else
// (RFC 6120 §6.3.8).
func (s *Server) named(local, authzid string) *Failure {
	user, err := jid.New(local, s.Domain, "")
	if err != nil || user.Local() == "" {
		return refused() // no account has such a name, which is no secret
	}
	if authzid != "" {
		if other, err := jid.Parse(authzid); err != nil || other != user {
			return &Failure{Condition: InvalidAuthzid}
		}
	}
	s.user = user
	return nil
}

func malformed(text string) *Failure { return &Failure{Condition: MalformedRequest, Text: text} }

// refused is the one answer to everything that has to do with the account.
func refused() *Failure { return &Failure{Condition: NotAuthorized} }

func trouble(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{Condition: TemporaryAuthFailure, Cause: err}
}

// Decode reads the text of <auth/> or <response/> (RFC 6120 §6.4.2): base64 in its canonical form without white space.
// "=" is an empty message. For <auth/> no text at all means that there is no initial response, and gives nil; isAuth says
// which of the two it is.
func Decode(text string, isAuth bool) ([]byte, *Failure) {
	switch {
	case text == "" && isAuth:
		return nil, nil
	case text == "" || text == "=":
		return []byte{}, nil
	case base64.StdEncoding.DecodedLen(len(text)) > MaxMessage+2:
		return nil, malformed("the message is too long")
	}
	b, err := decode(text)
	if err != nil {
		return nil, &Failure{Condition: IncorrectEncoding}
	}
	return b, nil
}

// Encode writes a challenge, or the additional data of <success/>. An empty challenge is empty text; empty additional data
// would be "=".
func Encode(msg []byte) string { return base64.StdEncoding.EncodeToString(msg) }

// decode reads base64 strictly; encoding/base64 would skip line breaks.
func decode(text string) ([]byte, error) {
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		return nil, base64.CorruptInputError(i)
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}
