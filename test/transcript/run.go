package transcript

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"chancery/test/node"
)

// run is a script on its way.
type run struct {
	node    *node.Node
	parties []*party
	values  values
}

// party is somebody a script speaks of: a session (romeo/phone), or a connection that is nobody yet (mallory).
type party struct {
	name     string
	user     string // local part
	domain   string
	resource string
	conn     *node.Conn
	scram    *node.Scram
	over     bool // the script ended the connection itself
}

func (p *party) bare() string { return p.user + "@" + p.domain }
func (p *party) full() string { return p.bare() + "/" + p.resource }

// Run plays a script. The error says where it parted from what the script says, and what came before.
func Run(n *node.Node, s *Script) error {
	r := &run{node: n, values: values{}}
	defer r.close()
	for _, st := range s.Steps {
		if err := r.step(st); err != nil {
			return fmt.Errorf("%s:%d: %s\n%w", s.File, st.Line, st, err)
		}
	}
	if err := r.nothingLeft(); err != nil {
		return fmt.Errorf("%s: the script is over\n%w", s.File, err)
	}
	return nil
}

func (r *run) close() {
	for _, p := range r.parties {
		if p.conn != nil {
			p.conn.Close()
		}
	}
}

func (r *run) step(st Step) error {
	defer r.node.Quiet()
	if st.Who == "" {
		for _, v := range stageVerbs {
			if v.phrase == st.Verb {
				return v.do(r, st.Arg)
			}
		}
	}
	p := r.party(st.Who)
	for _, v := range partyVerbs {
		if v.phrase == st.Verb {
			return v.do(r, p, st.Arg)
		}
	}
	return errors.New("no such step")
}

// party finds or introduces somebody. romeo/phone is romeo@a.example/phone, nurse@b.example/x is herself.
func (r *run) party(name string) *party {
	for _, p := range r.parties {
		if p.name == name {
			return p
		}
	}
	p := &party{name: name, domain: node.Domain}
	bare, resource, _ := strings.Cut(name, "/")
	p.resource = resource
	p.user = bare
	if local, domain, ok := strings.Cut(bare, "@"); ok {
		p.user, p.domain = local, domain
	}
	r.parties = append(r.parties, p)
	return p
}

type stageVerb struct {
	phrase string
	do     func(r *run, arg string) error
}

type partyVerb struct {
	phrase string
	do     func(r *run, p *party, arg string) error
}

var stageVerbs, partyVerbs = verbs()

// verbs is the whole language.
func verbs() ([]stageVerb, []partyVerb) {
	return []stageVerb{
			{"clients", (*run).clients},
			{"accounts", (*run).accounts},
			{"interested", (*run).interested},
			{"friends", (*run).friends},
			{"relation", (*run).relation},
			{"setting", (*run).setting},
			{"wait", (*run).wait},
			{"nobody gets anything", func(r *run, _ string) error { return r.nothingLeft() }},
			{"everybody skips what came", func(r *run, _ string) error { r.skipAll(); return nil }},
			{"server restarts", func(r *run, _ string) error { return r.restart(r.node.Stop) }},
			{"server crashes", func(r *run, _ string) error { return r.restart(r.node.Kill) }},
			{"server stops", func(r *run, _ string) error { return r.node.Stop() }},
		}, []partyVerb{
			{"sends bytes", (*run).sendsBytes},
			{"sends", (*run).sends},
			{"gets nothing", func(r *run, p *party, _ string) error { return r.nothing(p) }},
			{"gets in any order", func(r *run, p *party, a string) error { return r.gets(p, a, anyOrder) }},
			{"gets exactly", func(r *run, p *party, a string) error { return r.gets(p, a, exactly) }},
			{"gets", func(r *run, p *party, a string) error { return r.gets(p, a, 0) }},
			{"skips what came", func(r *run, p *party, _ string) error { r.skip(p); return nil }},
			{"is asked for an acknowledgement", (*run).isAsked},
			{"fails with", (*run).failsWith},
			{"is closed", (*run).isClosed},
			{"is cut", (*run).isCut},
			{"connects with TLS", (*run).connectsTLS},
			{"connects strictly", (*run).connectsStrictly},
			{"connects", (*run).connects},
			{"starts TLS", (*run).startsTLS},
			{"fails TLS", (*run).failsTLS},
			{"opens", (*run).opens},
			{"authenticates", (*run).authenticates},
			{"binds", (*run).binds},
			{"logs in", (*run).logsIn},
			{"resumes", (*run).resumes},
			{"disconnects", (*run).disconnects},
			{"closes", (*run).closes},
			{"vanishes", (*run).vanishes},
			{"stops reading", func(r *run, p *party, _ string) error { p.conn.Stop(); return nil }},
			{"reads again", func(r *run, p *party, _ string) error { p.conn.Resume(); return nil }},
			{"remembers", (*run).remembers},
		}
}

