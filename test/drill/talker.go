package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"chancery/test/client"
)

// fate is what a talker knows of a message it sent.
type fate uint8

const (
	open         fate = iota // sent, nothing heard of it
	acknowledged             // the server has taken it
	refused                  // the server said that it has not
	unknown                  // the session was lost before either
)

// heard is a message that came.
type heard struct {
	number  int
	archive string // its id in the recipient's archive (XEP-0359)
	resumed int    // how many sessions the recipient had begun by then
}

// talker is a client under load: it sends numbered messages to its peers,
// changes a contact's name, changes its presence, and notes down what the
// server acknowledged and what came.
type talker struct {
	name  string
	peers []string
	dial  func() client.Config // where the server is now
	s     *client.Session

	room   chan struct{} // one for each message that waits for its acknowledgement
	rest   time.Duration // between two messages
	flow   atomic.Int64  // acknowledged messages
	online atomic.Bool

	mu        sync.Mutex
	fates     []fate // of message n at n-1
	to        []string
	heard     map[string][]heard // by sender
	refusals  map[string]int     // "type/condition" → times
	begun     int                // sessions begun afresh
	reasons   []string           // why a session was not resumed
	renamed   int                // last contact name that the server confirmed
	renames   int                // … that was asked for
	breaks    map[string]int     // how connections ended
	connects  int
	lastError error
}

func (g *ground) newTalker(name string, peers []string, dial func() client.Config) *talker {
	t := &talker{name: name, peers: peers, dial: dial, room: make(chan struct{}, g.window), rest: time.Second / time.Duration(g.rate),
		heard: map[string][]heard{}, refusals: map[string]int{}, breaks: map[string]int{}}
	t.s = client.NewSession(dial(), t.acked)
	return t
}

// tag is what a sent stanza is remembered by.
type tag struct{ message int }

// run talks until quiet is closed, then only listens until ctx ends.
func (t *talker) run(ctx context.Context, quiet <-chan struct{}) {
	var wait sync.WaitGroup
	wait.Go(func() { t.talk(ctx, quiet) })
	stop := context.AfterFunc(ctx, t.s.Cut)
	defer stop()
	for ctx.Err() == nil {
		t.connect(ctx)
		t.listen(ctx)
		t.online.Store(false)
	}
	wait.Wait()
}

// connect tries until it is on.
func (t *talker) connect(ctx context.Context) {
	for wait := 10 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 500*time.Millisecond) {
		t.s.Move(t.dial())
		lost, err := t.s.Connect(ctx)
		t.mu.Lock()
		t.lastError = err
		if err == nil || errors.Is(err, client.ErrNotResumed) {
			t.connects++
			t.online.Store(true)
		}
		fresh := t.begun == 0 && err == nil
		if errors.Is(err, client.ErrNotResumed) {
			t.reasons = append(t.reasons, err.Error())
			fresh = t.s.Online()
		}
		if fresh {
			t.begun++
		}
		t.mu.Unlock()
		t.forget(lost)
		if fresh {
			t.s.Send("<presence/>", tag{})
		}
		if t.s.Online() {
			return
		}
		pause(ctx, wait)
	}
}

// listen reads until the connection is gone.
func (t *talker) listen(ctx context.Context) {
	for {
		e, err := t.s.Read()
		if err != nil {
			t.mu.Lock()
			if ctx.Err() == nil {
				t.breaks[kindOf(err)]++
			}
			t.mu.Unlock()
			return
		}
		t.hear(e)
	}
}

func kindOf(err error) string {
	var se *client.StreamError
	if errors.As(err, &se) {
		return se.Error()
	}
	return "cut"
}

// hear notes what came, and answers what asks.
func (t *talker) hear(e *client.Element) {
	if e.XMLName.Local == "iq" && (e.Attr("type") == "get" || e.Attr("type") == "set") { // a ping of the server
		t.s.Send(fmt.Sprintf("<iq type='result' id='%s'/>", e.Attr("id")), tag{})
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case e.XMLName.Local == "message" && e.Attr("type") == "error":
		if n := number(e.Attr("id")); n > 0 && n <= len(t.fates) {
			condition, kind := e.Condition()
			t.refusals[kind+"/"+condition]++
			t.fates[n-1] = refused
		}
	case e.XMLName.Local == "message":
		from, _, _ := strings.Cut(e.Attr("from"), "@")
		if n := number(e.Attr("id")); n > 0 {
			own := t.name + "@" + t.dial().Domain
			t.heard[from] = append(t.heard[from], heard{n, e.StanzaID(own), t.begun})
		}
	case e.XMLName.Local == "iq" && strings.HasPrefix(e.Attr("id"), "rename-"):
		if e.Attr("type") == "result" {
			t.renamed = max(t.renamed, number(e.Attr("id")))
		}
	}
}

// number is the n of "kind-n"; 0 when it has none.
func number(id string) int {
	_, text, _ := strings.Cut(id, "-")
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// talk sends as fast as the rate and the window let it.
func (t *talker) talk(ctx context.Context, quiet <-chan struct{}) {
	beat := time.NewTicker(t.rest)
	defer beat.Stop()
	for n := 1; ; n++ {
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-quiet:
			return
		case <-ctx.Done():
			return
		case t.room <- struct{}{}:
		}
		to := t.peers[n%len(t.peers)]
		t.mu.Lock()
		t.fates = append(t.fates, open)
		t.to = append(t.to, to)
		t.mu.Unlock()
		t.s.Send(fmt.Sprintf("<message to='%s@%s' type='chat' id='m-%d'><body>%s %d</body></message>", to, t.dial().Domain, n, t.name, n), tag{n})
		switch {
		case n%97 == 0:
			t.rename()
		case n%31 == 0:
			t.s.Send(fmt.Sprintf("<presence><status>%d</status></presence>", n), tag{})
		}
		if n%(cap(t.room)/4+1) == 0 || len(t.room) == cap(t.room) {
			t.s.Request()
		}
	}
}

// rename changes the name of a contact: its result is an acknowledgement too.
func (t *talker) rename() {
	t.mu.Lock()
	t.renames++
	n := t.renames
	t.mu.Unlock()
	t.s.Send(fmt.Sprintf("<iq type='set' id='rename-%d'><query xmlns='jabber:iq:roster'><item jid='note@%s' name='%d'/></query></iq>", n, t.dial().Domain, n), tag{})
}

// acked is told by the session of each stanza that the server acknowledged.
func (t *talker) acked(note any) {
	n := note.(tag).message
	if n == 0 {
		return
	}
	t.mu.Lock()
	if t.fates[n-1] == open {
		t.fates[n-1] = acknowledged
		t.flow.Add(1)
	}
	t.mu.Unlock()
	<-t.room
}

// forget notes what a lost session leaves uncertain.
func (t *talker) forget(lost []any) {
	for _, note := range lost {
		n := note.(tag).message
		if n == 0 {
			continue
		}
		t.mu.Lock()
		if t.fates[n-1] == open {
			t.fates[n-1] = unknown
		}
		t.mu.Unlock()
		<-t.room
	}
}
