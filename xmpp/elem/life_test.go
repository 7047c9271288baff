package elem

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func opened(t testing.TB, l Limits) *Decoder {
	t.Helper()
	d := NewDecoder(NSClient, l)
	if _, err := feed(d, testHeader, 1<<20); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestIdleDecoderHoldsNoBuffer(t *testing.T) {
	d := opened(t, Limits{})
	if _, err := feed(d, "<message><body>x</body></message> ", 1<<20); err != nil {
		t.Fatal(err)
	}
	d.Release()
	if d.w != nil {
		t.Error("a buffer is held")
	}
	if ev, err := d.Next(); err != ErrMore || d.Partial() || d.Buffered() != 0 {
		t.Error(ev, err)
	}
	got, err := feed(d, "<iq/>", 2)
	if err != nil || len(got) != 1 || got[0] != "{jabber:client}iq[]" {
		t.Error(got, err)
	}
}

func TestBegunElementIsKept(t *testing.T) {
	d := opened(t, Limits{})
	if _, err := feed(d, "<message><bo", 1<<20); err != nil {
		t.Fatal(err)
	}
	d.Release()
	if !d.Partial() || d.Buffered() != 12 {
		t.Fatal("an element that has begun was dropped", d.Buffered())
	}
	got, err := feed(d, "dy/></message>", 1<<20)
	if err != nil || len(got) != 1 || got[0] != "{jabber:client}message[<body/>] {jabber:client}body=<body/>" {
		t.Error(got, err)
	}
}

// TestPipelinedBytesAreSeen is what RFC 6120 §5.4.3.3 needs to know after
// <starttls/>.
func TestPipelinedBytesAreSeen(t *testing.T) {
	const tls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	for _, c := range []struct {
		more string
		want int
	}{{"", 0}, {"<stream:stream", 14}, {"\x16\x03", 2}} {
		d := opened(t, Limits{})
		d.Filled(copy(d.Space(), tls+c.more))
		if ev, err := d.Next(); ev != TopElement || err != nil || d.Buffered() != c.want {
			t.Errorf("%q: %v %v, %d bytes", c.more, ev, err, d.Buffered())
		}
		d.Discard()
		if d.Buffered() != 0 {
			t.Error("bytes were not dropped")
		}
	}
}

func TestRestart(t *testing.T) {
	d := opened(t, Limits{})
	d.Filled(copy(d.Space(), "<auth xmlns='urn:a'/>"+testHeader+"<iq/>"))
	want := []Event{TopElement, StreamOpen, TopElement}
	for i, w := range want {
		ev, err := d.Next()
		if ev != w || err != nil {
			t.Fatalf("event %d: %v %v", i, ev, err)
		}
		if i == 0 {
			d.Reset()
		}
	}
	// What was declared on the old header is gone, and a stanza is no header.
	d.Reset()
	if _, err := feed(d, "<iq xmlns='jabber:client'/>", 100); condition(err) != "invalid-namespace" {
		t.Error(err)
	}
	d.Discard()
	d.Reset()
	if got, err := feed(d, "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'><stream:x/>", 100); len(got) != 1 || condition(err) != "not-well-formed" {
		t.Error(got, err)
	}
}

func TestNothingComesAfterTheClose(t *testing.T) {
	for _, end := range []string{"</stream:stream>", "</stream:stream >"} {
		d := opened(t, Limits{})
		d.Filled(copy(d.Space(), end+"<iq/>\xff"))
		for range 3 {
			if ev, err := d.Next(); ev != StreamClose || err != nil {
				t.Fatalf("%v %v", ev, err)
			}
		}
		if d.Partial() {
			t.Error("bytes after the close are kept")
		}
	}
	d := NewDecoder(NSClient, Limits{})
	d.Filled(copy(d.Space(), strings.Replace(testHeader, "'>", "'/>", 1)))
	for _, want := range []Event{StreamOpen, StreamClose} {
		if ev, err := d.Next(); ev != want || err != nil {
			t.Errorf("%v %v, want %v", ev, err, want)
		}
	}
}

func TestLimitsChangeAfterAuthentication(t *testing.T) {
	big := "<message><body>" + strings.Repeat("x", 100<<10) + "</body></message>"
	if _, err := feed(opened(t, Limits{}), big, 4096); condition(err) != "policy-violation" {
		t.Error(err)
	}
	d := opened(t, Limits{})
	d.SetLimits(Limits{Bytes: 256 << 10, Depth: 64, Attrs: 64, Namespaces: 64})
	got, err := feed(d, big+"<iq/>", 4096)
	if err != nil || len(got) != 2 {
		t.Fatal(len(got), err)
	}
	d.Space()
	if n := len(d.w.buf); n > maxKept {
		t.Errorf("a buffer of %d bytes outlives the stanza it was needed for", n)
	}
}

// TestPayloadIsForEver: what was handed out does not change when the buffer is
// used again, on this stream or another.
func TestPayloadIsForEver(t *testing.T) {
	d := opened(t, Limits{})
	var kept []*Element
	for i := range 100 {
		text := fmt.Sprintf("<message><body>%d</body><p:x xmlns:p='urn:%d'/></message>", i, i)
		d.Filled(copy(d.Space(), text))
		if _, err := d.Next(); err != nil {
			t.Fatal(err)
		}
		e := *d.Element()
		kept = append(kept, &e)
		d.Release()
	}
	for i, e := range kept {
		want := fmt.Sprintf("<body>%d</body><x xmlns='urn:%d'/>", i, i)
		if string(e.Inner) != want || e.Parts[1].Space != fmt.Sprintf("urn:%d", i) || len(e.Inner) != cap(e.Inner) {
			t.Errorf("%d: %s %v", i, e.Inner, e.Parts)
		}
	}
}

// TestStreamsShareScratch runs streams side by side, for the race detector.
func TestStreamsShareScratch(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			d := NewDecoder(NSClient, Limits{})
			if _, err := feed(d, testHeader, 50); err != nil {
				t.Error(err)
				return
			}
			for i := range 200 {
				id := fmt.Sprintf("%d-%d", g, i)
				got, err := feed(d, "<message><x xmlns='urn:"+id+"'>"+id+"</x></message>", 9)
				want := "{jabber:client}message[<x xmlns='urn:" + id + "'>" + id + "</x>] {urn:" + id + "}x=<x xmlns='urn:" + id + "'>" + id + "</x>"
				if err != nil || len(got) != 1 || got[0] != want {
					t.Errorf("%q %v, want %q", got, err, want)
				}
				d.Release()
			}
		})
	}
	wg.Wait()
}
