package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"chancery/app"
	"chancery/base/config"
	"chancery/base/obs"
)

// shutdownTime is how long clients may take to say goodbye.
const shutdownTime = 10 * time.Second

func (c *cli) serve() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the server",
		Long: `Run the server of a configuration file (./chancery.toml) in the foreground, until it gets SIGTERM or Ctrl-C; a second Ctrl-C stops it
at once. It logs to standard error.`,
		Example: "  chancery serve --config /etc/chancery/chancery.toml", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.data != "" {
				return usagef("the data folder of `chancery serve` is in its configuration file: --config FILE")
			}
			cfg, err := config.Load(cmp.Or(c.config, configFile))
			if err != nil {
				return err
			}
			log, tail := c.newLog(cfg.Log)
			return c.runServer(cmd.Context(), app.Options{Config: cfg, Log: log, Tail: tail}, func(s *app.Server) error {
				attrs := []any{"data", cfg.Data, "database", cfg.SafeDatabase(), "domains", s.Hosts.Load().All(), "version", obs.ReadBuild().Version}
				for _, l := range cfg.Listener {
					attrs = append(attrs, l.Name, s.Addresses()[l.Name])
				}
				if a := s.WatchAddress(); a != "" {
					attrs = append(attrs, "metrics", "http://"+a+"/metrics")
				}
				log.Info("ready", attrs...)
				if s.Hosts.Load().Default() == "" {
					log.Warn("no domain is served; add one with: chancery host add example.org")
				}
				return nil
			})
		},
	}
}

// newLog writes to standard error.
func (c *cli) newLog(l config.Log) (*slog.Logger, *obs.Tail) {
	return obs.NewLog(c.err, obs.LogOptions{Level: obs.ParseLevel(l.Level), JSON: l.Format == "json", Colour: colours(c.err)})
}

// colours tells whether somebody reads w on a terminal that has them.
func colours(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, colour := obs.Terminal(f)
	return colour
}

// runServer runs a server until ctx ends, and then lets it say goodbye. prepare is called while nobody can connect yet,
// ready when everybody can.
func (c *cli) runServer(ctx context.Context, o app.Options, ready func(*app.Server) error, prepare ...func(*app.Server) error) error {
	s, err := app.New(ctx, o)
	if err != nil {
		return err
	}
	start := func() error {
		for _, p := range prepare {
			if err := p(s); err != nil {
				return err
			}
		}
		if err := s.Administer(ctx); err != nil {
			return err
		}
		return s.Start(ctx)
	}
	if err = start(); err == nil {
		err = ready(s)
	}
	if err == nil {
		notify("READY=1")
		<-ctx.Done()
		notify("STOPPING=1")
		o.Log.Info("stopping; a second Ctrl-C stops at once")
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	stopped := s.Shutdown(ending)
	if err == nil && stopped == nil {
		o.Log.Info("stopped")
	}
	return errors.Join(err, stopped)
}

// notify tells systemd, if it started us, how we are (sd_notify(3)). Whether it hears is its own affair.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	c, err := net.Dial("unixgram", path)
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = fmt.Fprint(c, state)
}
