package mam

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"chancery/store"
	"chancery/xmpp/jid"
)

// keys hide what ids and hashes would tell. They are the server's, the same on
// all nodes and for ever: clients remember ids.
type keys struct {
	block cipher.Block
	hash  [32]byte
}

const keyBytes = 16 + 32

func newKeys(secret []byte) (*keys, error) {
	if len(secret) != keyBytes {
		return nil, fmt.Errorf("the key of the archive has %d bytes instead of %d", len(secret), keyBytes)
	}
	block, err := aes.NewCipher(secret[:16])
	if err != nil {
		return nil, err
	}
	k := &keys{block: block}
	copy(k.hash[:], secret[16:])
	return k, nil
}

// loadKeys reads the key, or makes it when the server starts for the first time.
func loadKeys(ctx context.Context, db *store.DB) (*keys, error) {
	const find = `SELECT value FROM secret WHERE name = 'archive'`
	var secret []byte
	err := db.Read().QueryRow(ctx, find).Scan(&secret)
	if errors.Is(err, store.ErrNone) {
		fresh := make([]byte, keyBytes)
		rand.Read(fresh)
		err = db.Write(ctx, func(tx store.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO secret (name, value) VALUES ('archive', ?) ON CONFLICT (name) DO NOTHING`, fresh); err != nil {
				return err
			}
			return tx.QueryRow(ctx, find).Scan(&secret)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("the key of the archive: %w", err)
	}
	return newKeys(secret)
}

// encoding is strict: an id has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// token is how a client knows a message of one archive: one block of AES over
// the owner and the message. It cannot be guessed, says nothing of when or how
// much was archived (XEP-0359 security considerations), needs no column and no
// index, and is nonsense in anybody else's archive.
func (k *keys) token(owner, id int64) string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:8], uint64(owner))
	binary.BigEndian.PutUint64(b[8:], uint64(id))
	k.block.Encrypt(b[:], b[:])
	return encoding.EncodeToString(b[:])
}

// open is the message a token stands for; false when it is none of owner's.
func (k *keys) open(owner int64, token string) (id int64, ok bool) {
	var b [aes.BlockSize]byte
	if len(token) != encoding.EncodedLen(len(b)) {
		return 0, false
	}
	if n, err := encoding.Decode(b[:], []byte(token)); err != nil || n != len(b) {
		return 0, false
	}
	k.block.Decrypt(b[:], b[:])
	id = int64(binary.BigEndian.Uint64(b[8:]))
	return id, int64(binary.BigEndian.Uint64(b[:8])) == owner && id > 0
}

// conversation is the hash under which messages between two bare addresses
// stand. Those that both keep, and those that only one of them keeps, are
// apart, so that each finds his own and nothing else under two numbers. keeper
// is the one who keeps them, the zero JID when both do.
func (k *keys) conversation(a, b, keeper jid.JID) int64 {
	if b.String() < a.String() {
		a, b = b, a
	}
	buf := make([]byte, 0, 256) // on the stack for all but monstrous addresses
	buf = append(buf, k.hash[:]...)
	for _, j := range [...]jid.JID{a, b, keeper} {
		buf = append(buf, j.String()...)
		buf = append(buf, 0) // in no address
	}
	sum := sha256.Sum256(buf)
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// conversations are the two numbers of owner's messages with a peer.
func (k *keys) conversations(owner, peer jid.JID) [2]int64 {
	return [2]int64{k.conversation(owner, peer, jid.JID{}), k.conversation(owner, peer, owner)}
}
