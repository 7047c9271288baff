package account

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"chancery/store"
	"chancery/xmpp/jid"
	"chancery/xmpp/sasl"
)

// Entry is an account to import.
type Entry struct {
	JID      jid.JID // bare
	Password string
	Keys     map[sasl.Hash]sasl.Keys // from another server, instead of a password
	Admin    bool
	Disabled bool
}

// Outcome is what became of an entry: nil, store.ErrExists, or what is wrong with it.
type Outcome struct {
	JID jid.JID
	Err error
}

// importChunk is the number of accounts in one transaction.
const importChunk = 256

// Import makes many accounts. report is called for each entry, in their order and when its fate is certain; nil is allowed.
// The error is one of the database or of ctx; what was reported until then stays.
func (a *Accounts) Import(ctx context.Context, entries iter.Seq[Entry], report func(Outcome)) (added int, err error) {
	chunk := make([]Entry, 0, importChunk)
	flush := func() error {
		n, err := a.importChunk(ctx, chunk, report)
		added, chunk = added+n, chunk[:0]
		return err
	}
	for e := range entries {
		if chunk = append(chunk, e); len(chunk) < importChunk {
			continue
		}
		if err := flush(); err != nil {
			return added, err
		}
	}
	return added, flush()
}

func (a *Accounts) importChunk(ctx context.Context, chunk []Entry, report func(Outcome)) (added int, err error) {
	if len(chunk) == 0 {
		return 0, nil
	}
	creds, errs := a.deriveAll(ctx, chunk)
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("importing accounts: %w", context.Cause(ctx))
	}
	err = a.db.Write(ctx, func(tx store.Tx) error {
		for i, e := range chunk {
			if errs[i] != nil {
				continue
			}
			acc, err := a.CreateWith(ctx, tx, e.JID, creds[i], e.Admin)
			if err == nil && e.Disabled {
				err = a.SetDisabled(ctx, tx, acc.ID, true)
			}
			if errs[i] = err; err != nil && !errors.Is(err, store.ErrExists) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for i, e := range chunk {
		a.Changed(e.JID)
		if errs[i] == nil {
			added++
		}
		if report != nil {
			report(Outcome{e.JID, errs[i]})
		}
	}
	return added, nil
}

// deriveAll uses all the places for hashing there are.
func (a *Accounts) deriveAll(ctx context.Context, chunk []Entry) ([]Credentials, []error) {
	creds, errs := make([]Credentials, len(chunk)), make([]error, len(chunk))
	next := make(chan int)
	var wg sync.WaitGroup
	for range cap(a.hashing) {
		wg.Go(func() {
			for i := range next {
				creds[i], errs[i] = a.credentials(ctx, chunk[i])
			}
		})
	}
	for i := range chunk {
		next <- i
	}
	close(next)
	wg.Wait()
	return creds, errs
}

func (a *Accounts) credentials(ctx context.Context, e Entry) (Credentials, error) {
	if e.JID.Local() == "" || !e.JID.IsBare() {
		return Credentials{}, fmt.Errorf("%s is not the address of an account; write name@domain", e.JID)
	}
	if len(e.Keys) == 0 {
		return a.Derive(ctx, e.Password)
	}
	for h, k := range e.Keys {
		if len(k.Salt) == 0 || k.Iterations < 1 || len(k.StoredKey) != h.Size() || len(k.ServerKey) != h.Size() {
			return Credentials{}, fmt.Errorf("the %s keys of %s are not complete", h, e.JID)
		}
	}
	return Credentials{keys: e.Keys}, nil
}
