package store

import (
	"strings"
	"sync"
)

// Table says how a row of it is written. It is a value that stands beside the feature's SQL and never changes.
type Table struct {
	Name    string
	Columns []string
	// Key is how many leading columns are the key: a row with the same key is replaced. 0 is a plain insert.
	Key int

	once    sync.Once
	sql, pg string
}

// Row is one thing to write with DB.Append.
type Row struct {
	Table  *Table
	Values []any // one for each of Table.Columns

	// Replace, when not empty, lets the store write only the last of the rows of one table with the same Replace that
	// happen to be written together. Only for tables with a key, and for rows of the same key.
	Replace string

	statement string
}

// Do is a row that is a statement instead: it deletes, trims or counts, and takes its place in the order of rows.
func Do(statement string, args ...any) Row {
	return Row{statement: statement, Values: args}
}

// text is the statement that writes the row.
func (r *Row) text() string {
	if r.Table == nil {
		return r.statement
	}
	return r.Table.statements().sql
}

// postgres is text with numbered placeholders.
func (r *Row) postgres() string {
	if r.Table == nil {
		return rebind(r.statement)
	}
	return r.Table.statements().pg
}

func (t *Table) statements() *Table {
	t.once.Do(func() {
		t.sql = t.insert()
		t.pg = rebind(t.sql)
	})
	return t
}

func (t *Table) insert() string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + t.Name + " (" + strings.Join(t.Columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(t.Columns)-1) + ")")
	if t.Key == 0 {
		return b.String()
	}
	b.WriteString(" ON CONFLICT (" + strings.Join(t.Columns[:t.Key], ", ") + ") DO ")
	if t.Key == len(t.Columns) {
		b.WriteString("NOTHING")
		return b.String()
	}
	for i, c := range t.Columns[t.Key:] {
		if i == 0 {
			b.WriteString("UPDATE SET ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(c + " = excluded." + c)
	}
	return b.String()
}

// rowOverhead is what a value costs in memory beside its bytes.
const rowOverhead = 16

func sizeOf(rows []Row) int {
	n := 0
	for i := range rows {
		for _, v := range rows[i].Values {
			n += rowOverhead
			switch v := v.(type) {
			case string:
				n += len(v)
			case []byte:
				n += len(v)
			}
		}
	}
	return n
}
