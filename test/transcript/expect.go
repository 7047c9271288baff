package transcript

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"chancery/test/node"
)

// How strictly 'gets' compares.
const (
	anyOrder = 1 << iota // of the elements of one step
	exactly              // nothing is forgiven
)

// wanted is something that shall come.
type wanted struct {
	kind node.EventKind
	elem *node.Element
}

func (w wanted) String() string { return node.Event{Kind: w.kind, Elem: w.elem}.String() }

// parseWanted reads what 'gets' names: elements, an opening tag of a stream, a closing one.
func (r *run) parseWanted(text string) ([]wanted, error) {
	text = errorShort.ReplaceAllStringFunc(text, func(m string) string { return errorElement(errorShort.FindStringSubmatch(m)[1]) })
	var out []wanted
	if rest, ok := strings.CutPrefix(text, "<?xml version='1.0'?>"); ok {
		text = strings.TrimSpace(rest)
	}
	if strings.HasPrefix(text, "<stream:stream") {
		tag, rest, ok := strings.Cut(text, ">")
		if !ok {
			return nil, errors.New("the stream header has no end")
		}
		h, err := node.ParseElements(strings.TrimSuffix(tag, "/") + "/>")
		if err != nil {
			return nil, err
		}
		out, text = append(out, wanted{node.Header, h[0]}), rest
	}
	rest, closed := strings.CutSuffix(strings.TrimSpace(text), "</stream:stream>")
	elems, err := node.ParseElements(rest)
	if err != nil {
		return nil, fmt.Errorf("the script's own XML: %w", err)
	}
	for _, e := range elems {
		out = append(out, wanted{node.Stanza, e})
	}
	if closed {
		out = append(out, wanted{kind: node.Closed})
	}
	if len(out) == 0 {
		return nil, errors.New("gets what?")
	}
	return out, nil
}

// gets takes as many events as the step names and compares them.
func (r *run) gets(p *party, arg string, how int) error {
	wants, err := r.parseWanted(arg)
	if err != nil {
		return err
	}
	if p.conn == nil {
		return errors.New("is not connected")
	}
	r.node.Quiet()
	var got []node.Event
	for range wants {
		if e, ok := p.conn.Pop(); ok {
			got = append(got, e)
		}
	}
	if len(got) < len(wants) && how&anyOrder == 0 {
		wants = wants[:len(got)+1]
	}
	bound, diff := r.compare(p, wants, got, how)
	if diff != "" {
		return r.difference(p, wants, got, diff)
	}
	r.values = bound
	return nil
}

// compare matches events with what is wanted, in order or in any.
func (r *run) compare(p *party, wants []wanted, got []node.Event, how int) (values, string) {
	if how&anyOrder != 0 {
		return r.compareSet(p, r.values, wants, got, how)
	}
	v := r.values
	for i, w := range wants {
		if i >= len(got) {
			return v, "nothing more came"
		}
		var diff string
		if v, diff = r.compareOne(p, v, w, got[i], how); diff != "" {
			return v, diff
		}
	}
	return v, ""
}

func (r *run) compareSet(p *party, v values, wants []wanted, got []node.Event, how int) (values, string) {
	if len(wants) == 0 {
		return v, ""
	}
	diff := "did not come: " + wants[0].String()
	for i, g := range got {
		bound, d := r.compareOne(p, v, wants[0], g, how)
		if d != "" {
			continue
		}
		others := append(append([]node.Event(nil), got[:i]...), got[i+1:]...)
		if bound, d = r.compareSet(p, bound, wants[1:], others, how); d == "" {
			return bound, ""
		}
		diff = d
	}
	return v, diff
}

func (r *run) compareOne(p *party, v values, w wanted, got node.Event, how int) (values, string) {
	if w.kind != got.Kind {
		return v, "that is something else"
	}
	if w.elem == nil {
		return v, ""
	}
	g := got.Elem
	if how&exactly == 0 && got.Kind == node.Stanza {
		g = forgive(w.elem, g, p.bare(), p.full())
	}
	return v.match(w.elem, g)
}

// difference is the message that a failing script shows.
func (r *run) difference(p *party, wants []wanted, got []node.Event, diff string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "    %s\n", diff)
	for _, w := range wants {
		fmt.Fprintf(&b, "    wanted: %s\n", r.values.show(w.String()))
	}
	for _, g := range got {
		fmt.Fprintf(&b, "    came:   %s\n", g)
	}
	for _, e := range p.conn.Take() {
		fmt.Fprintf(&b, "    then:   %s\n", e)
	}
	return errors.New(strings.TrimRight(b.String(), "\n"))
}

// nothing proves silence: everything that can happen has happened, and nothing came.
func (r *run) nothing(p *party) error {
	r.node.Quiet()
	if p.conn == nil {
		return nil
	}
	e, ok := p.conn.Peek()
	if !ok || (p.over && e.Kind == node.Ended) {
		return nil
	}
	return fmt.Errorf("    wanted: nothing for %s\n    came:   %s", p.name, e)
}

func (r *run) nothingLeft() error {
	for _, p := range r.parties {
		if err := r.nothing(p); err != nil {
			return err
		}
	}
	return nil
}

// isAsked: the server has sent at least one <r/> (XEP-0198), which no other step sees.
func (r *run) isAsked(p *party, _ string) error {
	r.node.Quiet()
	if p.conn.Asked() == 0 {
		return errors.New("    the server asked for no acknowledgement")
	}
	return nil
}

// failsWith: a stream error with that condition, the end of the stream, the end of the connection (RFC 6120 §4.9.1.1).
func (r *run) failsWith(p *party, arg string) error {
	condition, inner, _ := strings.Cut(arg, " ")
	var cond strings.Builder
	_ = xml.EscapeText(&cond, []byte(condition))
	err := r.gets(p, fmt.Sprintf("<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>%s</stream:error>", cond.String(), inner), 0)
	if err != nil {
		return err
	}
	return r.isClosed(p, "")
}

// isClosed: the server closes the stream, and then the connection.
func (r *run) isClosed(p *party, _ string) error {
	if err := r.gets(p, "</stream:stream>", 0); err != nil {
		return err
	}
	return r.isCut(p, "")
}

// isCut: the server ends the connection.
func (r *run) isCut(p *party, _ string) error {
	r.node.Quiet()
	e, ok := p.conn.Pop()
	switch {
	case !ok:
		return errors.New("    the connection still stands")
	case e.Kind != node.Ended:
		return fmt.Errorf("    wanted: the end of the connection\n    came:   %s", e)
	}
	p.over = true
	return r.nothing(p)
}
