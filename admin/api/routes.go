package api

import (
	"net/http"

	"chancery/admin/ops"
	"chancery/core/settings"
)

// route is one thing that can be asked. Exactly one of do and stream is set.
type route struct {
	method, path string
	do           func(*call) (any, error)
	stream       func(*call) error
}

func routes() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return []route{
		{get, "/v1/status", status, nil},

		{get, "/v1/users", listUsers, nil},
		{post, "/v1/users", addUser, nil},
		{post, "/v1/users/import", nil, importUsers},
		{put, "/v1/users/{jid}/password", setPassword, nil},
		{put, "/v1/users/{jid}/disabled", setDisabled, nil},
		{put, "/v1/users/{jid}/admin", setAdmin, nil},
		{del, "/v1/users/{jid}", deleteUser, nil},

		{get, "/v1/sessions", listSessions, nil},
		{post, "/v1/sessions/kick", kick, nil},

		{get, "/v1/settings", listSettings, nil},
		{post, "/v1/settings", changeSettings, nil},
		{get, "/v1/settings/{name}", getSetting, nil},

		{get, "/v1/hosts", listHosts, nil},
		{post, "/v1/hosts", addHost, nil},

		{get, "/v1/audit", listAudit, nil},
		{get, "/v1/backup", nil, backup},
		{get, "/v1/log", nil, followLog},
		{get, "/v1/trace", nil, trace},
	}
}

func status(c *call) (any, error) { return c.ops.Status(c.Context(), c.by) }

func listUsers(c *call) (any, error) {
	f := ops.UserFilter{Domain: c.text("domain"), Text: c.text("text"), After: c.text("after")}
	limit, err := c.number("limit")
	if err != nil {
		return nil, err
	}
	f.Limit = int(limit)
	if f.Admin, err = c.choice("admin"); err != nil {
		return nil, err
	}
	if f.Disabled, err = c.choice("disabled"); err != nil {
		return nil, err
	}
	return c.ops.Users(c.Context(), c.by, f)
}

func addUser(c *call) (any, error) {
	var n ops.NewUser
	if err := c.body(&n); err != nil {
		return nil, err
	}
	return c.ops.AddUser(c.Context(), c.by, n)
}

// passwordBody, flagBody and the others are what requests carry.
type passwordBody struct {
	Password string `json:"password,omitempty"`
}

type flagBody struct {
	Value bool `json:"value"`
}

type done struct {
	Done bool `json:"done"`
}

func setPassword(c *call) (any, error) {
	var b passwordBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	return c.ops.SetPassword(c.Context(), c.by, c.PathValue("jid"), b.Password)
}

func setDisabled(c *call) (any, error) {
	var b flagBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	return done{true}, c.ops.SetDisabled(c.Context(), c.by, c.PathValue("jid"), b.Value)
}

func setAdmin(c *call) (any, error) {
	var b flagBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	return done{true}, c.ops.SetAdmin(c.Context(), c.by, c.PathValue("jid"), b.Value)
}

func deleteUser(c *call) (any, error) {
	return done{true}, c.ops.DeleteUser(c.Context(), c.by, c.PathValue("jid"))
}

func listSessions(c *call) (any, error) { return c.ops.Sessions(c.Context(), c.by, c.text("of")) }

type kickBody struct {
	Of     string `json:"of"`
	Reason string `json:"reason,omitempty"`
}

type kicked struct {
	Ended int `json:"ended"`
}

func kick(c *call) (any, error) {
	var b kickBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	n, err := c.ops.EndSessions(c.Context(), c.by, b.Of, b.Reason)
	return kicked{n}, err
}

func listSettings(c *call) (any, error) { return c.ops.AllSettings(c.Context(), c.by) }
func getSetting(c *call) (any, error)   { return c.ops.Setting(c.Context(), c.by, c.PathValue("name")) }

type changesBody struct {
	Changes []change `json:"changes"`
}

type change struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	Reset bool   `json:"reset,omitempty"`
}

func changeSettings(c *call) (any, error) {
	var b changesBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	changes := make([]settings.Change, len(b.Changes))
	for i, one := range b.Changes {
		changes[i] = settings.Change{Name: one.Name, Text: one.Value, Reset: one.Reset}
	}
	return c.ops.ChangeSettings(c.Context(), c.by, changes)
}

type hostBody struct {
	Domain string `json:"domain"`
}

func listHosts(c *call) (any, error) { return c.ops.AllHosts(c.Context(), c.by) }

func addHost(c *call) (any, error) {
	var b hostBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	added, err := c.ops.AddHost(c.Context(), c.by, b.Domain)
	return hostBody{added}, err
}

func listAudit(c *call) (any, error) {
	before, err := c.number("before")
	if err != nil {
		return nil, err
	}
	limit, err := c.number("limit")
	if err != nil {
		return nil, err
	}
	return c.ops.Audit(c.Context(), c.by, ops.AuditFilter{Target: c.text("target"), Before: before, Limit: int(limit)})
}
