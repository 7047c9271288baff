package sasl

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scram is one exchange (RFC 5802 §3): first and final are the two messages of the client.
//
// An account that does not exist goes the whole way with fake keys, so that neither the bytes nor the time of the answers
// tell it from a wrong password.
type scram struct {
	s    *Server
	hash Hash
	plus bool

	keys    Keys
	bound   []byte // what the attribute c of the final message must hold: the GS2 header and the channel binding
	nonce   string // the client's and ours
	message string // so far: the client's first message without its header, and our first
}

// first takes "p=tls-exporter,,n=romeo,r=…" and answers "r=…,s=…,i=…,h=…".
func (x *scram) first(ctx context.Context, msg []byte) ([]byte, bool, *Failure) {
	m, ok := parseClientFirst(string(msg))
	if !ok {
		return nil, false, malformed("")
	}
	if m.mandatory {
		return nil, false, malformed("mandatory extensions are not supported")
	}
	data, f := x.bind(m)
	if f != nil {
		return nil, false, f
	}
	if f := x.s.named(m.user, m.authzid); f != nil {
		return nil, false, f
	}
	keys, err := x.s.Lookup(ctx, x.s.user, x.hash)
	if err != nil {
		return nil, false, trouble(err)
	}
	x.keys = keys
	x.bound = append([]byte(m.header), data...)
	x.nonce = m.nonce + newNonce()
	answer := "r=" + x.nonce + ",s=" + base64.StdEncoding.EncodeToString(keys.Salt) + ",i=" + strconv.Itoa(keys.Iterations) +
		",h=" + base64.StdEncoding.EncodeToString(x.s.Offer.digest(x.hash))
	x.message = m.bare + "," + answer
	x.s.next = x.final
	return []byte(answer), false, nil
}

// bind checks the channel binding flag (RFC 5802 §6) and finds the data that the client must have seen.
func (x *scram) bind(m clientFirst) ([]byte, *Failure) {
	switch m.flag {
	case 'y':
		// The client can bind and believes that we cannot: somebody has taken our -PLUS off the list.
		if x.s.Offer.plus() {
			return nil, &Failure{Condition: NotAuthorized, Text: "channel binding was offered"}
		}
		fallthrough
	case 'n':
		if x.plus {
			return nil, malformed("this mechanism needs a channel binding")
		}
		return nil, nil
	}
	if !x.plus {
		return nil, malformed("this mechanism has no channel binding")
	}
	if slices.Contains(x.s.Offer.Bindings, m.binding) {
		for _, b := range x.s.Bindings {
			if b.Type == m.binding {
				x.s.binding = b.Type
				return b.Data, nil
			}
		}
	}
	return nil, malformed("this channel binding type is not offered")
}

// final takes "c=…,r=…,p=…" and answers "v=…".
func (x *scram) final(_ context.Context, msg []byte) ([]byte, bool, *Failure) {
	m, ok := parseClientFinal(string(msg))
	if !ok || len(m.proof) != x.hash.Size() {
		return nil, false, malformed("")
	}
	x.message += "," + m.withoutProof
	good := subtle.ConstantTimeCompare([]byte(m.nonce), []byte(x.nonce))
	good &= subtle.ConstantTimeCompare(m.bound, x.bound)
	good &= x.proves(m.proof)
	if good != 1 || x.keys.Fake {
		return nil, false, refused()
	}
	signature := mac(x.hash, x.keys.ServerKey, x.message)
	return []byte("v=" + base64.StdEncoding.EncodeToString(signature)), true, nil
}

// proves recovers the client's key from the proof and compares its hash with what is stored.
func (x *scram) proves(proof []byte) int {
	m := hmac.New(x.hash.New, x.keys.StoredKey)
	m.Write([]byte(x.message))
	key := m.Sum(nil)
	subtle.XORBytes(key, key, proof)
	d := x.hash.New()
	d.Write(key)
	return subtle.ConstantTimeCompare(d.Sum(nil), x.keys.StoredKey)
}

