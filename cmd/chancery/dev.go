package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"chancery/admin/api"
	"chancery/admin/ops"
	"chancery/app"
	"chancery/base/config"
	"chancery/store"
	"chancery/xmpp/jid"
)

// devDomain is what `chancery dev` serves.
const devDomain = "localhost"

func (c *cli) dev() *cobra.Command {
	var fresh bool
	var database, level string
	cmd := &cobra.Command{
		Use: "dev", Short: "Try it on this machine",
		Long: `Try it on this machine: a server for localhost with two accounts and an administrator, reachable from here alone, over TLS from a
CA of its own. Nothing has to be set up; it prints how to log in. The data stays for the next time, in ./dev-data or the folder
that --data names.

With --json it prints one line when it is ready: domain, c2s, c2s_tls, ca_file, data, admin_socket, pid, accounts.`,
		Example: `  chancery dev
  chancery dev --fresh                begin again with nothing
  chancery dev --json --data /tmp/x   for scripts`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.config != "" {
				return usagef("`chancery dev` has no configuration file; run one with: chancery serve --config %s", c.config)
			}
			d := &devServer{cli: c, data: absolute(cmp.Or(c.data, devData))}
			if err := d.open(cmd.Context(), fresh); err != nil {
				return err
			}
			cfg := devConfig(d.data, database)
			cfg.Log.Level = level
			log, tail := c.newLog(cfg.Log)
			o := app.Options{Config: cfg, Log: log, Tail: tail, Domain: devDomain, Names: []string{"localhost", "127.0.0.1", "::1"}, AnyPort: true}
			return c.runServer(cmd.Context(), o, d.ready, func(s *app.Server) error { return d.people(cmd.Context(), s) })
		},
	}
	cmd.Flags().BoolVar(&fresh, "fresh", false, "throw the data of earlier runs away")
	cmd.Flags().StringVar(&database, "database", "", "use the PostgreSQL database at this `URL`")
	cmd.Flags().StringVar(&level, "log-level", "info", "the least important lines shown (`LEVEL`): debug, info, warn, error")
	return cmd
}

func devConfig(data, database string) *config.Config {
	cfg := config.Default(data)
	cfg.Data, cfg.Database = data, cmp.Or(database, filepath.Join(data, "chancery.db"))
	cfg.Listener = []config.Listener{
		{Name: "c2s", Address: "127.0.0.1:5222", Mode: "both"},
		{Name: "c2s-tls", Address: "127.0.0.1:5223", Mode: "both", Direct: true},
	}
	return cfg
}

// devServer is what `chancery dev` knows beyond a server's configuration.
type devServer struct {
	*cli
	data     string
	accounts []devAccount
}

// devAccount is somebody to log in as. The passwords are kept in a file beside the data, for as long as the data.
type devAccount struct {
	JID      string `json:"jid"`
	Password string `json:"password"`
	Admin    bool   `json:"admin"`
}

// accountsFile also marks a folder as ours, so that --fresh never removes another.
func (d *devServer) accountsFile() string { return filepath.Join(d.data, "dev-accounts.json") }

