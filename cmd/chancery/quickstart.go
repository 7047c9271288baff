package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"chancery/admin/ops"
	"chancery/app"
	"chancery/base/config"
	"chancery/core/host"
	"chancery/trust/keys"
)

func (c *cli) quickstart() *cobra.Command {
	q := &quickstart{cli: c}
	cmd := &cobra.Command{
		Use: "quickstart", Short: "Set up a server for a domain",
		Long: `Set up a server for a domain: write its configuration (./chancery.toml, or the file that --config names), make its data folder
(./data, or the one that --data names) and an administrator, and print what is left to do: DNS records, a certificate, a systemd
unit. Nothing is asked, and nothing that exists is replaced.`,
		Example: `  chancery quickstart --domain example.org
  chancery quickstart --domain example.org --config /etc/chancery/chancery.toml --data /var/lib/chancery`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return q.run(cmd.Context()) },
	}
	cmd.Flags().StringVar(&q.Domain, "domain", "", "what stands behind the @ in addresses")
	cmd.Flags().StringVar(&q.Host, "host", "", "the `NAME` of this machine in DNS (default xmpp.DOMAIN)")
	cmd.Flags().StringVar(&q.admin, "admin", "admin", "the administrator's `NAME` before the @")
	return cmd
}

// quickstart is what the printed page is made from.
type quickstart struct {
	*cli
	admin string

	Domain, Host     string // in their ASCII forms for DNS
	Served           string // the domain as it is in addresses
	Config, Data     string
	Admin            ops.Credential
	IPv4, IPv6       string // of this machine; "" when it has no public one
	Self, User       string
	IsRoot, Ordinary bool
	Home             bool // something lies in a home folder
	Certificate, CA  string
}

func (q *quickstart) run(ctx context.Context) error {
	if err := q.plan(); err != nil {
		return err
	}
	cfg := config.Default(filepath.Dir(q.Config))
	cfg.Data, cfg.Database = q.Data, filepath.Join(q.Data, "chancery.db")
	if err := q.build(ctx, cfg); err != nil {
		return err
	}
	return q.print(q.summary(), func(w io.Writer) {
		if err := quickstartPage().Execute(w, q); err != nil {
			panic(err) // a mistake in the template
		}
	})
}

// plan finds out everything, and that nothing is in the way.
func (q *quickstart) plan() error {
	if q.Domain == "" {
		return usagef("which domain? write --domain example.org, what stands behind the @ in addresses")
	}
	served, err := host.Canonical(q.Domain)
	if err != nil {
		return usageError{err}
	}
	q.Served, q.Domain = served, keys.ASCII(served)
	q.Host = cmp.Or(q.Host, "xmpp."+q.Domain)
	q.Config = absolute(cmp.Or(q.config, configFile))
	q.Data = absolute(cmp.Or(q.data, filepath.Join(filepath.Dir(q.Config), "data")))
	if _, err := os.Lstat(q.Config); err == nil {
		return fmt.Errorf("%s exists already; remove it, or write another file with --config", q.Config)
	}
	if left, err := os.ReadDir(q.Data); err == nil && len(left) > 0 {
		return fmt.Errorf("the folder %s is not empty; remove it, or use another with --data", q.Data)
	}
	q.IPv4, q.IPv6 = publicAddresses()
	q.Self = "/usr/local/bin/chancery"
	if exe, err := os.Executable(); err == nil && !strings.Contains(exe, "go-build") {
		q.Self = exe
	}
	q.User, q.IsRoot = "chancery", os.Geteuid() == 0
	if u, err := user.Current(); err == nil && !q.IsRoot {
		q.User, q.Ordinary = u.Username, true
	}
	for _, p := range []string{q.Config, q.Data, q.Self} {
		q.Home = q.Home || strings.HasPrefix(p, "/home/") || strings.HasPrefix(p, "/root/")
	}
	return nil
}

