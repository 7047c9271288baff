// Package lru is a map of bounded size that forgets what was not asked for longest.
package lru

import "sync"

// Cache is safe for use by many goroutines. All operations take constant time under one lock.
type Cache[K comparable, V any] struct {
	max int

	mu         sync.Mutex
	entries    map[K]*entry[K, V]
	root       entry[K, V] // of the ring; root.next is the newest
	generation uint64
}

type entry[K comparable, V any] struct {
	key        K
	value      V
	prev, next *entry[K, V]
}

// New makes a cache for at most size entries, at least one.
func New[K comparable, V any](size int) *Cache[K, V] {
	c := &Cache[K, V]{max: max(size, 1), entries: map[K]*entry[K, V]{}}
	c.root.prev, c.root.next = &c.root, &c.root
	return c
}

// Get finds a value and makes it the newest.
func (c *Cache[K, V]) Get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		var none V
		return none, false
	}
	c.toFront(e)
	return e.value, true
}

// Put keeps a value as the newest, and forgets the oldest when there are too many.
func (c *Cache[K, V]) Put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(key, value)
}

// Update changes the value of a key, the zero value when there is none, and keeps what change returns. change runs
// under the lock of the cache: it must be short and must not use the cache.
func (c *Cache[K, V]) Update(key K, change func(V) V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	var v V
	if e := c.entries[key]; e != nil {
		v = e.value
	}
	v = change(v)
	c.put(key, v)
	return v
}

// Generation changes with every Delete and Clear. Who fills the cache from elsewhere asks for it before he looks there, and
// gives it to PutIf.
func (c *Cache[K, V]) Generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

// PutIf is Put, unless something was deleted since Generation: then the value may be out of date and is not kept.
func (c *Cache[K, V]) PutIf(generation uint64, key K, value V) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return false
	}
	c.put(key, value)
	return true
}

// Delete forgets a key.
func (c *Cache[K, V]) Delete(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	if e := c.entries[key]; e != nil {
		c.remove(e)
	}
}

// Clear forgets everything.
func (c *Cache[K, V]) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	clear(c.entries)
	c.root.prev, c.root.next = &c.root, &c.root
}

// Len is the number of entries.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// The rest is called with mu held.

func (c *Cache[K, V]) put(key K, value V) {
	e := c.entries[key]
	if e == nil {
		e = &entry[K, V]{key: key}
		e.prev, e.next = e, e
		c.entries[key] = e
	}
	e.value = value
	c.toFront(e)
	if len(c.entries) > c.max {
		c.remove(c.root.prev)
	}
}

func (c *Cache[K, V]) toFront(e *entry[K, V]) {
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = &c.root, c.root.next
	e.prev.next, e.next.prev = e, e
}

func (c *Cache[K, V]) remove(e *entry[K, V]) {
	delete(c.entries, e.key)
	e.prev.next, e.next.prev = e.next, e.prev
}
