package settings

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"chancery/store"
)

// Revision is the name under which changes are counted in the table `revision`.
const Revision = "settings"

// ErrUnknown says that there is no setting of that name.
var ErrUnknown = errors.New("no such setting")

// Live is the set in use, and the way to change it.
type Live struct {
	current atomic.Pointer[state]
	db      *store.DB
	refresh sync.Mutex // so that what was read later is never overwritten by what was read earlier
}

// state is a set and what is known of it.
type state struct {
	set        *Settings
	changed    map[string]time.Time // of the settings that have a row
	unreadable error                // rows that make no sense by themselves
	conflict   error                // rows that do not fit each other
}

// Fixed is a Live that holds s and has no rows.
func Fixed(s *Settings) *Live {
	l := new(Live)
	l.current.Store(&state{set: s})
	return l
}

// Open reads the rows. Rows that make no sense do not keep a server from starting: the defaults stand in, and Problems says so.
func Open(ctx context.Context, db *store.DB) (*Live, error) {
	l := &Live{db: db}
	rows, err := readRows(ctx, db.Read())
	if err != nil {
		return nil, err
	}
	l.current.Store(build(rows))
	return l, nil
}

// Load returns the set in use. It costs one atomic read; the result must not be changed.
func (l *Live) Load() *Settings { return l.current.Load().set }

// Problems says which rows were not understood when the set in use was built; nil when all is well.
func (l *Live) Problems() error { return l.current.Load().problems() }

func (s *state) problems() error { return errors.Join(s.unreadable, s.conflict) }

// Refresh reads the rows again after a change, here or on another node. A set that does not build is refused with an error
// that says why, and the old one stays in use.
func (l *Live) Refresh(ctx context.Context) error {
	if l.db == nil {
		return nil
	}
	l.refresh.Lock()
	defer l.refresh.Unlock()
	rows, err := readRows(ctx, l.db.Read())
	if err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}
	next := build(rows)
	if err := next.problems(); err != nil {
		return fmt.Errorf("the settings in the database are not usable, the old ones stay: %w", err)
	}
	l.current.Store(next)
	return nil
}

// Change is a new value for one setting, or its return to the default.
type Change struct {
	Name  string
	Text  string // as people write it
	Reset bool   // to the default; Text does not count
}

// Set writes a value, as people write it, and refuses one that does not fit the others. Call Refresh after the commit.
func (l *Live) Set(ctx context.Context, tx store.Tx, name, text string) error {
	return l.Apply(ctx, tx, []Change{{Name: name, Text: text}})
}

// Reset returns a setting to its default, whatever that is in the version that runs.
func (l *Live) Reset(ctx context.Context, tx store.Tx, name string) error {
	return l.Apply(ctx, tx, []Change{{Name: name, Reset: true}})
}

// Apply makes several changes that are checked together. Its error names every change that is wrong; then nothing was written.
func (l *Live) Apply(ctx context.Context, tx store.Tx, changes []Change) error {
	rows, err := readRows(ctx, tx)
	if err != nil {
		return err
	}
	var errs []error
	encoded := make([]string, len(changes))
	for i, c := range changes {
		if encoded[i], err = c.encode(); err != nil {
			errs = append(errs, err)
		}
		rows[c.Name] = row{value: encoded[i], reset: c.Reset}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if err := build(rows).conflict; err != nil {
		return err
	}
	for i, c := range changes {
		if err := c.write(ctx, tx, encoded[i]); err != nil {
			return err
		}
	}
	_, err = store.Bump(ctx, tx, Revision)
	return err
}

// encode checks the value by itself and turns it into what the table holds.
func (c Change) encode() (string, error) {
	f := fieldByName[c.Name]
	if f == nil {
		return "", fmt.Errorf("%s: %w%s", c.Name, ErrUnknown, similar(c.Name))
	}
	if c.Reset {
		return "", nil
	}
	v, err := f.decode(c.Text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.Name, err)
	}
	return f.encode(v), nil
}

func (c Change) write(ctx context.Context, tx store.Tx, value string) (err error) {
	if c.Reset {
		_, err = tx.Exec(ctx, `DELETE FROM setting WHERE name = ?`, c.Name)
	} else {
		_, err = tx.Exec(ctx, `INSERT INTO setting (name, value, changed) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed = excluded.changed`, c.Name, value, time.Now().UnixMicro())
	}
	return err
}

// similar suggests what may have been meant: the shortest name that ends alike.
func similar(name string) string {
	last, best := name[strings.LastIndexByte(name, '.')+1:], ""
	for i := range fields {
		n := fields[i].Name
		if last != "" && strings.HasSuffix(n, "."+strings.ToLower(last)) && (best == "" || len(n) < len(best)) {
			best = n
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// Value is a setting as it is now.
type Value struct {
	Entry
	Text    string     `json:"value"`             // as people write it
	Changed *time.Time `json:"changed,omitempty"` // when somebody set it; nil for a default
}

// Get returns one setting; ErrUnknown when there is none of that name.
func (l *Live) Get(name string) (Value, error) {
	f := fieldByName[name]
	if f == nil {
		return Value{}, fmt.Errorf("%s: %w%s", name, ErrUnknown, similar(name))
	}
	return l.current.Load().value(f), nil
}

// List returns all settings in the order of the manual.
func (l *Live) List() []Value {
	s := l.current.Load()
	all := make([]Value, len(fields))
	for i := range fields {
		all[i] = s.value(&fields[i])
	}
	return all
}

func (s *state) value(f *field) Value {
	v := Value{Entry: f.Entry, Text: f.format(f.get(s.set))}
	if at, ok := s.changed[f.Name]; ok {
		v.Changed = &at
	}
	return v
}

type row struct {
	value   string
	changed time.Time
	reset   bool
}

func readRows(ctx context.Context, tx store.Tx) (map[string]row, error) {
	rows, err := tx.Query(ctx, `SELECT name, value, changed FROM setting`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]row{}
	for rows.Next() {
		var name string
		var r row
		var changed int64
		if err := rows.Scan(&name, &r.value, &changed); err != nil {
			return nil, err
		}
		r.changed = time.UnixMicro(changed).UTC()
		all[name] = r
	}
	return all, rows.Err()
}

// build makes a whole set of rows. A row that makes no sense leaves the default; rows that do not fit each other leave all
// the defaults. Rows with names that this version does not know are for another version.
func build(rows map[string]row) *state {
	s := &state{set: Defaults(), changed: map[string]time.Time{}}
	var errs []error
	for name, r := range rows {
		f := fieldByName[name]
		if f == nil || r.reset {
			continue
		}
		v, err := f.decode(r.value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		f.set(s.set, v)
		s.changed[name] = r.changed
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	s.unreadable = errors.Join(errs...)
	if s.conflict = check(s.set); s.conflict != nil {
		s.set, s.changed = Defaults(), map[string]time.Time{}
	}
	return s
}
