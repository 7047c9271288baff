package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"chancery/admin/api"
	"chancery/base/obs"
)

// openAdmin opens the socket for administrators and, unless it is off, the
// listener for machines that watch this one.
func (s *Server) openAdmin(ctx context.Context) error {
	if !s.opt.Administered {
		return nil
	}
	socket, err := api.Listen(ctx, s.opt.Config.AdminSocket())
	if err != nil {
		return err
	}
	extra := map[string]http.Handler{"/debug/pprof/": obs.Pprof(), "/metrics": s.Metrics.Handler()}
	server := &api.Server{Ops: s.Ops, Log: s.log, Extra: extra}
	s.run.Go(func() {
		if err := server.Serve(s.ctx, socket); err != nil {
			s.log.Error("the admin socket has ended", "err", err)
		}
	})
	return s.openWatch(ctx)
}

// openWatch serves /metrics, /healthz and /readyz.
func (s *Server) openWatch(ctx context.Context) error {
	address := s.opt.Config.Admin.Address
	if address == "off" || address == "" {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil && s.opt.AnyPort {
		host, _, _ := net.SplitHostPort(address)
		l, err = lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return fmt.Errorf("the listener for metrics and health: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.Metrics.Handler())
	s.Health.Mount(mux)
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	s.watch = l.Addr().String()
	s.run.Go(func() {
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the listener for metrics and health has ended", "err", err)
		}
	})
	context.AfterFunc(s.ctx, func() { h.Close() })
	return nil
}