// open makes the data folder, or finds what an earlier run left in it.
func (d *devServer) open(ctx context.Context, fresh bool) error {
	if api.Running(ctx, config.AdminSocket(d.data)) || store.InUse(filepath.Join(d.data, "chancery.db")) {
		return fmt.Errorf("a server is running on %s already; stop it, or name another folder with --data", d.data)
	}
	known, err := os.ReadFile(d.accountsFile())
	left, _ := os.ReadDir(d.data)
	switch {
	case fresh && err == nil:
		if err := os.RemoveAll(d.data); err != nil {
			return err
		}
	case fresh && slices.ContainsFunc(left, func(e os.DirEntry) bool { return e.Name() != "chancery.db.lock" }):
		return fmt.Errorf("%s was not made by `chancery dev` (it has no %s); --fresh does not remove it", d.data, filepath.Base(d.accountsFile()))
	case err == nil:
		if err := json.Unmarshal(known, &d.accounts); err != nil {
			return fmt.Errorf("%s: %w", d.accountsFile(), err)
		}
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(d.data, 0o700); err != nil {
		return err
	}
	if d.accounts == nil {
		for _, local := range []string{"romeo", "juliet", "admin"} {
			d.accounts = append(d.accounts, devAccount{local + "@" + devDomain, ops.GeneratePassword(), local == "admin"})
		}
	}
	text, err := json.MarshalIndent(d.accounts, "", "\t")
	if err != nil {
		return err
	}
	return writeWhole(d.accountsFile(), func(w io.Writer) error { _, err := w.Write(append(text, '\n')); return err })
}

// people makes the accounts that are missing. Those that are there stay as they are: somebody may have tried passwd.
func (d *devServer) people(ctx context.Context, s *app.Server) error {
	for i, a := range d.accounts {
		_, err := s.Ops.AddUser(ctx, ops.Local("dev"), ops.NewUser{JID: a.JID, Password: a.Password, Admin: a.Admin})
		var known *ops.Error
		if err != nil && !(errors.As(err, &known) && known.Code == ops.Exists) {
			return fmt.Errorf("the account %s: %w", a.JID, err)
		}
		if err == nil {
			continue
		}
		j, err := jid.Parse(a.JID)
		if err != nil {
			return err
		}
		if _, err := s.Accounts.CheckPassword(ctx, j, a.Password); err != nil {
			d.accounts[i].Password = ""
		}
	}
	return nil
}

// devReady is the line of --json.
type devReady struct {
	Domain      string       `json:"domain"`
	C2S         string       `json:"c2s"`
	C2STLS      string       `json:"c2s_tls"`
	Metrics     string       `json:"metrics,omitempty"`
	CAFile      string       `json:"ca_file"`
	Data        string       `json:"data"`
	AdminSocket string       `json:"admin_socket"`
	PID         int          `json:"pid"`
	Accounts    []devAccount `json:"accounts"`
}

// ready says how to log in.
func (d *devServer) ready(s *app.Server) error {
	at := s.Addresses()
	r := devReady{
		Domain: devDomain, C2S: at["c2s"], C2STLS: at["c2s-tls"], CAFile: s.CA.File(), Data: d.data,
		AdminSocket: config.AdminSocket(d.data), PID: os.Getpid(), Accounts: d.accounts,
	}
	if a := s.WatchAddress(); a != "" {
		r.Metrics = "http://" + a + "/metrics"
	}
	return d.print(r, func(w io.Writer) {
		b := new(bytes.Buffer)
		devPage(b, r, d.data == absolute(devData))
		_, _ = w.Write(b.Bytes()) // at once, so that no line of the log stands in it
	})
}

func devPage(w io.Writer, r devReady, usual bool) {
	fmt.Fprintf(w, "\nChancery serves %s on this machine. Data: %s\n\n", r.Domain, r.Data)
	rows := [][]string{}
	for _, a := range r.Accounts {
		role := ""
		if a.Admin {
			role = "administrator"
		}
		rows = append(rows, []string{"  " + a.JID, cmp.Or(a.Password, "(changed since)"), role})
	}
	table(w, rows)
	host, port, _ := net.SplitHostPort(r.C2S)
	romeo, juliet := r.Accounts[0], r.Accounts[min(1, len(r.Accounts)-1)]
	fmt.Fprintf(w, `
  STARTTLS  %s      TLS from the first byte  %s
  CA        %s   (clients must trust it)

A desktop client, Profanity:
  SSL_CERT_FILE=%s profanity
  /connect %s server %s port %s tls force

Gajim, Dino and others: host %s, port %s; accept the certificate, or let the system trust the CA:
  sudo cp %s /usr/local/share/ca-certificates/chancery-dev.crt && sudo update-ca-certificates

A command line, go-sendxmpp:
  echo 'O Romeo, Romeo!' | SSL_CERT_FILE=%s go-sendxmpp -u %s -p %s -j %s %s

Administer it from another terminal:
  %s
  %s

Ctrl-C stops it.

`, r.C2S, r.C2STLS, quote(r.CAFile), quote(r.CAFile), romeo.JID, host, port, host, port, quote(r.CAFile),
		quote(r.CAFile), juliet.JID, cmp.Or(juliet.Password, "PASSWORD"), r.C2S, romeo.JID, command(r.Data, usual, "status"), command(r.Data, usual, "user add nurse@"+r.Domain))
}

// command is how to call this program again for the server of this folder.
func command(data string, usual bool, what string) string {
	if usual {
		return self() + " " + what
	}
	return self() + " " + what + " --data " + quote(data)
}
