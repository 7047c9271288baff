// Package app is the wiring and nothing else: app.go builds and starts the parts
// in order and stops them in reverse, pipeline.go puts the stages of a stanza in
// their places, modules.go is the list of features, gauges.go connects what
// watches the server, admin.go lets administrators in, memory.go gives memory back.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"chancery/admin/ops"
	"chancery/base/config"
	"chancery/base/obs"
	"chancery/core/account"
	"chancery/core/host"
	"chancery/core/online"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/edge/c2s"
	"chancery/edge/listen"
	"chancery/store"
	"chancery/trust/keys"
	"chancery/trust/live"
	"chancery/xmpp/jid"
	"chancery/xmpp/stream"
)

// Options say what to run.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	Tail   *obs.Tail // the log, to be followed; may be nil
	// Domain is served when the database has none yet.
	Domain string
	// Names are further names for the certificate of the local CA: localhost.
	Names []string
	// Sockets are listeners that are bound already, by the name of their
	// configuration: from systemd, or in memory.
	Sockets map[string]net.Listener
	// AnyPort takes another port where the configured one is in use.
	AnyPort bool
}

// Server is one node.
type Server struct {
	opt     Options
	log     *slog.Logger
	started time.Time

	DB       *store.DB
	Settings *settings.Live
	Hosts    *host.Hosts
	Accounts *account.Accounts
	Online   *online.Table
	Sessions *session.Env
	Router   *route.Router
	TLS      *live.TLS
	CA       *keys.CA
	Ops      *ops.Ops
	Health   *obs.Health
	Metrics  *obs.Metrics

	gate      *listen.Gate
	clients   *c2s.Server
	listeners []*listen.Listener
	parts     *parts

	watchAddress string // of metrics and health

	ctx     context.Context // of everything that runs; ends last
	cancel  context.CancelFunc
	going   context.Context // ends when a shutdown begins
	leave   context.CancelFunc
	run     sync.WaitGroup // ends with ctx
	serving sync.WaitGroup // ends when the listeners are closed and the last connection is gone
}

// New opens the database and builds the parts. Nothing is served until Start.
// ctx is that of the whole life of the server.
func New(ctx context.Context, opt Options) (*Server, error) {
	s := &Server{opt: opt, log: opt.Log, started: time.Now()}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.going, s.leave = context.WithCancel(s.ctx)
	if err := s.build(ctx); err != nil {
		if s.DB != nil {
			err = errors.Join(err, s.DB.Close())
		}
		s.cancel()
		return nil, err
	}
	return s, nil
}

func (s *Server) build(ctx context.Context) (err error) {
	cfg := s.opt.Config
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("the data folder: %w", err)
	}
	if s.DB, err = store.Open(ctx, database(cfg), s.log); err != nil {
		return fmt.Errorf("the database %s: %w", cfg.SafeDatabase(), err)
	}
	if s.Settings, err = settings.Open(ctx, s.DB); err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}
	if s.Hosts, err = host.Open(ctx, s.DB); err != nil {
		return fmt.Errorf("reading the domains: %w", err)
	}
	if err := s.firstDomain(ctx); err != nil {
		return err
	}
	if s.Accounts, err = account.Open(ctx, s.DB, s.Settings); err != nil {
		return err
	}
	if err := s.buildTLS(cfg); err != nil {
		return err
	}
	s.gate = listen.NewGate(s.Settings, s.log)
	if err := s.buildPipeline(ctx); err != nil {
		return err
	}
	s.buildOps()
	s.buildGauges()
	return nil
}

func database(cfg *config.Config) store.Config {
	if cfg.Postgres() {
		return store.Config{Driver: store.Postgres, DSN: cfg.Database}
	}
	return store.Config{Driver: store.SQLite, Path: cfg.Database}
}

func (s *Server) firstDomain(ctx context.Context) error {
	if s.opt.Domain == "" || s.Hosts.Load().Default() != "" {
		return nil
	}
	err := s.DB.Write(ctx, func(tx store.Tx) error {
		_, err := s.Hosts.Add(ctx, tx, s.opt.Domain)
		return err
	})
	if err != nil {
		return fmt.Errorf("the domain %s: %w", s.opt.Domain, err)
	}
	return s.Hosts.Refresh(ctx)
}

func (s *Server) buildTLS(cfg *config.Config) (err error) {
	if s.CA, err = keys.LocalCA(filepath.Join(cfg.Data, "ca")); err != nil {
		return fmt.Errorf("the local certificate authority: %w", err)
	}
	s.TLS = live.New(live.Config{
		Dir: filepath.Join(cfg.Data, "tls"), CA: s.CA, Names: s.opt.Names, Log: s.log,
		Domains: func() []string { return s.Hosts.Load().All() },
	})
	return s.TLS.Refresh()
}

