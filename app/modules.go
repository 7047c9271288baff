package app

import (
	"context"

	"chancery/base/obs"
	"chancery/core/account"
	"chancery/core/route"
	"chancery/edge/c2s"
	"chancery/feature/contact"
	"chancery/feature/entitytime"
	"chancery/feature/limits"
	"chancery/feature/ping"
	"chancery/feature/version"
	"chancery/store"
	"chancery/xmpp/stream"
)

// modules is the list of features, in the order of the generated pages.
func modules(s *Server, p *parts) []route.Module {
	return []route.Module{
		c2s.Module(),
		p.presences.Module(),
		p.archive.Module(),
		p.offline.Module(),
		p.carbons.Module(),
		p.blocking.Module(),
		p.disco.Module(),
		p.vcards.Module(),
		p.private.Module(),
		p.activity.Module(),
		p.registration.Module(),
		contact.Module(s.Settings),
		ping.Module(),
		version.Module("Chancery", obs.ReadBuild().Version),
		entitytime.Module(),
		limits.Module(),
	}
}

// Modules lists what the server supports.
func (s *Server) Modules() []route.Module { return s.Router.Answers.Modules() }

// forgets are what features do when an account is removed.
func forgets(s *Server) []func(context.Context, store.Tx, account.Account) error {
	var all []func(context.Context, store.Tx, account.Account) error
	for _, m := range s.Modules() {
		if m.Forget != nil {
			all = append(all, m.Forget)
		}
	}
	return all
}

func removed() *stream.Error {
	return stream.Fail(stream.NotAuthorized, "the account has been removed")
}
