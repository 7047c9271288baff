package carbons

import (
	"hash/maphash"
	"sync/atomic"

	"chancery/xmpp/jid"
)

// memory knows, of the messages copied lately, that they were copied. An error
// need not bring back what it answers (RFC 6120 §8.3.1), so its content says
// nothing; its sender, recipient and id do.
//
// It is a table of fixed size in which a newer message takes the place of an
// older one: half a MiB for the whole server, no lock, nothing to clean up. An
// error that comes after its message was forgotten is not copied.
type memory struct {
	seed  maphash.Seed
	slots []atomic.Uint64
}

const slots = 1 << 16

func newMemory() memory {
	return memory{seed: maphash.MakeSeed(), slots: make([]atomic.Uint64, slots)}
}

// key of a message between owner and peer, in whichever direction: an error
// travels the other way. The peer's resource is left out, because a message to
// a bare address may be refused by a full one.
func (m *memory) key(owner, peer jid.JID, id string) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	h.WriteString(owner.String())
	h.WriteByte(0)
	h.WriteString(peer.Bare().String())
	h.WriteByte(0)
	h.WriteString(id)
	return h.Sum64() | 1 // 0 is an empty slot
}

func (m *memory) add(owner, peer jid.JID, id string) {
	if id == "" {
		return
	}
	k := m.key(owner, peer, id)
	m.slots[k>>1%slots].Store(k)
}

func (m *memory) has(owner, peer jid.JID, id string) bool {
	if id == "" {
		return false
	}
	k := m.key(owner, peer, id)
	return m.slots[k>>1%slots].Load() == k
}
