package route

import (
	"context"

	"chancery/core/account"
	"chancery/core/session"
	"chancery/xmpp/jid"
)

// The stages of the pipeline, as small as the router needs them. Features and
// edges implement them; app/pipeline.go puts them in their places.

// Hosts knows our domains.
type Hosts interface {
	Serves(domain string) bool
}

// Accounts knows who has an account here.
type Accounts interface {
	// Find gives store.ErrNone when there is no such account.
	Find(ctx context.Context, bare jid.JID) (account.Account, error)
}

// Blocker tells whether an owner wants nothing to do with another address.
type Blocker interface {
	Blocks(ctx context.Context, owner account.Account, other jid.JID) (bool, error)
}

// Archiver adds the rows of a message to its commit and sets the marks.
type Archiver interface {
	Sent(ctx context.Context, t *Transit) error
	Received(ctx context.Context, t *Transit) error
}

// Copier hands copies to the sessions that want them.
type Copier interface {
	Sent(ctx context.Context, t *Transit)
	// Received does so for a message that goes to the chosen sessions.
	Received(ctx context.Context, t *Transit, chosen []*session.Session)
}

// Absent keeps messages while nobody is there.
type Absent interface {
	// Keep adds a row to the commit, or refuses with a *stanza.Error.
	Keep(ctx context.Context, t *Transit) error
	// Arriving says that a session is about to take messages. From now on
	// until all that is kept has been handed over, Behind is true.
	Arriving(s *session.Session)
	// Behind tells whether something that is kept for the session's account is
	// on its way to it, so that what comes now must be kept too, or overtake
	// it.
	Behind(s *session.Session) bool
	// Arrived hands over what is kept; the session takes messages from now
	// on. It may be called more than once.
	Arrived(ctx context.Context, s *session.Session)
}

// Presences does what RFC 6121 §3 and §4 say about presence.
type Presences interface {
	Outbound(ctx context.Context, t *Transit) error // from a client of ours
	Inbound(ctx context.Context, t *Transit) error  // to an account of ours
	ToServer(ctx context.Context, t *Transit) error // to a domain of ours
}

// Remote carries stanzas to other domains.
type Remote interface {
	Forward(ctx context.Context, t *Transit) error
}
