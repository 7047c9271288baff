package app

import (
	"context"
	"errors"

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
		Forget: forgets(s), Refresh: s.refresh, Online: s.Online, Traces: ops.NewTraces(s.Sessions), Tail: s.opt.Tail,
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
	if len(s.listeners) == 0 {
		return errors.New("no listener is open")
	}
	return nil
}

// refresh puts changed rows into use: the one way from a change to new
// snapshots.
func (s *Server) refresh(ctx context.Context, what string) error {
	err := errors.Join(s.Settings.Refresh(ctx), s.Hosts.Refresh(ctx), s.TLS.Refresh())
	s.setModes()
	return err
}

// buildGauges connects what the parts count with the documented metrics.
func (s *Server) buildGauges() {
	s.Metrics = obs.NewMetrics(obs.ReadBuild())
	s.Metrics.Source(func(emit obs.Emit) {
		emit("chancery_start_time_seconds", float64(s.started.Unix()))
		door, c := s.gate.Stats(), &s.clients.Count
		emit("chancery_connections", float64(door.Open))
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
		emit("chancery_resumptions_total", float64(c.Resumed.Load()), "ok")
		for _, k := range []stanza.Kind{stanza.Message, stanza.Presence, stanza.IQ} {
			emit("chancery_stanzas_total", float64(s.Router.Count.Received(k)), k.String())
		}
	})
}

// background starts what works without being asked.
func (s *Server) background() {
	s.run.Go(func() { s.parts.archive.Run(s.ctx) })
	s.run.Go(func() { s.parts.offline.Run(s.ctx) })
}
