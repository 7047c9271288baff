package node

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
)

// Scram is the client's side of SCRAM (RFC 5802, RFC 7677), written apart from the server's and with every part in the
// open, so that a script can lie about any of them.
type Scram struct {
	Hash     func() hash.Hash
	User     string
	Password string
	GS2      string // "n,,", "y,,", "p=tls-exporter,,", or with an authzid
	Binding  []byte // channel binding data; nil without
	Nonce    string

	salted    func(password, salt string, iterations int) ([]byte, error)
	firstBare string
	auth      string
	signature []byte
}

// ScramHash is the hash that a mechanism's name names.
func ScramHash(mechanism string) (func() hash.Hash, error) {
	switch strings.TrimSuffix(mechanism, "-PLUS") {
	case "SCRAM-SHA-1":
		return sha1.New, nil
	case "SCRAM-SHA-256":
		return sha256.New, nil
	case "SCRAM-SHA-512":
		return sha512.New, nil
	}
	return nil, fmt.Errorf("%s is no SCRAM mechanism", mechanism)
}

// First is the client-first-message.
func (s *Scram) First() string {
	if s.GS2 == "" {
		s.GS2 = "n,,"
	}
	s.firstBare = "n=" + scramName.Replace(s.User) + ",r=" + s.Nonce
	return s.GS2 + s.firstBare
}

var scramName = strings.NewReplacer("=", "=3D", ",", "=2C")

// Final is the client-final-message that answers the server-first-message.
func (s *Scram) Final(serverFirst string) (string, error) {
	f := attributes(serverFirst)
	salt, err := base64.StdEncoding.DecodeString(f["s"])
	if err != nil || len(salt) == 0 {
		return "", fmt.Errorf("salt of %q", serverFirst)
	}
	iterations, err := strconv.Atoi(f["i"])
	if err != nil {
		return "", fmt.Errorf("iterations of %q", serverFirst)
	}
	if !strings.HasPrefix(f["r"], s.Nonce) || f["r"] == s.Nonce {
		return "", fmt.Errorf("nonce of %q does not extend ours", serverFirst)
	}
	salted, err := s.saltedPassword(string(salt), iterations)
	if err != nil {
		return "", err
	}
	bare := "c=" + base64.StdEncoding.EncodeToString(append([]byte(s.GS2), s.Binding...)) + ",r=" + f["r"]
	s.auth = s.firstBare + "," + serverFirst + "," + bare

	clientKey := s.mac(salted, "Client Key")
	h := s.Hash()
	h.Write(clientKey)
	proof := s.mac(h.Sum(nil), s.auth)
	subtle.XORBytes(proof, proof, clientKey)
	s.signature = s.mac(s.mac(salted, "Server Key"), s.auth)
	return bare + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// Check verifies the server-final-message: the server knows the password too.
func (s *Scram) Check(serverFinal string) error {
	v, err := base64.StdEncoding.DecodeString(attributes(serverFinal)["v"])
	if err != nil || !hmac.Equal(v, s.signature) {
		return errors.New("the server's signature is wrong: it does not know the password")
	}
	return nil
}

func (s *Scram) mac(key []byte, text string) []byte {
	m := hmac.New(s.Hash, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func (s *Scram) saltedPassword(salt string, iterations int) ([]byte, error) {
	if s.salted != nil {
		return s.salted(s.Password, salt, iterations)
	}
	return pbkdf2.Key(s.Hash, s.Password, []byte(salt), iterations, s.Hash().Size())
}

// saltCache remembers salted passwords, as real clients do: accounts are made once for hundreds of logins.
type saltCache struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (c *saltCache) salted(h func() hash.Hash) func(password, salt string, iterations int) ([]byte, error) {
	return func(password, salt string, iterations int) ([]byte, error) {
		id := fmt.Sprintf("%d %d %q %q", h().Size(), iterations, salt, password)
		c.mu.Lock()
		defer c.mu.Unlock()
		if k, ok := c.keys[id]; ok {
			return k, nil
		}
		k, err := pbkdf2.Key(h, password, []byte(salt), iterations, h().Size())
		if c.keys == nil {
			c.keys = map[string][]byte{}
		}
		c.keys[id] = k
		return k, err
	}
}

// attributes splits "a=1,b=2".
func attributes(message string) map[string]string {
	m := map[string]string{}
	for f := range strings.SplitSeq(message, ",") {
		if k, v, ok := strings.Cut(f, "="); ok {
			m[k] = v
		}
	}
	return m
}
