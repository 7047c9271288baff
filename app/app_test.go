package app

import (
	"context"
	"testing"

	"chancery/edge/listen"
)

func TestAServerThatStopsIsNotReady(t *testing.T) {
	s := &Server{listeners: []*listen.Listener{nil}}
	s.going, s.leave = context.WithCancel(t.Context())
	if err := s.listenersReady(t.Context()); err != nil {
		t.Error(err)
	}
	s.leave()
	if s.listenersReady(t.Context()) == nil {
		t.Error("ready while it stops: a load balancer would go on sending clients")
	}
}
