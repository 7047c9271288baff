package ops

import (
	"context"
	"errors"
	"strings"

	"chancery/core/settings"
	"chancery/store"
)

// AllSettings lists every setting with its value, its default and its manual.
func (o *Ops) AllSettings(ctx context.Context, by Actor) ([]settings.Value, error) {
	if err := o.allow(by, ReadSettings, "setting.list"); err != nil {
		return nil, err
	}
	return o.Settings.List(), nil
}

// Setting returns one.
func (o *Ops) Setting(ctx context.Context, by Actor, name string) (settings.Value, error) {
	if err := o.allow(by, ReadSettings, "setting.get"); err != nil {
		return settings.Value{}, err
	}
	v, err := o.Settings.Get(name)
	return v, explain(err)
}

// ChangeSettings makes changes that are checked together, and puts them into use. It returns the new values.
func (o *Ops) ChangeSettings(ctx context.Context, by Actor, changes []settings.Change) ([]settings.Value, error) {
	if len(changes) == 0 {
		return nil, invalid("nothing to change")
	}
	a := act{right: ChangeSettings, action: "setting.set"}
	var names, details []string
	for _, c := range changes {
		old, err := o.Setting(ctx, by, c.Name)
		if err != nil {
			return nil, err
		}
		names = append(names, c.Name)
		to := c.Text
		if c.Reset {
			a.action, to = "setting.reset", old.Default
		}
		details = append(details, c.Name+": "+old.Text+" → "+to)
	}
	a.target, a.detail = strings.Join(names, " "), strings.Join(details, "; ")
	err := o.do(ctx, by, a, func(tx store.Tx) error { return wrong(o.Settings.Apply(ctx, tx, changes)) })
	if err != nil {
		return nil, err
	}
	if err := o.refresh(ctx, settings.Revision); err != nil {
		return nil, err
	}
	values := make([]settings.Value, len(names))
	for i, name := range names {
		if values[i], err = o.Settings.Get(name); err != nil {
			return nil, explain(err)
		}
	}
	return values, nil
}

// wrong makes what the settings say of a value an answer to whoever wrote it. The database's own troubles stay what they are.
func wrong(err error) error {
	if err == nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, settings.ErrUnknown) {
		return err
	}
	return &Error{Invalid, err.Error()}
}
