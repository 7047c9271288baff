package ops

import (
	"context"
	"time"

	"chancery/base/obs"
	"chancery/core/account"
	"chancery/store"
)

// Node is what Status tells of the running server.
type Node struct {
	Build       obs.Build
	Started     time.Time
	Data        string                   // the data folder
	Database    string                   // where the rows are, without a password
	Listeners   func() map[string]string // name → address
	Connections func() int               // open at the door, logged in or not
	Health      *obs.Health
}

// Status is the state of a node on one page.
type Status struct {
	Build       obs.Build         `json:"build"`
	Started     time.Time         `json:"started"`
	Uptime      int64             `json:"uptime_seconds"`
	Data        string            `json:"data"`
	Ready       bool              `json:"ready"`
	Checks      map[string]string `json:"checks,omitempty"`
	Database    Database          `json:"database"`
	Listeners   map[string]string `json:"listeners,omitempty"`
	Connections int               `json:"connections"`
	Sessions    SessionCount      `json:"sessions"`
	Hosts       []string          `json:"hosts"`
	Accounts    int               `json:"accounts"`
	Problems    []string          `json:"problems"` // what needs somebody's attention
}

// Database is where the rows are and how it is.
type Database struct {
	store.Status
	Where string `json:"where"`
}

// SessionCount counts who is logged in.
type SessionCount struct {
	Connected int `json:"connected"`
	Detached  int `json:"detached"` // waiting for resumption
}

// Status looks at the node.
func (o *Ops) Status(ctx context.Context, by Actor) (Status, error) {
	if err := o.allow(by, ReadStatus, "status"); err != nil {
		return Status{}, err
	}
	n := o.Node
	s := Status{
		Build: n.Build, Started: n.Started, Uptime: int64(time.Since(n.Started) / time.Second), Data: n.Data, Ready: true,
		Database: Database{o.DB.Status(), n.Database}, Hosts: o.Hosts.Load().All(), Problems: []string{},
	}
	if n.Listeners != nil {
		s.Listeners = n.Listeners()
	}
	if n.Connections != nil {
		s.Connections = n.Connections()
	}
	if n.Health != nil {
		r := n.Health.Ready(ctx)
		s.Ready, s.Checks = r.Ready, r.Checks
	}
	if o.Online != nil {
		for _, session := range o.Online.All() {
			if session.Attached() {
				s.Sessions.Connected++
			} else {
				s.Sessions.Detached++
			}
		}
	}
	// A database that is away is what this page is for: it must not hide the rest.
	if count, err := o.Accounts.Count(ctx, account.Filter{}); err == nil {
		s.Accounts = count
	}
	s.Problems = o.problems(s)
	return s, nil
}

func (o *Ops) problems(s Status) []string {
	all := []string{}
	if !s.Database.Available {
		all = append(all, "the database cannot be written: "+s.Database.Reason)
	}
	if len(s.Hosts) == 0 {
		all = append(all, "no domain is served; add one with: chancery host add example.org")
	}
	if err := o.Settings.Problems(); err != nil {
		all = append(all, "some settings in the database were not understood, their defaults are used: "+err.Error())
	}
	return all
}
