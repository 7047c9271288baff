package app

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/roster"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/edge/c2s"
	"chancery/feature/blocking"
	"chancery/feature/carbons"
	"chancery/feature/disco"
	"chancery/feature/lastactivity"
	"chancery/feature/limits"
	"chancery/feature/mam"
	"chancery/feature/offline"
	"chancery/feature/privatexml"
	"chancery/feature/registration"
	"chancery/feature/vcard"
	"chancery/store"
	"chancery/trust/live"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// parts are the features that this package must talk to.
type parts struct {
	rosters      *roster.Rosters
	presences    *roster.Presences
	archive      *mam.MAM
	offline      *offline.Offline
	blocking     *blocking.Blocking
	carbons      *carbons.Carbons
	disco        *disco.Disco
	activity     *lastactivity.LastActivity
	private      *privatexml.Private
	vcards       *vcard.VCards
	registration *registration.Registration
}

// buildPipeline puts the stages of a stanza in their places. The order in which
// they come is that of route.Submit and route.Deliver.
func (s *Server) buildPipeline(ctx context.Context) (err error) {
	s.Online = online.New()
	s.Sessions = &session.Env{DB: s.DB, Settings: s.Settings, Log: s.log, Ended: s.sessionEnded}
	r := &route.Router{Log: s.log, DB: s.DB, Online: s.Online, Hosts: served{s}, Accounts: s.Accounts, Forged: carbons.Forged, Reserved: reserved, Context: s.ctx}
	s.Router = r
	p := &parts{rosters: roster.New(s.DB, s.Settings, s.Online)}
	s.parts = p
	p.blocking = blocking.New(s.DB, s.Settings, p.rosters, s.Online, r, s.log)
	p.carbons = carbons.New(s.Online)
	if p.archive, err = mam.Open(ctx, s.DB, s.Settings, p.rosters, s.log); err != nil {
		return fmt.Errorf("the archive: %w", err)
	}
	p.offline = offline.New(s.DB, s.Settings, s.log)
	p.activity = lastactivity.New(s.DB, p.rosters, s.Online, s.log)
	p.presences = roster.NewPresences(roster.Parts{
		Rosters: p.rosters, Online: s.Online, Hosts: r.Hosts, Block: p.blocking, Absent: p.offline, Router: r, Settings: s.Settings,
		Left: p.activity.Gone,
	})
	p.disco = &disco.Disco{Software: "Chancery", Home: "https://chancery.example/", Rights: p.rosters, Online: s.Online}
	p.private = privatexml.New(s.DB, s.Settings)
	p.vcards = vcard.New(s.DB, s.Settings)
	p.registration = registration.New(s.DB, s.Settings, s.Accounts, remover{s}, s.log)

	r.Block, r.Archive, r.Copies, r.Absent = p.blocking, p.archive, p.carbons, p.offline
	r.Presence, r.Remote = p.presences, nowhere{}
	r.Answers = route.NewTable(modules(s, p)...)
	p.disco.Describe(r.Answers)
	s.clients = s.buildClients(p)
	return nil
}

func (s *Server) buildClients(p *parts) *c2s.Server {
	return &c2s.Server{
		Log: s.log, Settings: s.Settings, Hosts: s.Hosts, Accounts: s.Accounts, Throttle: account.NewThrottle(s.Settings),
		Online: s.Online, Sessions: s.Sessions, Router: s.Router, TLS: s.TLS, Going: s.going,
		StartTLS: s.TLS.Config(live.Clients), DirectTLS: s.TLS.Config(live.Clients, live.ALPNClient),
		Newcomers: p.registration, LoginFailed: s.loginFailed, Revived: s.sessionRevived,
		Features: func(set *settings.Settings, authenticated bool) []*elem.Node {
			all := []*elem.Node{p.disco.Caps(), limits.Feature(set, authenticated)}
			if authenticated {
				all = append(all, roster.StreamFeatures()...)
			}
			return all
		},
	}
}

// reserved are the children of messages that only the server or a service makes.
func reserved(p elem.Part) bool { return carbons.Forged(p) || mam.Forged(p) }

// served asks the domains in use.
type served struct{ s *Server }

func (h served) Serves(domain string) bool { return h.s.Hosts.Load().Serves(domain) }

// nowhere stands where federation will be: every other domain is unknown.
type nowhere struct{}

func (nowhere) Forward(context.Context, *route.Transit) error {
	return stanza.Refuse(stanza.RemoteServerNotFound, "this server does not talk to other servers")
}

// sessionEnded is called once for every session that is over. Contacts are told
// while it stands in the table: who binds the same resource meanwhile finds it there
// and waits, and is not seen to come before it was seen to go.
func (s *Server) sessionEnded(c *session.Session, rest []session.Entry) {
	if err := s.parts.presences.Gone(s.ctx, c); err != nil {
		s.log.Error("contacts were not told that somebody went away", "who", c.JID.String(), "err", err)
	}
	present := s.Online.Remove(c)
	s.Router.Rehome(s.ctx, c, rest)
	if present {
		s.Accounts.Seen(c.Account, time.Now())
	}
}

// sessionRevived is called when a client has resumed a session of the process
// before.
func (s *Server) sessionRevived(ctx context.Context, c *session.Session) {
	if err := s.parts.presences.Refresh(ctx, c); err != nil {
		s.log.Error("a resumed session was not told who is there", "who", c.JID.String(), "err", err)
	}
}

// loginFailed keeps failures for the audit; the throttle bounds how many there
// are.
func (s *Server) loginFailed(who jid.JID, from netip.Addr, mechanism, why string) {
	s.log.Info("login refused", "who", who.String(), "peer", from.String(), "mechanism", mechanism, "why", why)
	s.DB.Append([]store.Row{store.Do(`INSERT INTO audit (id, at, actor, action, target, detail) VALUES (?, ?, ?, ?, ?, ?)`,
		s.DB.NewID(), time.Now().UnixMicro(), from.String(), "login.refused", who.String(), mechanism+" "+why)}, nil)
}

// remover deletes an account with everything that belongs to it.
type remover struct{ s *Server }

func (r remover) Remove(ctx context.Context, a account.Account, gone func()) error {
	tell, err := r.s.parts.presences.Farewell(ctx, a)
	if err != nil {
		return err
	}
	err = r.s.DB.Write(ctx, func(tx store.Tx) error { return r.s.Accounts.Delete(ctx, tx, a.ID, forgets(r.s)...) })
	r.s.Accounts.Changed(a.JID)
	if err != nil {
		return err
	}
	gone()
	tell(ctx)
	r.s.kick(a.JID, removed())
	return nil
}
