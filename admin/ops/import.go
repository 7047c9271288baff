package ops

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"chancery/core/account"
	"chancery/store"
	"chancery/xmpp/jid"
)

// Imported is what became of one account of an import, in the order they came.
type Imported struct {
	JID      string `json:"jid"`
	Password string `json:"password,omitempty"` // made here
	Error    *Error `json:"error,omitempty"`    // why it was not added
}

// Totals sums up an import.
type Totals struct {
	Added  int `json:"added"`
	Exist  int `json:"exist"`  // were there already, and stay as they were
	Failed int `json:"failed"` // make no sense
}

// ImportUsers makes many accounts, some hundred in a transaction. report is called for each when its fate is certain. The audit
// has a row at the start and one with the totals at the end. The error is one of the database, or of ctx; what was reported
// until then stays.
func (o *Ops) ImportUsers(ctx context.Context, by Actor, users iter.Seq[NewUser], report func(Imported)) (Totals, error) {
	if err := o.do(ctx, by, act{ChangeAccounts, "user.import", "", "begins"}, nil); err != nil {
		return Totals{}, err
	}
	var t Totals
	tell := func(r Imported) {
		switch {
		case r.Error == nil:
			t.Added++
		case r.Error.Code == Exists:
			t.Exist++
		default:
			t.Failed++
		}
		report(r)
	}
	// What is wrong at first sight never reaches Import; to keep the order it is remembered until those before it are told.
	var waiting []Imported
	entries := func(yield func(account.Entry) bool) {
		for n := range users {
			r, e := o.entry(n)
			waiting = append(waiting, r)
			if r.Error == nil && !yield(e) {
				return
			}
		}
	}
	_, err := o.Accounts.Import(ctx, entries, func(out account.Outcome) {
		for waiting[0].Error != nil {
			tell(waiting[0])
			waiting = waiting[1:]
		}
		r := waiting[0]
		waiting = waiting[1:]
		if out.Err != nil {
			r.Password, r.Error = "", importError(out.JID, out.Err)
		}
		tell(r)
	})
	for _, r := range waiting {
		if r.Error != nil && err == nil {
			tell(r)
		}
	}
	detail := fmt.Sprintf("%d added, %d exist, %d failed", t.Added, t.Exist, t.Failed)
	return t, errors.Join(explain(err), o.do(context.WithoutCancel(ctx), by, act{ChangeAccounts, "user.import", "", detail}, nil))
}

// entry checks what can be seen without the database.
func (o *Ops) entry(n NewUser) (Imported, account.Entry) {
	r := Imported{JID: n.JID}
	j, err := o.served(n.JID)
	if err == nil {
		r.JID = j.String()
		if n.Password == "" {
			r.Password = GeneratePassword()
			n.Password = r.Password
		}
		if _, wrong := account.Prepare(n.Password); wrong != nil {
			err = invalid("%v", wrong)
		}
	}
	if err != nil {
		errors.As(err, &r.Error)
	}
	return r, account.Entry{JID: j, Password: n.Password, Admin: n.Admin, Disabled: n.Disabled}
}

func importError(j jid.JID, err error) *Error {
	if errors.Is(err, store.ErrExists) {
		return &Error{Exists, fmt.Sprintf("%s exists already", j)}
	}
	return invalid("%v", err)
}
