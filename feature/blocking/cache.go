package blocking

import "sync"

// maxWeight bounds what all lists in memory weigh: one for each list and one
// for each address on it. It is some 20 MiB when full.
const maxWeight = 200_000

// cache keeps lists by account. When it is full, any list may have to go: all
// are one query away.
type cache struct {
	limit int

	mu     sync.RWMutex
	lists  map[int64]list
	weight int
	age    uint64 // counts changes; what was read before a change is not kept after it
}

func newCache(limit int) cache {
	return cache{limit: limit, lists: map[int64]list{}}
}

// get also tells the age, for put.
func (c *cache) get(id int64) (l list, age uint64, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	l, ok = c.lists[id]
	return l, c.age, ok
}

// put keeps a list that was read when the cache had that age.
func (c *cache) put(id int64, l list, age uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age != c.age {
		return
	}
	c.remove(id)
	c.lists[id] = l
	c.weight += 1 + len(l)
	for other := range c.lists {
		if c.weight <= c.limit {
			break
		}
		c.remove(other)
	}
}

// drop forgets a list that has changed.
func (c *cache) drop(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.age++
	c.remove(id)
}

// remove is called with mu held.
func (c *cache) remove(id int64) {
	if l, ok := c.lists[id]; ok {
		c.weight -= 1 + len(l)
		delete(c.lists, id)
	}
}
