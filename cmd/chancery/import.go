package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"chancery/admin/ops"
)

func (c *cli) userImport() *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Make many accounts in one call",
		Long: `Make many accounts in one call. The file (- is standard input) has one account a line:

  juliet@example.org                     a password is made and printed
  romeo@example.org wherefore art thou   the password is the rest of the line
  {"jid":"nurse@example.org","password":"…","admin":true,"disabled":false}

Empty lines and lines that begin with # are skipped. Accounts that exist already stay as they are. The exit code is 1 when a line
could not be used; all the others are done.`,
		Example: `  chancery user import people.txt > passwords.txt
  ldapsearch … | to-lines | chancery user import - --json`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := c.open(args[0])
			if err != nil {
				return err
			}
			defer in.Close()
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			var broken error
			report, flush := c.reporter()
			totals, err := client.ImportUsers(cmd.Context(), func(yield func(ops.NewUser) bool) {
				broken = readUsers(in, yield)
			}, report)
			if err := errors.Join(flush(), broken, err); err != nil {
				return err
			}
			return c.importTotals(totals)
		},
	}
}

// reporter writes the fate of each account: as JSON lines, or the passwords on standard output and the rest beside it.
func (c *cli) reporter() (report func(ops.Imported), flush func() error) {
	out := bufio.NewWriter(c.out)
	lines := json.NewEncoder(out)
	return func(r ops.Imported) {
		switch {
		case c.json:
			_ = lines.Encode(r) // a bufio.Writer keeps its error for Flush
		case r.Error != nil:
			fmt.Fprintf(c.err, "%s: %s\n", safe(r.JID), safe(r.Error.Text))
		case r.Password != "":
			fmt.Fprintf(out, "%s %s\n", r.JID, r.Password)
		}
	}, out.Flush
}

func (c *cli) importTotals(t ops.Totals) error {
	if c.json {
		if err := json.NewEncoder(c.out).Encode(map[string]ops.Totals{"totals": t}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.err, "%s added, %d existed already, %d could not be used\n", some(t.Added, "account"), t.Exist, t.Failed)
	}
	if t.Failed > 0 {
		return fmt.Errorf("%d lines could not be used", t.Failed)
	}
	return nil
}

// maxLine bounds a line of an import, in bytes.
const maxLine = 8000

// readUsers reads lines until the end, or until one makes no sense.
func readUsers(in io.Reader, yield func(ops.NewUser) bool) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	n := 1
	for ; lines.Scan(); n++ {
		u, ok, err := parseUser(lines.Text())
		if err != nil {
			return fmt.Errorf("line %d: %w; the lines before it are done", n, err)
		}
		if ok && !yield(u) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n, err)
	}
	return nil
}

// parseUser reads one line; ok is false for a line to skip.
func parseUser(line string) (u ops.NewUser, ok bool, err error) {
	line = strings.TrimSuffix(strings.TrimPrefix(line, "\uFEFF"), "\r")
	if trimmed := strings.TrimSpace(line); trimmed == "" || trimmed[0] == '#' {
		return u, false, nil
	}
	if line[0] == '{' {
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&u); err != nil {
			return u, false, err
		}
		if d.More() {
			return u, false, errors.New("something follows the account")
		}
		return u, true, nil
	}
	line = strings.TrimLeft(line, " \t")
	u.JID = line
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		u.JID, u.Password = line[:i], line[i+1:]
	}
	return u, true, nil
}
