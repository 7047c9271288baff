package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"

	"chancery/admin/ops"
	"chancery/core/settings"
)

// ErrUnreachable says that no server answers on the socket.
var ErrUnreachable = errors.New("no server answers")

// Client asks a running server through its socket.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient is for the server whose socket is at path; it connects when asked something.
func NewClient(path string) *Client {
	return &Client{path, &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
		DisableCompression: true,
	}}}
}

// Running tells whether a server answers on the socket at path.
func Running(ctx context.Context, path string) bool {
	c, err := dial(ctx, path)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// Status of the server.
func (c *Client) Status(ctx context.Context) (s ops.Status, err error) {
	return s, c.ask(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// AddUser makes an account.
func (c *Client) AddUser(ctx context.Context, n ops.NewUser) (made ops.Credential, err error) {
	return made, c.ask(ctx, http.MethodPost, "/v1/users", n, &made)
}

// Users lists a page of accounts.
func (c *Client) Users(ctx context.Context, f ops.UserFilter) (all []ops.User, err error) {
	q := url.Values{}
	set(q, "domain", f.Domain)
	set(q, "text", f.Text)
	set(q, "after", f.After)
	setNumber(q, "limit", int64(f.Limit))
	for key, b := range map[string]*bool{"admin": f.Admin, "disabled": f.Disabled} {
		if b != nil {
			q.Set(key, strconv.FormatBool(*b))
		}
	}
	return all, c.ask(ctx, http.MethodGet, "/v1/users?"+q.Encode(), nil, &all)
}

// AllUsers asks for page after page.
func (c *Client) AllUsers(ctx context.Context, f ops.UserFilter) iter.Seq2[ops.User, error] {
	return func(yield func(ops.User, error) bool) {
		f.Limit = 1000
		for {
			page, err := c.Users(ctx, f)
			if err != nil {
				yield(ops.User{}, err)
				return
			}
			for _, u := range page {
				if !yield(u, nil) {
					return
				}
			}
			if len(page) < f.Limit {
				return
			}
			f.After = page[len(page)-1].JID.String()
		}
	}
}

// SetPassword replaces a password; "" has one made.
func (c *Client) SetPassword(ctx context.Context, user, password string) (made ops.Credential, err error) {
	return made, c.ask(ctx, http.MethodPut, userPath(user, "password"), passwordBody{password}, &made)
}

// SetDisabled keeps somebody out, or lets him in again.
func (c *Client) SetDisabled(ctx context.Context, user string, disabled bool) error {
	return c.ask(ctx, http.MethodPut, userPath(user, "disabled"), flagBody{disabled}, nil)
}

// SetAdmin makes somebody an administrator, or no longer.
func (c *Client) SetAdmin(ctx context.Context, user string, admin bool) error {
	return c.ask(ctx, http.MethodPut, userPath(user, "admin"), flagBody{admin}, nil)
}

// DeleteUser removes an account with everything it has.
func (c *Client) DeleteUser(ctx context.Context, user string) error {
	return c.ask(ctx, http.MethodDelete, userPath(user, ""), nil, nil)
}

func userPath(user, what string) string {
	path := "/v1/users/" + url.PathEscape(user)
	if what != "" {
		path += "/" + what
	}
	return path
}

// ImportUsers sends accounts and calls report for each that the server has dealt with.
func (c *Client) ImportUsers(ctx context.Context, users iter.Seq[ops.NewUser], report func(ops.Imported)) (ops.Totals, error) {
	r, w := io.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		out := json.NewEncoder(w)
		for u := range users {
			if out.Encode(u) != nil {
				break // the server has stopped reading; its answer says why
			}
		}
		w.Close()
	}()
	defer func() {
		r.Close()
		<-sent
	}()
	var totals *ops.Totals
	err := c.lines(ctx, http.MethodPost, "/v1/users/import", r, func(line []byte) error {
		var one struct {
			ops.Imported
			totalsLine
		}
		if err := json.Unmarshal(line, &one); err != nil {
			return err
		}
		if one.Totals != nil {
			totals = one.Totals
			return nil
		}
		report(one.Imported)
		return nil
	})
	switch {
	case err != nil:
		return ops.Totals{}, err
	case totals == nil:
		return ops.Totals{}, errors.New("the server's answer broke off")
	}
	return *totals, nil
}

// Sessions lists who is logged in: all, of a domain, of an account.
func (c *Client) Sessions(ctx context.Context, of string) (all []ops.Session, err error) {
	q := url.Values{}
	set(q, "of", of)
	return all, c.ask(ctx, http.MethodGet, "/v1/sessions?"+q.Encode(), nil, &all)
}

// EndSessions ends one session, or all of an account.
func (c *Client) EndSessions(ctx context.Context, of, reason string) (int, error) {
	var k kicked
	err := c.ask(ctx, http.MethodPost, "/v1/sessions/kick", kickBody{of, reason}, &k)
	return k.Ended, err
}

// Settings lists all.
func (c *Client) Settings(ctx context.Context) (all []settings.Value, err error) {
	return all, c.ask(ctx, http.MethodGet, "/v1/settings", nil, &all)
}

// Setting returns one.
func (c *Client) Setting(ctx context.Context, name string) (v settings.Value, err error) {
	return v, c.ask(ctx, http.MethodGet, "/v1/settings/"+url.PathEscape(name), nil, &v)
}

// ChangeSettings makes changes that are checked together.
func (c *Client) ChangeSettings(ctx context.Context, changes []settings.Change) (now []settings.Value, err error) {
	b := changesBody{make([]change, len(changes))}
	for i, one := range changes {
		b.Changes[i] = change{one.Name, one.Text, one.Reset}
	}
	return now, c.ask(ctx, http.MethodPost, "/v1/settings", b, &now)
}

// Hosts lists the domains that are served.
func (c *Client) Hosts(ctx context.Context) (all []string, err error) {
	return all, c.ask(ctx, http.MethodGet, "/v1/hosts", nil, &all)
}

// AddHost serves one more domain and returns its canonical form.
func (c *Client) AddHost(ctx context.Context, domain string) (string, error) {
	var added hostBody
	err := c.ask(ctx, http.MethodPost, "/v1/hosts", hostBody{domain}, &added)
	return added.Domain, err
}

// Audit lists audit rows, the newest first.
func (c *Client) Audit(ctx context.Context, f ops.AuditFilter) (all []ops.AuditRow, err error) {
	q := url.Values{}
	set(q, "target", f.Target)
	setNumber(q, "before", f.Before)
	setNumber(q, "limit", int64(f.Limit))
	return all, c.ask(ctx, http.MethodGet, "/v1/audit?"+q.Encode(), nil, &all)
}

// Backup copies the database into w.
func (c *Client) Backup(ctx context.Context, w io.Writer) (int64, error) {
	answer, err := c.send(ctx, http.MethodGet, "/v1/backup", nil)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	n, err := io.Copy(w, answer.Body)
	if err == nil && n != answer.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return n, fmt.Errorf("the copy broke off after %d bytes: %w", n, err)
	}
	return n, nil
}

// FollowLog calls f with each line of the log, the last ones first, until ctx ends; with follow false only with the last ones.
func (c *Client) FollowLog(ctx context.Context, level string, last int, follow bool, f func(line []byte) error) error {
	q := url.Values{"level": {level}, "follow": {strconv.FormatBool(follow)}}
	setNumber(q, "last", int64(last))
	return c.lines(ctx, http.MethodGet, "/v1/log?"+q.Encode(), nil, f)
}

// Trace calls f with each stanza of an account's sessions, as the JSON of a TraceLine or a Missed, until ctx ends.
func (c *Client) Trace(ctx context.Context, user string, bodies bool, f func(line []byte) error) error {
	q := url.Values{"jid": {user}, "bodies": {strconv.FormatBool(bodies)}}
	return c.lines(ctx, http.MethodGet, "/v1/trace?"+q.Encode(), nil, f)
}

func set(q url.Values, key, value string) {
	if value != "" {
		q.Set(key, value)
	}
}

func setNumber(q url.Values, key string, n int64) {
	if n != 0 {
		q.Set(key, strconv.FormatInt(n, 10))
	}
}

// ask sends a request with a JSON body and reads the answer into result; nil is allowed for both.
func (c *Client) ask(ctx context.Context, method, path string, body, result any) error {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(b)
	}
	answer, err := c.send(ctx, method, path, r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if result == nil {
		return nil
	}
	if err := json.NewDecoder(answer.Body).Decode(result); err != nil {
		return fmt.Errorf("the server's answer is not understood: %w", err)
	}
	return nil
}

// lines calls f with each line of an answer that goes on.
func (c *Client) lines(ctx context.Context, method, path string, body io.Reader, f func([]byte) error) error {
	answer, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	in := bufio.NewReader(answer.Body)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			if ctx.Err() != nil || err == io.EOF {
				return nil
			}
			return fmt.Errorf("the connection to the server broke: %w", err)
		}
		line = bytes.TrimRight(line, "\n")
		if bytes.HasPrefix(line, []byte(`{"error":{"code"`)) {
			var e errorAnswer
			if json.Unmarshal(line, &e) == nil && e.Error != nil {
				return e.Error
			}
		}
		if err := f(line); err != nil {
			return err
		}
	}
}

// send returns a good answer, or what the server says is wrong as an *ops.Error.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://chancery"+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	var e errorAnswer
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxBody)).Decode(&e); err != nil || e.Error == nil {
		return nil, fmt.Errorf("the server answered %s", answer.Status)
	}
	return nil, e.Error
}

func (c *Client) unreachable(err error) error {
	var reason error
	switch {
	case errors.Is(err, syscall.ENOENT):
		reason = errors.New("there is no such socket")
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = errors.New("the server that made it is gone")
	case errors.Is(err, syscall.EACCES):
		reason = errors.New("only the server's user and root may open it")
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		reason = errors.New("it closed the connection: only the server's user and root may ask")
	default:
		return err
	}
	return fmt.Errorf("%w on %s: %w", ErrUnreachable, c.socket, reason)
}
