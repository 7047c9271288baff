package ops

import (
	"context"

	"chancery/core/host"
	"chancery/store"
)

// AllHosts lists the domains that are served, the default first.
func (o *Ops) AllHosts(ctx context.Context, by Actor) ([]string, error) {
	if err := o.allow(by, ReadStatus, "host.list"); err != nil {
		return nil, err
	}
	return o.Hosts.Load().All(), nil
}

// AddHost serves one more domain, at once, and returns its canonical form.
func (o *Ops) AddHost(ctx context.Context, by Actor, domain string) (string, error) {
	canonical, err := host.Canonical(domain)
	if err != nil {
		return "", invalid("%v", err)
	}
	err = o.do(ctx, by, act{right: ChangeHosts, action: "host.add", target: canonical}, func(tx store.Tx) error {
		_, err := o.Hosts.Add(ctx, tx, domain)
		return err
	})
	if err != nil {
		return "", err
	}
	return canonical, o.refresh(ctx, host.Revision)
}
