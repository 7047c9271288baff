package elem

import (
	"encoding/xml"
	"strings"
	"testing"
)

// The stanzas of the benchmarks: what a chat client sends, about 200 bytes and
// 1 KiB; one with a prefix, which must be written anew.
var (
	benchChat = `<message xmlns='jabber:client' to='juliet@capulet.example/balcony' id='b4c7a1f0' type='chat'><body>` +
		`Art thou not Romeo, and a Montague?</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>`
	benchLong = `<message to='juliet@capulet.example/balcony' id='b4c7a1f0' type='chat' xml:lang='en'><body>` +
		strings.Repeat("Neither, fair saint, if either thee dislike. ", 12) + `</body><active xmlns='http://jabber.org/protocol/chatstates'/>` +
		`<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/><origin-id xmlns='urn:xmpp:sid:0' id='b4c7a1f0'/>` +
		`<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/></message>`
	benchPrefixed = `<message to='juliet@capulet.example/balcony' id='b4c7a1f0' type='chat'><body>` +
		`Art thou not Romeo, and a Montague?</body><cs:active xmlns:cs='http://jabber.org/protocol/chatstates'/></message>`
)

// What the tokenizer costs, canonical copy of the payload included: CPU time on
// one core of an AMD EPYC (Go 1.26) that was busy with other work, where
// encoding/xml took 4.1 µs and 41 allocations for the tokens of the first.
//
//	chat-200B      530 ns   208 B   2 allocs   (the payload, its parts)
//	chat-1KiB     1420 ns  1184 B   2 allocs
//	prefixed-200B  560 ns   208 B   2 allocs
//	in batches     500 ns a stanza of 200 B
func BenchmarkDecoder(b *testing.B) {
	for _, c := range []struct{ name, stanza string }{
		{"chat-200B", benchChat}, {"chat-1KiB", benchLong}, {"prefixed-200B", benchPrefixed},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := NewDecoder(NSClient, Limits{})
			if _, err := feed(d, testHeader, 1<<20); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(c.stanza)))
			b.ReportAllocs()
			for b.Loop() {
				d.Filled(copy(d.Space(), c.stanza))
				if ev, err := d.Next(); err != nil || ev != TopElement {
					b.Fatal(ev, err)
				}
			}
		})
	}
}

// BenchmarkDecoderBatch has several stanzas in one read, as under load.
func BenchmarkDecoderBatch(b *testing.B) {
	d := NewDecoder(NSClient, Limits{})
	if _, err := feed(d, testHeader, 1<<20); err != nil {
		b.Fatal(err)
	}
	batch := strings.Repeat(benchChat, 20)
	b.ReportAllocs()
	for b.Loop() {
		d.Filled(copy(d.Space(), batch))
		for range 20 {
			if ev, err := d.Next(); err != nil || ev != TopElement {
				b.Fatal(ev, err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/20, "ns/stanza")
}

// BenchmarkEncodingXML is the same stanza with the standard library, for scale.
func BenchmarkEncodingXML(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		d := xml.NewDecoder(strings.NewReader(benchChat))
		for {
			if _, err := d.Token(); err != nil {
				break
			}
		}
	}
}

// BenchmarkParseNode: 680 ns, 784 B, 13 allocs; the nodes and their values.
func BenchmarkParseNode(b *testing.B) {
	iq := []byte(`<query xmlns='jabber:iq:roster' ver='17'><item jid='romeo@montague.example' name='Romeo' subscription='both'><group>Friends</group></item></query>`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(iq, NSClient); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseElement: 700 ns, 464 B, 4 allocs.
func BenchmarkParseElement(b *testing.B) {
	row := []byte(benchChat)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseElement(row, NSClient, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendNode: 116 ns, no allocation.
func BenchmarkAppendNode(b *testing.B) {
	n := New("jabber:iq:roster", "query").With("ver", "17").Add(
		New("jabber:iq:roster", "item").With("jid", "romeo@montague.example").With("name", "Romeo").With("subscription", "both").
			Add(New("jabber:iq:roster", "group").SetText("Friends")))
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = n.Append(buf[:0], NSClient)
	}
}

// BenchmarkText is 1 KiB of plain text: 0.33 µs with plainText, 0.88 µs byte by
// byte.
func BenchmarkText(b *testing.B) {
	s := []byte(strings.Repeat("Neither, fair saint, if either thee dislike. ", 23))
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		if plainText(s, 0) != len(s) {
			b.Fatal("text is not plain")
		}
	}
}
