package ops

import "slices"

// Right is one thing somebody may be allowed to do.
type Right string

// The rights. To read secrets — message bodies in a trace, a whole backup — is a right of its own.
const (
	ReadStatus     Right = "status.read"
	ReadAccounts   Right = "accounts.read"
	ChangeAccounts Right = "accounts.change"
	ReadSessions   Right = "sessions.read"
	EndSessions    Right = "sessions.end"
	ReadSettings   Right = "settings.read"
	ChangeSettings Right = "settings.change"
	ChangeHosts    Right = "hosts.change"
	ReadAudit      Right = "audit.read"
	ReadLog        Right = "log.read"
	Trace          Right = "trace"
	TraceBodies    Right = "trace.bodies"
	Backup         Right = "backup"
)

// Actor is who acts.
type Actor struct {
	Name   string // as the audit shows it: local:root, juliet@example.org
	Rights []Right
	all    bool
}

// Local is the owner of the server's socket, or root: he could open the database itself, so he may do everything.
func Local(user string) Actor { return Actor{Name: "local:" + user, all: true} }

// May tells whether the actor has a right.
func (a Actor) May(r Right) bool { return a.all || slices.Contains(a.Rights, r) }
