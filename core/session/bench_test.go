package session

import (
	"fmt"
	"log/slog"
	"testing"

	"chancery/core/settings"
	"chancery/xmpp/stream"
)

// sink is a client that reads at once, and says so.
type sink chan int

func (s sink) Write(p []byte) (int, error) {
	s <- len(p)
	return len(p), nil
}
func (sink) End([]byte, *stream.Error) {}
func (sink) Cut()                      {}

// BenchmarkOutbox is a burst of stanzas into an empty outbox: append, writer, and
// as few writes as there can be.
func BenchmarkOutbox(b *testing.B) {
	for _, managed := range []bool{false, true} {
		for _, burst := range []int{1, 8, 100} {
			b.Run(fmt.Sprintf("%d, acknowledged %v", burst, managed), func(b *testing.B) {
				full, _ := romeo.WithResource("phone")
				wire, st := make(sink, 1), chat("1")
				s := New(&Env{Settings: settings.Fixed(settings.Defaults()), Log: slog.New(slog.DiscardHandler)}, "c", full, 1, wire, Facts{})
				size, h := len(st.Append(nil, "")), uint32(0)
				if managed {
					if err := s.Enable(b.Context(), false); err != nil {
						b.Fatal(err)
					}
					<-wire
				}
				b.ReportAllocs()
				for b.Loop() {
					for range burst {
						s.Send(st)
					}
					for got := 0; got < burst*size; {
						got += <-wire
					}
					if h += uint32(burst); managed {
						s.Ack(h)
						for len(wire) > 0 { // <r/>
							<-wire
						}
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*burst), "ns/stanza")
			})
		}
	}
}
