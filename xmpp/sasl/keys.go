package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"hash"
)

// Hash is the hash function of a SCRAM family. Its zero value is none.
type Hash uint8

// The families that we keep keys for.
const (
	SHA1   Hash = iota + 1 // RFC 5802
	SHA256                 // RFC 7677
	SHA512                 // draft-melnikov-scram-sha-512
)

// Hashes lists all families, the weakest first.
func Hashes() []Hash { return []Hash{SHA1, SHA256, SHA512} }

// String is the name as it stands in the mechanism: SHA-256.
func (h Hash) String() string {
	switch h {
	case SHA1:
		return "SHA-1"
	case SHA256:
		return "SHA-256"
	case SHA512:
		return "SHA-512"
	}
	return fmt.Sprintf("Hash(%d)", uint8(h))
}

// ParseHash reads what String wrote.
func ParseHash(name string) (Hash, bool) {
	for _, h := range Hashes() {
		if h.String() == name {
			return h, true
		}
	}
	return 0, false
}

// New makes a hash function; it panics for a Hash that is none of ours.
func (h Hash) New() hash.Hash {
	switch h {
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	case SHA512:
		return sha512.New()
	}
	panic("sasl: " + h.String())
}

// Size is the length of its output in bytes.
func (h Hash) Size() int {
	switch h {
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	default:
		return sha512.Size
	}
}

// Keys is what a server keeps instead of a password (RFC 5802 §3). A stolen StoredKey does not log in, but it lets the
// thief try passwords; a stolen ServerKey lets him pretend to be the server.
type Keys struct {
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte

	// Fake marks the keys of an account that does not exist or is disabled. They are used like any others, so that the
	// answers and their timing are the same, and then the login is refused whatever the peer sent.
	Fake bool
}

// MinIterations is the least that RFC 5802 §5.1 and RFC 7677 §4 recommend.
const MinIterations = 4096

// SaltSize is the length of salts that NewSalt makes; FIPS 140-3 asks for 16 bytes at least.
const SaltSize = 16

// NewSalt makes a random salt.
func NewSalt() []byte {
	salt := make([]byte, SaltSize)
	rand.Read(salt)
	return salt
}

// Derive computes the keys of a password that has passed PRECIS OpaqueString. It costs the whole PBKDF2: about 1.5 ms of
// a core for 10,000 iterations of SHA-256. It panics when the process runs with GODEBUG=fips140=only and the hash is not
// approved, because such a process must not have offered the family.
func Derive(h Hash, password string, salt []byte, iterations int) Keys {
	salted, err := pbkdf2.Key(h.New, password, salt, iterations, h.Size())
	if err != nil {
		panic("sasl: PBKDF2 with " + h.String() + ": " + err.Error())
	}
	stored := h.New()
	stored.Write(mac(h, salted, "Client Key"))
	return Keys{Salt: salt, Iterations: iterations, StoredKey: stored.Sum(nil), ServerKey: mac(h, salted, "Server Key")}
}

// Matches tells whether password gives these keys, in the time of one Derive whatever the answer. Fake keys match nothing.
func (k Keys) Matches(h Hash, password string) bool {
	got := Derive(h, password, k.Salt, k.Iterations)
	same := subtle.ConstantTimeCompare(got.StoredKey, k.StoredKey)
	return same == 1 && !k.Fake
}

// FakeKeys makes the keys that stand in for an account that does not exist: always the same for the same secret, user and
// family, so that asking twice shows nothing. The secret must be random, kept for as long as the accounts are, and the
// same on all nodes; iterations should be what new accounts get.
func FakeKeys(secret []byte, h Hash, user string, iterations int) Keys {
	part := func(label string) []byte { return mac(h, secret, label+"\x00"+h.String()+"\x00"+user) }
	return Keys{Salt: part("salt")[:SaltSize], Iterations: iterations, StoredKey: part("stored"), ServerKey: part("server"), Fake: true}
}

func mac(h Hash, key []byte, text string) []byte {
	m := hmac.New(h.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