// sends puts the variables in and sends the rest as it stands.
func (r *run) sends(p *party, arg string) error {
	if p.conn == nil {
		return errors.New("is not connected")
	}
	text, err := r.fill(p, arg)
	if err != nil {
		return err
	}
	p.conn.Send(text)
	return nil
}

// sendsBytes sends Go string literals, each perhaps so many times: "<a>"*1000 "\xff".
func (r *run) sendsBytes(p *party, arg string) error {
	var b strings.Builder
	for rest := arg; rest != ""; rest = strings.TrimSpace(rest) {
		lit, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return fmt.Errorf("no string literal at %q", rest)
		}
		text, err := strconv.Unquote(lit)
		if err != nil {
			return err
		}
		rest = rest[len(lit):]
		times := 1
		if m := repetition.FindStringSubmatch(rest); m != nil {
			times, _ = strconv.Atoi(m[1])
			rest = rest[len(m[0]):]
		}
		b.WriteString(strings.Repeat(text, times))
		arg = rest
		rest = strings.TrimSpace(rest)
	}
	p.conn.Send(b.String())
	return nil
}

var repetition = regexp.MustCompile(`^\*(\d+)`)

var function = regexp.MustCompile(`\{([a-z][\w-]*)(?: ([^{}]*))?\}`)

// fill replaces variables and functions:
//
//	{name}                 what was remembered
//	{error TYPE COND}      the <error/> of a stanza
//	{base64 TEXT}          \0 in TEXT is the NUL byte
//	{text N}               N letters
//	{scram-first USER MECHANISM GS2} begins a SCRAM conversation; {scram-final PASSWORD} answers {challenge}
func (r *run) fill(p *party, text string) (string, error) {
	var bad error
	out := function.ReplaceAllStringFunc(text, func(m string) string {
		f := function.FindStringSubmatch(m)
		s, err := r.call(p, f[1], f[2])
		if err != nil {
			bad = err
		}
		return s
	})
	return out, bad
}

func (r *run) call(p *party, name, arg string) (string, error) {
	switch name {
	case "error":
		return errorElement(arg), nil
	case "base64":
		return encode(strings.ReplaceAll(arg, `\0`, "\x00")), nil
	case "text":
		n, err := strconv.Atoi(arg)
		return strings.Repeat("x", n), err
	case "scram-first":
		return r.scramFirst(p, arg)
	case "scram-final":
		return r.scramFinal(p, arg)
	}
	if v, ok := r.values[name]; ok && arg == "" {
		return v, nil
	}
	return "", fmt.Errorf("{%s} is not known here", name)
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func decode(text string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	return string(b), err
}

// errorElement is what {error cancel item-not-found} stands for.
func errorElement(arg string) string {
	kind, condition, _ := strings.Cut(arg, " ")
	return fmt.Sprintf("<error type='%s'><%s xmlns='%s'/></error>", kind, condition, nsErrors)
}

var errorShort = regexp.MustCompile(`\{error ([a-z]+ [a-z-]+)\}`)

// remembers gives a variable a value: X remembers name = value.
func (r *run) remembers(p *party, arg string) error {
	name, value, ok := strings.Cut(arg, "=")
	if !ok {
		return errors.New("remembers NAME = VALUE")
	}
	value, err := r.fill(p, strings.TrimSpace(value))
	r.values = r.values.with(strings.TrimSpace(name), value)
	return err
}

func (r *run) wait(arg string) error {
	d, err := time.ParseDuration(arg)
	if err != nil {
		return err
	}
	time.Sleep(d) // inside a bubble: nothing waits but the fake clock
	return nil
}

func (r *run) setting(arg string) error {
	name, value, _ := strings.Cut(arg, " ")
	return r.node.Set(name, strings.TrimSpace(value))
}

func (r *run) skip(p *party) {
	r.node.Quiet()
	if p.conn != nil {
		p.conn.Take()
		p.conn.Asked()
	}
}

func (r *run) skipAll() {
	for _, p := range r.parties {
		r.skip(p)
	}
}

// restart stops the server in one way or another and starts it again over the same data. Everybody is disconnected, and
// what they were told in parting does not count.
func (r *run) restart(stop func() error) error {
	if err := stop(); err != nil {
		return err
	}
	for _, p := range r.parties {
		r.skip(p)
		p.over = true
	}
	return r.node.Start()
}
