package lru

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

func TestTheOldestIsForgotten(t *testing.T) {
	c := New[string, int](2)
	c.Put("a", 1)
	c.Put("b", 2)
	c.Get("a")
	c.Put("c", 3)
	if _, ok := c.Get("b"); ok {
		t.Error("b is still there")
	}
	if v, ok := c.Get("a"); !ok || v != 1 {
		t.Error("a is gone")
	}
	if n := c.Update("a", func(v int) int { return v + 10 }); n != 11 {
		t.Error("updated to", n)
	}
	c.Delete("a")
	c.Delete("a")
	if n := c.Len(); n != 1 {
		t.Error(n, "entries")
	}
	c.Clear()
	if n := c.Len(); n != 0 {
		t.Error(n, "entries")
	}
}

func TestStaleValuesAreNotKept(t *testing.T) {
	c := New[string, int](2)
	before := c.Generation()
	c.Delete("a") // somebody changed what a stands for
	if c.PutIf(before, "a", 1) {
		t.Error("the value from before the change was kept")
	}
	if !c.PutIf(c.Generation(), "a", 2) {
		t.Error("a fresh value was not kept")
	}
}

// TestAgainstAModel compares with a list that is easy to believe.
func TestAgainstAModel(t *testing.T) {
	const size = 5
	c := New[int, int](size)
	var order []int // newest first
	values := map[int]int{}
	touch := func(k int) {
		order = slices.DeleteFunc(order, func(o int) bool { return o == k })
		order = slices.Insert(order, 0, k)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for step := range 10_000 {
		k := r.IntN(10)
		switch r.IntN(4) {
		case 0, 1:
			c.Put(k, step)
			values[k] = step
			touch(k)
			if len(order) > size {
				delete(values, order[size])
				order = order[:size]
			}
		case 2:
			got, ok := c.Get(k)
			want, wanted := values[k]
			if got != want || ok != wanted {
				t.Fatalf("step %d: Get(%d) = %d, %t; want %d, %t", step, k, got, ok, want, wanted)
			}
			if ok {
				touch(k)
			}
		case 3:
			c.Delete(k)
			delete(values, k)
			order = slices.DeleteFunc(order, func(o int) bool { return o == k })
		}
		if c.Len() != len(order) {
			t.Fatalf("step %d: %d entries, want %d", step, c.Len(), len(order))
		}
	}
}

func TestManyGoroutines(t *testing.T) {
	c := New[string, int](100)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				k := fmt.Sprint((g*i + i) % 200)
				c.Put(k, i)
				c.Get(k)
				c.Update(k, func(n int) int { return n + 1 })
			}
		})
	}
	wg.Wait()
	if c.Len() > 100 {
		t.Error(c.Len(), "entries")
	}
}

func BenchmarkGet(b *testing.B) {
	c := New[string, int](1000)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint("user", i, "@a.example")
		c.Put(keys[i], i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Get(keys[i%1000])
	}
}
