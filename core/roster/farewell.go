package roster

import (
	"context"

	"chancery/core/account"
)

// Farewell finds out who must hear that an account goes away for good
// (XEP-0077 §3.2, RFC 6121 §2.5.2): whoever registers the name next must not
// inherit its subscriptions. It is called before the rows are removed; tell is
// called after the commit, while the sessions are still there.
func (p *Presences) Farewell(ctx context.Context, a account.Account) (tell func(context.Context), err error) {
	l, err := p.rosters.Of(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		for _, i := range l.items {
			if i.From {
				p.vanish(ctx, a, i.JID)
			}
			p.cancel(ctx, a.JID, i)
		}
	}, nil
}
