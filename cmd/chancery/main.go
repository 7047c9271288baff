// Chancery is an XMPP server, and the commands that administer it. Each noun has a file of its own.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"chancery/admin/api"
	"chancery/admin/ops"
)

// Exit codes, for scripts. They are part of the manual.
const (
	exitOK          = 0
	exitFailed      = 1 // it was tried and did not work
	exitUsage       = 2 // the command line makes no sense
	exitUnreachable = 3 // no server answers
)

func main() {
	// The first signal asks to stop; the second one stops at once, because by then it means what it always means.
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// cli is one run of the program.
type cli struct {
	in       io.Reader
	out, err io.Writer

	json   bool
	data   string // --data
	config string // --config
}

// run does what args say and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	c := &cli{in: in, out: out, err: errs}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	c.json = c.json || slices.Contains(args, "--json") // also when a flag before it was not understood
	return c.fail(cmd, err)
}

// fail says what is wrong and gives the exit code for it.
func (c *cli) fail(cmd *cobra.Command, err error) int {
	code, known := exitFailed, new(ops.Error)
	answer := ops.Error{Code: "failed", Text: err.Error()}
	var usage usageError
	switch {
	case errors.As(err, &usage), strings.HasPrefix(err.Error(), "unknown command"):
		code, answer.Code = exitUsage, "usage"
	case errors.Is(err, api.ErrUnreachable), errors.Is(err, errNoServer):
		code, answer.Code = exitUnreachable, "unreachable"
	case errors.As(err, &known):
		answer.Code = known.Code
	}
	if c.json {
		_ = json.NewEncoder(c.err).Encode(map[string]ops.Error{"error": answer})
		return code
	}
	fmt.Fprintf(c.err, "chancery: %s\n", answer.Text)
	if code == exitUsage {
		fmt.Fprintf(c.err, "For help: %s --help\n", cmd.CommandPath())
	}
	return code
}

// usageError is about the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "chancery",
		Short: "An XMPP server, and the commands that administer it",
		Long: `Chancery is an XMPP server in one program.

  chancery dev                              try it on this machine
  chancery quickstart --domain example.org  set up a server
  chancery serve --config chancery.toml     run it

The other commands ask a running server. It is found by --data or --config; without either it is the one that
` + "`chancery dev`" + ` runs in this folder, else the one of ./chancery.toml.

Exit codes: 0 done, 1 it did not work, 2 the command line makes no sense, 3 no server answers.`,
		Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	flags := root.PersistentFlags()
	flags.BoolVar(&c.json, "json", false, "answer with JSON, for programs")
	flags.StringVar(&c.data, "data", "", "the server's data `FOLDER`")
	flags.StringVar(&c.config, "config", "", "the server's configuration `FILE`")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.AddGroup(
		&cobra.Group{ID: "server", Title: "Run a server:"},
		&cobra.Group{ID: "people", Title: "People:"},
		&cobra.Group{ID: "watch", Title: "Watch it:"},
		&cobra.Group{ID: "keep", Title: "Change and keep it:"},
	)
	add := func(group string, all ...*cobra.Command) {
		for _, cmd := range all {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add("server", c.dev(), c.quickstart(), c.serve(), c.configuration())
	add("people", c.user(), c.session())
	add("watch", c.status(), c.logs(), c.trace(), c.audit())
	add("keep", c.setting(), c.host(), c.backup(), c.restore())
	root.AddCommand(c.version(), c.completion(), c.docs(root))
	return root
}

// noun is a command that only holds verbs.
func noun(use, short, long string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help()
			return usagef("%s what?", cmd.CommandPath())
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usagef("%s", text)
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(verbs...)
	return cmd
}

// exactly and atLeast check the number of arguments, and name them when they are missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef("%s needs %s", cmd.CommandPath(), strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return usagef("%s does not know what to do with %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

func atLeast(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s needs %s", cmd.CommandPath(), name)
		}
		return nil
	}
}

func atMost(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return usagef("%s does not know what to do with %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}
