package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"chancery/admin/api"
	"chancery/base/obs"
)

// Administer opens the admin socket in the data folder, and the listener for metrics and health unless it is turned off. Both
// are open until the very end of Shutdown, so that somebody can watch it. A server in memory does without.
func (s *Server) Administer(ctx context.Context) error {
	socket, err := api.Listen(ctx, s.opt.Config.AdminSocket())
	if err != nil {
		return err
	}
	a := &api.Server{Ops: s.Ops, Log: s.log, Extra: map[string]http.Handler{
		"/debug/pprof/": obs.Pprof(), "GET /metrics": s.Metrics.Handler(),
	}}
	s.run.Go(func() {
		if err := a.Serve(s.ctx, socket); err != nil {
			s.log.Error("the admin socket has ended", "err", err)
		}
	})
	return s.watch(ctx)
}

// watch serves metrics and health.
func (s *Server) watch(ctx context.Context) error {
	address := s.opt.Config.Admin.Address
	if address == "off" {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) && s.opt.AnyPort {
		host, _, _ := net.SplitHostPort(address)
		if l, err = lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0")); err == nil {
			s.log.Warn("the port is in use by another program, another was taken", "listener", "admin", "wanted", address, "address", l.Addr().String())
		}
	}
	if err != nil {
		return fmt.Errorf("metrics and health on %s (admin.address): %w", address, err)
	}
	s.watchAddress = l.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.Metrics.Handler())
	s.Health.Mount(mux)
	srv := &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(s.ctx, func() { srv.Close() })
	s.run.Go(func() {
		defer stop()
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the listener for metrics and health has ended", "err", err)
		}
	})
	return nil
}

// WatchAddress is where metrics and health are served; "" when they are not.
func (s *Server) WatchAddress() string { return s.watchAddress }
