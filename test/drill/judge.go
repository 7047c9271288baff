package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"chancery/test/client"
)

// archives reads every talker's archive behind what is known of it, through a
// session of its own.
func (c *crew) archives(ctx context.Context, known map[string][]client.Kept) (map[string][]client.Kept, error) {
	all := map[string][]client.Kept{}
	for _, t := range c.talkers {
		conn, err := client.Dial(ctx, c.srv.Config(t.name, "judge"))
		if err != nil {
			return nil, err
		}
		err = conn.Bind()
		after := ""
		if k := known[t.name]; len(k) > 0 {
			after = k[len(k)-1].Archive
		}
		var more []client.Kept
		if err == nil {
			more, err = conn.Archive(after)
		}
		all[t.name] = slices.Concat(known[t.name], more)
		conn.Close()
		if err != nil {
			return nil, fmt.Errorf("archive of %s: %w", t.name, err)
		}
	}
	return all, nil
}

// grown checks that an archive read earlier, in parts, is the beginning of the
// same archive read as a whole: nothing vanished, nothing slipped in between,
// no id changed.
func (r *report) grown(before, after map[string][]client.Kept) {
	var wrong []string
	for name, old := range before {
		now := after[name]
		for i, k := range old {
			if i >= len(now) || now[i] != k {
				wrong = append(wrong, fmt.Sprintf("%s at %d: %v", name, i, k))
				break
			}
		}
	}
	r.none("an archive only grows at its end", wrong)
}

// copies is where in an archive each message of a sender stands.
func copies(kept []client.Kept, sender string) map[int][]int {
	at := map[int][]int{}
	for i, k := range kept {
		from, _, _ := strings.Cut(k.From, "@")
		if from == sender {
			n := number(k.ID)
			at[n] = append(at[n], i)
		}
	}
	return at
}

// judge compares what the talkers know with the archives, after dismiss.
// Messages of uncertain fate may be there once or not at all.
func (c *crew) judge(r *report, kept map[string][]client.Kept) {
	var lost, doubled, undead, disorder, misnamed []string
	total := map[fate]int{}
	for _, t := range c.talkers {
		own := copies(kept[t.name], t.name)
		theirs := map[string]map[int][]int{}
		for _, peer := range t.peers {
			theirs[peer] = copies(kept[peer], t.name)
		}
		for i, f := range t.fates {
			n := i + 1
			total[f]++
			for whose, at := range map[string][]int{t.name: own[n], t.to[i]: theirs[t.to[i]][n]} {
				what := fmt.Sprintf("%s to %s %d in the archive of %s", t.name, t.to[i], n, whose)
				switch {
				case len(at) > 1:
					doubled = append(doubled, what)
				case len(at) == 0 && f == acknowledged:
					lost = append(lost, what)
				case len(at) == 1 && f == refused:
					undead = append(undead, what)
				}
			}
		}
		disorder = append(disorder, unsorted(kept[t.name], t.name)...)
		for _, u := range c.talkers {
			misnamed = append(misnamed, t.misnamed(u.name, kept[t.name])...)
		}
	}
	r.note("%d messages acknowledged, %d refused (%s), %d uncertain", total[acknowledged], total[refused], words(c.refusals()), total[unknown])
	r.check("there was load", total[acknowledged] > 100*len(c.talkers), "only %d messages", total[acknowledged])
	r.check("every message has a fate", total[open] == 0, "%d are open", total[open])
	r.none("nothing acknowledged is lost from an archive", lost)
	r.none("nothing is twice in an archive", doubled)
	if c.unsure {
		r.note("%d messages were refused and are there: the answer to their commit was lost", len(undead))
	} else {
		r.none("what was refused is not there", undead)
	}
	r.none("the archives keep the order in which each client sent", disorder)
	r.none("a message comes with the id that the archive gives it", misnamed)
	c.judgeHeard(r)
}

// unsorted lists where a sender's numbers do not ascend in an archive. An
// account's own archive has its messages to both peers, in one order.
func unsorted(kept []client.Kept, name string) (wrong []string) {
	last := map[string]int{}
	for _, k := range kept {
		n := number(k.ID)
		if n <= last[bare(k.From)] {
			wrong = append(wrong, fmt.Sprintf("archive of %s: %d of %s after %d", name, n, k.From, last[bare(k.From)]))
		}
		last[bare(k.From)] = n
	}
	return wrong
}

func bare(jid string) string {
	b, _, _ := strings.Cut(jid, "/")
	return b
}

// misnamed lists messages heard from sender with a stanza-id that the archive
// does not have for them.
func (t *talker) misnamed(sender string, kept []client.Kept) (wrong []string) {
	ids := map[int]string{}
	for n, at := range copies(kept, sender) {
		ids[n] = kept[at[0]].Archive
	}
	for _, h := range t.heard[sender] {
		if h.archive != ids[h.number] {
			wrong = append(wrong, fmt.Sprintf("%d from %s to %s: %q, archived as %q", h.number, sender, t.name, h.archive, ids[h.number]))
		}
	}
	return wrong
}

// judgeHeard looks at what the recipients saw. Once is demanded within a
// session that was resumed each time; across sessions begun afresh a message
// whose acknowledgement was lost may come again.
func (c *crew) judgeHeard(r *report) {
	var twice, disorder, reasons []string
	again := 0
	for _, t := range c.talkers {
		for sender, all := range t.heard {
			seen, last := map[int]int{}, map[int]int{}
			for _, h := range all {
				what := fmt.Sprintf("%s from %s %d", t.name, sender, h.number)
				if s, ok := seen[h.number]; ok && s == h.resumed {
					twice = append(twice, what)
				} else if ok {
					again++
				} else if h.number < last[h.resumed] {
					disorder = append(disorder, what)
				}
				seen[h.number] = h.resumed
				last[h.resumed] = max(last[h.resumed], h.number)
			}
		}
		reasons = append(reasons, t.reasons...)
	}
	r.none("everything acknowledged has come to its recipient", c.missing())
	r.none("nothing came twice in one session", twice)
	r.none("messages came in the order in which they were sent", disorder)
	r.none("every session was resumed", reasons)
	if again > 0 {
		r.note("%d messages came again after a session was begun afresh", again)
	}
}

// judgeRoster compares the contact name that the server confirmed last with
// the one it has.
func (c *crew) judgeRoster(ctx context.Context, r *report) error {
	var lost []string
	for _, t := range c.talkers {
		conn, err := client.Dial(ctx, c.srv.Config(t.name, "judge"))
		if err != nil {
			return err
		}
		err = conn.Bind()
		if err == nil {
			err = conn.Write("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
		}
		for err == nil {
			var e *client.Element
			if e, err = conn.Read(); err == nil && e.Attr("id") == "roster" {
				name := 0
				for _, item := range e.Child("jabber:iq:roster", "query").Children {
					name = number("x-" + item.Attr("name"))
				}
				if name < t.renamed || name > t.renames {
					lost = append(lost, fmt.Sprintf("%s: %d, confirmed %d of %d", t.name, name, t.renamed, t.renames))
				}
				break
			}
		}
		conn.Close()
		if err != nil {
			return fmt.Errorf("roster of %s: %w", t.name, err)
		}
	}
	r.none("a change that an iq result confirmed is kept", lost)
	return nil
}

// words joins counts for a note.
func words(m map[string]int) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, fmt.Sprintf("%s × %d", k, m[k]))
	}
	return strings.Join(all, ", ")
}
