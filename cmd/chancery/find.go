package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"chancery/admin/api"
	"chancery/base/config"
)

const (
	devData    = "dev-data"      // where `chancery dev` keeps its data
	configFile = "chancery.toml" // where `chancery serve` looks
)

var errNoServer = errors.New("no server found")

// client finds the running server.
func (c *cli) client(ctx context.Context) (*api.Client, error) {
	socket, err := c.socket(ctx)
	if err != nil {
		return nil, err
	}
	return api.NewClient(socket), nil
}

func (c *cli) socket(ctx context.Context) (string, error) {
	switch {
	case c.data != "" && c.config != "":
		return "", usagef("--data and --config name the server twice; use one of them")
	case c.data != "":
		return config.AdminSocket(c.data), nil
	case c.config != "":
		cfg, err := config.Load(c.config)
		if err != nil {
			return "", err
		}
		return cfg.AdminSocket(), nil
	}
	if s := config.AdminSocket(devData); api.Running(ctx, s) {
		return s, nil
	}
	if _, err := os.Stat(configFile); err != nil {
		return "", fmt.Errorf("%w: nothing runs in ./%s, and there is no ./%s; name the server with --data FOLDER or --config FILE", errNoServer, devData, configFile)
	}
	cfg, err := config.Load(configFile)
	if err != nil {
		return "", err
	}
	return cfg.AdminSocket(), nil
}

// maxPassword bounds a password file.
const maxPassword = 4096

// password reads a password from a file, or from standard input for "-". Without a file it is "": the server makes one.
func (c *cli) password(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	in, err := c.open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case len(b) > maxPassword:
		return "", fmt.Errorf("%s is too long for a password", file)
	case strings.Contains(password, "\n"):
		return "", fmt.Errorf("%s has several lines; it should hold one password", file)
	case password == "":
		return "", fmt.Errorf("%s is empty; leave --password-file out to have a password made", file)
	}
	return password, nil
}

// open opens a file, or standard input for "-".
func (c *cli) open(file string) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(c.in), nil
	}
	return os.Open(file)
}

// absolute is path from the root, for texts that are read elsewhere.
func absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}