// build makes the folder and what is in it, and then the configuration, so that there is none for a server that is not whole.
func (q *quickstart) build(ctx context.Context, cfg *config.Config) error {
	if err := os.MkdirAll(filepath.Dir(q.Config), 0o755); err != nil {
		return err
	}
	log, _ := q.newLog(config.Log{Level: "warn"})
	s, err := app.New(ctx, app.Options{Config: cfg, Log: log, Domain: q.Served})
	if err != nil {
		return err
	}
	q.Admin, err = s.Ops.AddUser(ctx, ops.Local("quickstart"), ops.NewUser{JID: q.admin + "@" + q.Served, Admin: true})
	q.CA, q.Certificate = s.CA.File(), filepath.Join(q.Data, "tls", keys.FileName(q.Served)+".pem")
	if err := errors.Join(err, s.Shutdown(ctx), os.MkdirAll(filepath.Join(q.Data, "tls"), 0o700)); err != nil {
		return err
	}
	f, err := os.OpenFile(q.Config, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(q.toml())
	return errors.Join(err, f.Close())
}

// toml is a short file. Its data folder is relative when it lies beside it, so that both can be moved.
func (q *quickstart) toml() string {
	data := q.Data
	if rel, err := filepath.Rel(filepath.Dir(q.Config), q.Data); err == nil && !strings.HasPrefix(rel, "..") {
		data = rel
	}
	return fmt.Sprintf(`# Chancery for %s. Every key and its manual: chancery config describe
# Everything that is not here is a live setting: chancery setting list

data = %q

# For PostgreSQL; left out, it is a SQLite file in the data folder.
#database = "postgres://chancery@db.example.org/chancery?sslmode=verify-full"

[[listener]]
name = "c2s"
address = ":5222"

[[listener]]
name = "c2s-tls"
address = ":5223"
direct = true

[admin]
address = "127.0.0.1:5290"

[log]
level = "info"
format = "text"
`, q.Served, data)
}

// summary is the answer for programs.
func (q *quickstart) summary() any {
	return map[string]any{
		"domain": q.Served, "config": q.Config, "data": q.Data, "admin": q.Admin, "ca_file": q.CA, "certificate": q.Certificate,
		"dns": q.records(), "unit": q.Unit(),
	}
}

// Record is a DNS record to be made.
type Record struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// records are those of RFC 6120 §3.2.1 and XEP-0368.
func (q *quickstart) records() []Record {
	target := q.Host + "."
	return []Record{
		{"_xmpp-client._tcp." + q.Domain + ".", "SRV", "0 5 5222 " + target},
		{"_xmpps-client._tcp." + q.Domain + ".", "SRV", "0 5 5223 " + target},
		{target, "A", cmp.Or(q.IPv4, "(this machine's public IPv4 address)")},
		{target, "AAAA", cmp.Or(q.IPv6, "(this machine's public IPv6 address, if it has one)")},
	}
}

// Records are the records as a table.
func (q *quickstart) Records() string {
	rows := [][]string{}
	for _, r := range q.records() {
		rows = append(rows, []string{"  " + r.Name, "IN", r.Type, r.Value})
	}
	b := new(strings.Builder)
	table(b, rows)
	return b.String()
}

// publicAddresses are the first addresses of this machine that the world could reach.
func publicAddresses() (v4, v6 string) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return "", ""
	}
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().IsGlobalUnicast() || p.Addr().IsPrivate() {
			continue
		}
		if p.Addr().Is4() && v4 == "" {
			v4 = p.Addr().String()
		}
		if p.Addr().Is6() && v6 == "" {
			v6 = p.Addr().String()
		}
	}
	return v4, v6
}

// Unit is a systemd unit that gives the server nothing it does not need.
func (q *quickstart) Unit() string {
	b := new(strings.Builder)
	if err := unitTemplate().Execute(b, q); err != nil {
		panic(err) // a mistake in the template
	}
	return b.String()
}

func unitTemplate() *template.Template {
	return template.Must(template.New("unit").Parse(`[Unit]
Description=Chancery XMPP server for {{.Served}}
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
ExecStart={{.Self}} serve --config {{.Config}}
User={{.User}}
Restart=on-failure
RestartSec=1s
TimeoutStopSec=30s
LimitNOFILE=1048576

ReadWritePaths={{.Data}}
ProtectSystem=strict
ProtectHome={{if .Home}}read-only{{else}}yes{{end}}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
UMask=0077

[Install]
WantedBy=multi-user.target
`))
}

func quickstartPage() *template.Template {
	return template.Must(template.New("page").Parse(`
Made the server for {{.Served}}:

  configuration  {{.Config}}
  data           {{.Data}}
  administrator  {{.Admin.JID}}, password {{.Admin.Password}}   (nobody can show it again)

What is left to do, in this order:

1. Tell DNS where the server is (RFC 6120 §3.2, XEP-0368):

{{.Records}}
2. Get a certificate for {{.Domain}} and put its chain and key, as PEM, into
   {{.Certificate}}
   It is read within a minute, and again when it changes. Until then clients see one of the server's own CA,
   {{.CA}}

3. Let systemd run it. Save this as /etc/systemd/system/chancery.service:

{{.Unit}}
{{- if .IsRoot}}
   Then:
     useradd --system --home-dir {{.Data}} --shell /usr/sbin/nologin {{.User}}
     chown -R {{.User}}: {{.Data}}
     systemctl daemon-reload && systemctl enable --now chancery
{{- else}}
   Then, as root:
     systemctl daemon-reload && systemctl enable --now chancery
{{- end}}

   To bind the ports before the server starts, or ports below 1024, add a chancery.socket whose ListenStream= are the
   addresses and whose FileDescriptorName= is the name of the listener: one socket unit for each.

   To try it first without systemd: {{.Self}} serve --config {{.Config}}

4. See that it is well, and add people:

     {{.Self}} status --config {{.Config}}
     {{.Self}} user add juliet@{{.Served}} --config {{.Config}}
     {{.Self}} backup chancery-backup.db --config {{.Config}}

`))
}
