package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"chancery/app"
	"chancery/base/config"
	"chancery/core/route"
)

// specificationsPage is made from what the features say of themselves. They belong to a server, so one is built and not started.
func specificationsPage(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "chancery-docs-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	s, err := app.New(ctx, app.Options{Config: config.Default(dir), Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Domain: devDomain})
	if err != nil {
		return "", err
	}
	page := specifications(s.Modules())
	return page, s.Shutdown(ctx)
}

// claimed is a claim, and the features that make it.
type claimed struct {
	route.Claim
	by []string
}

func specifications(modules []route.Module) string {
	b := new(strings.Builder)
	b.WriteString("# Specifications\n\nWhat Chancery supports, as its features say it themselves. *Version* is that of the document that was read; " +
		"departures that were decided are in [departures](departures.md).\n\n| specification | version | covers | where | notes |\n|---|---|---|---|---|\n")
	for _, c := range claims(modules) {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", link(c.Spec), c.Version, c.Covers, strings.Join(c.by, ", "), cell(c.Note))
	}
	return b.String()
}

// claims is sorted by specification. Features that claim the same share a line.
func claims(modules []route.Module) []claimed {
	var all []claimed
	for _, m := range modules {
		for _, c := range m.Claims {
			same := slices.IndexFunc(all, func(o claimed) bool {
				return o.Spec == c.Spec && o.Version == c.Version && o.Covers == c.Covers
			})
			if same < 0 {
				all = append(all, claimed{c, []string{m.Name}})
				continue
			}
			all[same].by = append(all[same].by, m.Name)
			all[same].Note = strings.TrimSpace(all[same].Note + " " + c.Note)
		}
	}
	slices.SortStableFunc(all, func(a, b claimed) int { return cmp.Compare(sortKey(a.Spec), sortKey(b.Spec)) })
	return all
}

// sortKey puts RFCs first, and numbers in their order.
func sortKey(spec string) string {
	kind, number, _ := strings.Cut(strings.ReplaceAll(spec, "-", " "), " ")
	return fmt.Sprintf("%s %8s", strings.Replace(kind, "RFC", " RFC", 1), number)
}

func link(spec string) string {
	if n, ok := strings.CutPrefix(spec, "XEP-"); ok {
		return fmt.Sprintf("[%s](https://xmpp.org/extensions/xep-%s.html)", spec, n)
	}
	if n, ok := strings.CutPrefix(spec, "RFC "); ok {
		return fmt.Sprintf("[%s](https://www.rfc-editor.org/rfc/rfc%s)", spec, n)
	}
	return spec
}