// Start revives the sessions of the process before, opens the doors and begins
// to serve. Shutdown must follow, also when it fails.
func (s *Server) Start(ctx context.Context) error {
	if err := s.revive(ctx); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	s.run.Go(func() { s.TLS.Run(s.ctx) })
	s.background()
	for _, l := range s.listeners {
		s.serving.Go(func() {
			if err := l.Serve(s.ctx, s.clients.Serve); err != nil {
				s.log.Error("a listener has ended", "listener", l.Name(), "err", err)
			}
		})
	}
	return nil
}

// revive brings back sessions that may still be resumed (XEP-0198).
func (s *Server) revive(ctx context.Context) error {
	accounts := map[int64]account.Account{}
	var failed error
	find := func(id int64) (jid.JID, bool) {
		a, ok := accounts[id]
		if !ok {
			var err error
			if a, err = account.ByID(ctx, s.DB.Read(), id); err != nil && !errors.Is(err, account.ErrNone) {
				failed = err
			}
			accounts[id] = a
		}
		return a.JID, !a.JID.IsZero() || failed != nil
	}
	all, err := session.Revive(ctx, s.Sessions, find)
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("reading the sessions that can be resumed: %w", err)
	}
	var over []*session.Session
	for _, old := range all {
		if _, err := s.Online.Bind(old, online.Policy{Conflict: "refuse"}); err != nil {
			old.SetPresence(nil) // its resource was bound anew before the end of it was on disk
			over = append(over, old)
			continue
		}
		if accounts[old.Account].Disabled {
			over = append(over, old)
			continue
		}
		s.Online.Resumable(old.ResumeID(), old)
		old.Await()
	}
	for _, old := range over { // what they had not acknowledged is for others
		old.End(nil)
	}
	if len(all) > 0 {
		s.log.Info("sessions wait for resumption", "sessions", len(all))
	}
	return nil
}

// open binds the ports.
func (s *Server) open(ctx context.Context) error {
	inherited, err := listen.Inherit(os.Getenv)
	if err != nil {
		return err
	}
	for _, c := range s.opt.Config.Listener {
		mode, err := listen.ParseMode(c.Mode)
		if err != nil {
			return err
		}
		cfg := listen.Config{Name: c.Name, Address: c.Address, Mode: mode, Direct: c.Direct, Proxy: c.ProxyPrefixes()}
		l, err := s.bind(ctx, cfg, inherited)
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	s.setModes()
	return nil
}

// setModes switches listeners to what the settings say now.
func (s *Server) setModes() {
	strict := s.Settings.Load().Listen.Strict
	for i, l := range s.listeners {
		mode := listen.Mode(s.opt.Config.Listener[i].Mode)
		if slices.Contains(strict, l.Name()) {
			mode = listen.Strict
		}
		l.SetMode(cmp.Or(mode, listen.Both))
	}
}

func (s *Server) bind(ctx context.Context, cfg listen.Config, inherited []listen.Socket) (*listen.Listener, error) {
	if sock := s.opt.Sockets[cfg.Name]; sock != nil {
		return listen.On(sock, cfg, s.gate, s.log), nil
	}
	if sock, ok := listen.Pick(inherited, cfg); ok {
		return listen.On(sock.Listener, cfg, s.gate, s.log), nil
	}
	l, err := listen.Open(ctx, cfg, s.gate, s.log)
	if !errors.Is(err, listen.ErrInUse) || !s.opt.AnyPort {
		return l, err
	}
	host, _, splitErr := net.SplitHostPort(cfg.Address)
	if splitErr != nil {
		return nil, err
	}
	wanted := cfg.Address
	cfg.Address = net.JoinHostPort(host, "0")
	if l, err = listen.Open(ctx, cfg, s.gate, s.log); err == nil {
		s.log.Warn("the port is in use by another program, another was taken", "listener", cfg.Name, "wanted", wanted, "address", l.Addr().String())
	}
	return l, err
}

// Addresses of the listeners, by name; with the real ports.
func (s *Server) Addresses() map[string]string {
	all := map[string]string{}
	for _, l := range s.listeners {
		all[l.Name()] = l.Addr().String()
	}
	return all
}

// Shutdown stops accepting, tells every stream system-shutdown, waits for
// connections until ctx is done, and closes the database. Sessions that can be
// resumed stay in it for the next process.
func (s *Server) Shutdown(ctx context.Context) error {
	s.leave()
	for _, l := range s.listeners {
		l.Close()
	}
	all := s.Online.All()
	for _, c := range all {
		c.Suspend(c2s.Shutdown())
	}
	for _, c := range all {
		if c.Ended() { // it could not be resumed
			c.End(nil)
		}
	}
	stop := context.AfterFunc(ctx, s.cancel)
	s.waitForConnections(ctx)
	s.cancel()
	stop()
	s.serving.Wait()
	s.run.Wait()
	return s.DB.Close()
}

// waitForConnections gives the goodbyes time to be said.
func (s *Server) waitForConnections(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		s.serving.Wait()
		s.Sessions.Settle()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// kick ends every session of an account.
func (s *Server) kick(bare jid.JID, why *stream.Error) {
	for _, c := range s.Online.Sessions(bare) {
		c.End(why)
	}
}
