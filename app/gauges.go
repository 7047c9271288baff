package app

import (
	"context"
	"errors"
	"time"

	"chancery/admin/ops"
	"chancery/base/obs"
	"chancery/xmpp/stanza"
)

// buildOps gives administrators their tools.
func (s *Server) buildOps() {
	cfg := s.opt.Config
	s.Health = obs.NewHealth(
		obs.Check{Name: "database", Do: s.databaseReady},
		obs.Check{Name: "listeners", Do: s.listenersReady},
	)
	s.Ops = &ops.Ops{
		DB: s.DB, Accounts: s.Accounts, Hosts: s.Hosts, Settings: s.Settings, Log: s.log,
		Forget: forgets(s), Farewell: s.parts.presences.Farewell, Refresh: s.refresh, Online: s.Online, Traces: ops.NewTraces(s.Sessions), Tail: s.opt.Tail,
		Node: ops.Node{
			Build: obs.ReadBuild(), Started: s.started, Data: cfg.Data, Database: cfg.SafeDatabase(),
			Listeners: s.Addresses, Connections: func() int { return int(s.gate.Stats().Open) }, Health: s.Health,
		},
	}
}

func (s *Server) databaseReady(context.Context) error {
	if st := s.DB.Status(); !st.Available {
		return errors.New(st.Reason)
	}
	return nil
}

func (s *Server) listenersReady(context.Context) error {
	if s.going.Err() != nil {
		return errors.New("the server stops")
	}
	if len(s.listeners) == 0 {
		return errors.New("no listener is open")
	}
	return nil
}

// refresh puts changed rows into use: the one way from a change to new
// snapshots. They are few and small, so all are built anew, whatever has changed.
func (s *Server) refresh(ctx context.Context, _ string) error {
	err := errors.Join(s.Settings.Refresh(ctx), s.Hosts.Refresh(ctx), s.TLS.Refresh())
	s.setModes()
	return err
}

// buildGauges connects what the parts count with the documented metrics.
func (s *Server) buildGauges() {
	s.Metrics = obs.NewMetrics(obs.ReadBuild())
	s.Metrics.Source(s.emitNode)
	s.Metrics.Source(s.emitClients)
	s.Metrics.Source(s.emitStore)
}

func (s *Server) emitNode(emit obs.Emit) {
	emit("chancery_start_time_seconds", float64(s.started.Unix()))
	emit("chancery_ready", truth(s.Health.Ready(s.ctx).Ready))
	door := s.gate.Stats()
	emit("chancery_connections", float64(door.Open))
	emit("chancery_connections_total", float64(door.Taken))
	for reason, n := range door.Refused {
		emit("chancery_connections_refused_total", float64(n), reason)
	}
	emit("chancery_panics_total", float64(door.Panics))
}

func (s *Server) emitClients(emit obs.Emit) {
	c := &s.clients.Count
	emit("chancery_streams_total", float64(c.Streams.Load()))
	emit("chancery_tls_handshakes_total", float64(c.Handshakes.Load()), "ok")
	emit("chancery_tls_handshakes_total", float64(c.HandshakesFailed.Load()), "failed")
	emit("chancery_logins_total", float64(c.Logins.Load()), "ok")
	emit("chancery_logins_total", float64(c.Failures.Load()), "refused")
	emit("chancery_resumptions_total", float64(c.Resumed.Load()))
	connected, detached := 0, 0
	for _, one := range s.Online.All() {
		if one.Attached() {
			connected++
		} else {
			detached++
		}
	}
	emit("chancery_sessions", float64(connected), "connected")
	emit("chancery_sessions", float64(detached), "detached")
	for _, k := range []stanza.Kind{stanza.Message, stanza.Presence, stanza.IQ} {
		emit("chancery_stanzas_total", float64(s.Router.Count.Received(k)), k.String())
	}
	emit("chancery_messages_delivered_total", float64(s.Router.Count.Delivered()))
	s.Router.Count.Refused(func(condition string, n uint64) { emit("chancery_stanza_errors_total", float64(n), condition) })
}

func (s *Server) emitStore(emit obs.Emit) {
	st := s.DB.Status()
	emit("chancery_store_available", truth(st.Available))
	emit("chancery_store_waiting", float64(st.Waiting))
	emit("chancery_store_commits_total", float64(st.Commits))
	emit("chancery_store_requests_total", float64(st.Requests))
	emit("chancery_store_commit_seconds_total", time.Duration(st.CommitTime).Seconds())
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// background starts what works without being asked.
func (s *Server) background() {
	s.run.Go(func() { s.giveBack(s.ctx) })
	s.run.Go(func() { s.parts.archive.Run(s.ctx) })
	s.run.Go(func() { s.parts.offline.Run(s.ctx) })
}
