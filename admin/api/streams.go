package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"

	"chancery/admin/ops"
	"chancery/base/obs"
	"chancery/xmpp/jid"
)

// Missed stands among lines that go on: so many are missing here, because they were not read fast enough.
type Missed struct {
	Missed int `json:"missed"`
}

func followLog(c *call) error {
	last, err := c.number("last")
	if err != nil {
		return err
	}
	lines, f, err := c.ops.FollowLog(c.Context(), c.by, obs.ParseLevel(c.text("level")), int(last))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.begin(); err != nil {
		return err
	}
	for _, l := range lines {
		if err := c.rawLine(l); err != nil {
			return err
		}
	}
	if c.text("follow") == "false" {
		return nil
	}
	for {
		select {
		case <-c.Context().Done():
			return nil
		case l := <-f.C:
			if n := f.Missed(); n > 0 {
				if err := c.line(Missed{n}); err != nil {
					return err
				}
			}
			if err := c.rawLine(l); err != nil {
				return err
			}
		}
	}
}

// TraceLine is one stanza that a session took or gave.
type TraceLine struct {
	At  time.Time `json:"at"`
	Who jid.JID   `json:"who"`
	In  bool      `json:"in"` // from the client
	XML string    `json:"xml"`
}

func trace(c *call) error {
	bodies, err := c.choice("bodies")
	if err != nil {
		return err
	}
	w, err := c.ops.Watch(c.Context(), c.by, c.text("jid"), bodies != nil && *bodies)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := c.begin(); err != nil {
		return err
	}
	for {
		select {
		case <-c.Context().Done():
			return nil
		case t := <-w.C:
			if n := w.Missed(); n > 0 {
				if err := c.line(Missed{n}); err != nil {
					return err
				}
			}
			if err := c.line(TraceLine{t.At, t.Who, t.In, t.XML()}); err != nil {
				return err
			}
		}
	}
}

// backup sends a file. Its length is known, so that a copy that breaks off is noticed.
func backup(c *call) error {
	content, size, err := c.ops.Backup(c.Context(), c.by)
	if err != nil {
		return err
	}
	defer content.Close()
	c.w.Header().Set("Content-Type", "application/vnd.sqlite3")
	c.w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	c.began = true
	if _, err := io.Copy(c.w, content); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

type totalsLine struct {
	Totals *ops.Totals `json:"totals"`
}

// importUsers reads one ops.NewUser a line and answers one ops.Imported a line while it reads, then the totals.
func importUsers(c *call) error {
	if !c.by.May(ops.ChangeAccounts) {
		_, err := c.ops.ImportUsers(c.Context(), c.by, nil, nil) // says why
		return err
	}
	if err := http.NewResponseController(c.w).EnableFullDuplex(); err != nil {
		return err
	}
	c.w.Header().Set("Connection", "close") // what is left of a request that was not read to its end must not be taken for another
	if err := c.begin(); err != nil {
		return err
	}
	var broken error // the request
	var gone error   // the other side does not read any more
	totals, err := c.ops.ImportUsers(c.Context(), c.by, newUsers(c.Body, &broken), func(r ops.Imported) {
		if gone == nil {
			gone = c.line(r)
		}
	})
	if err := errors.Join(broken, err); err != nil {
		return err
	}
	return c.line(totalsLine{&totals})
}

// newUsers reads lines until one is not understood.
func newUsers(body io.Reader, broken *error) iter.Seq[ops.NewUser] {
	return func(yield func(ops.NewUser) bool) {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, maxLine)
		for n := 1; lines.Scan(); n++ {
			var u ops.NewUser
			if err := json.Unmarshal(lines.Bytes(), &u); err != nil {
				*broken = &ops.Error{Code: ops.Invalid, Text: fmt.Sprintf("account %d is not understood: %v; those before it are done", n, err)}
				return
			}
			if !yield(u) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			*broken = &ops.Error{Code: ops.Invalid, Text: "reading the accounts: " + err.Error()}
		}
	}
}