// newNonce has 144 random bits.
func newNonce() string {
	b := make([]byte, 18)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// clientFirst is the client's first message, taken apart.
type clientFirst struct {
	header    string // the GS2 header with both commas
	flag      byte   // p, y or n
	binding   string // of flag p
	authzid   string
	bare      string // what follows the header
	user      string
	nonce     string
	mandatory bool // it begins with an extension that must be understood
}

// parseClientFirst obeys the grammar of RFC 5802 §7 to the letter.
func parseClientFirst(msg string) (m clientFirst, ok bool) {
	if !isText(msg) {
		return m, false
	}
	flag, rest, ok := strings.Cut(msg, ",")
	if !ok || flag == "" {
		return m, false
	}
	m.flag = flag[0]
	switch {
	case flag == "n" || flag == "y":
	case strings.HasPrefix(flag, "p=") && isBindingName(flag[2:]):
		m.binding = flag[2:]
	default:
		return m, false
	}
	authzid, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return m, false
	}
	if authzid != "" {
		value, isAttr := strings.CutPrefix(authzid, "a=")
		if m.authzid, ok = saslName(value); !ok || !isAttr {
			return m, false
		}
	}
	m.bare, m.header = bare, msg[:len(msg)-len(bare)]
	if strings.HasPrefix(bare, "m=") {
		m.mandatory = true
		return m, len(bare) > len("m=")
	}
	part := strings.Split(bare, ",")
	if len(part) < 2 {
		return m, false
	}
	name, isName := strings.CutPrefix(part[0], "n=")
	nonce, isNonce := strings.CutPrefix(part[1], "r=")
	if m.user, ok = saslName(name); !ok || !isName || !isNonce || !isPrintable(nonce) {
		return m, false
	}
	m.nonce = nonce
	return m, areExtensions(part[2:], "nrmapc")
}

// clientFinal is the client's second message, taken apart.
type clientFinal struct {
	withoutProof string
	bound        []byte
	nonce        string
	proof        []byte
}

func parseClientFinal(msg string) (m clientFinal, ok bool) {
	if !isText(msg) {
		return m, false
	}
	at := strings.LastIndex(msg, ",p=")
	if at < 0 {
		return m, false
	}
	m.withoutProof = msg[:at]
	part := strings.Split(m.withoutProof, ",")
	if len(part) < 2 {
		return m, false
	}
	bound, isBound := strings.CutPrefix(part[0], "c=")
	nonce, isNonce := strings.CutPrefix(part[1], "r=")
	if !isBound || !isNonce || !isPrintable(nonce) || !areExtensions(part[2:], "crmpna") {
		return m, false
	}
	m.nonce = nonce
	var errBound, errProof error
	m.bound, errBound = decode(bound)
	m.proof, errProof = decode(msg[at+len(",p="):])
	return m, errBound == nil && errProof == nil
}

// isText tells whether only characters of the grammar occur: UTF-8 without NUL.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// areExtensions tells whether these are optional extensions, which are signed and otherwise ignored, and none of taken.
func areExtensions(part []string, taken string) bool {
	for _, p := range part {
		if len(p) < 3 || p[1] != '=' || !isAlpha(p[0]) || strings.IndexByte(taken, p[0]) >= 0 {
			return false
		}
	}
	return true
}

// saslName undoes =2C and =3D; any other = is an error, and so is nothing.
func saslName(s string) (string, bool) {
	if strings.IndexByte(s, '=') < 0 {
		return s, s != ""
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		switch {
		case !found:
			return b.String(), true
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", false
		}
		s = after[2:]
	}
}

// isPrintable is the grammar of a nonce: not empty, printable ASCII, no comma (which a split has removed anyway).
func isPrintable(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e || r == ',' }) < 0
}

func isBindingName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r < 0x80 && isAlpha(byte(r)) || '0' <= r && r <= '9' || r == '.' || r == '-')
	}) < 0
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
