package client

import (
	"fmt"
	"strconv"
)

// Kept is one message of an archive, oldest first.
type Kept struct {
	Archive string // the archive's id of it
	ID      string // the sender's
	From    string
	To      string
	Body    string
}

// Archive reads all of the account's archive behind the archive id after (""
// for all), page by page (XEP-0313, XEP-0059). The stream must be bound and
// quiet: whatever else comes meanwhile is dropped.
func (c *Conn) Archive(after string) ([]Kept, error) {
	var all []Kept
	for page := 0; ; page++ {
		id := "mam" + strconv.Itoa(page)
		rsm := "<max>250</max>"
		if after != "" {
			rsm += "<after>" + escape(after) + "</after>"
		}
		err := c.Write("<iq type='set' id='" + id + "'><query xmlns='" + NSMAM + "' queryid='" + id + "'><set xmlns='" + NSRSM + "'>" + rsm + "</set></query></iq>")
		if err != nil {
			return all, err
		}
		got, fin, err := c.page(id)
		if err != nil {
			return all, err
		}
		all = append(all, got...)
		last := fin.Child(NSRSM, "set").Child(NSRSM, "last").Content()
		if fin.Attr("complete") == "true" || last == "" || last == after {
			return all, nil
		}
		after = last
	}
}

func (c *Conn) page(id string) (got []Kept, fin *Element, err error) {
	for {
		e, err := c.Read()
		if err != nil {
			return nil, nil, fmt.Errorf("archive page: %w", err)
		}
		if e.Is(nsClient, "iq") && e.Attr("id") == id {
			if fin = e.Child(NSMAM, "fin"); fin == nil {
				return nil, nil, fmt.Errorf("archive page: %s", e)
			}
			return got, fin, nil
		}
		r := e.Child(NSMAM, "result")
		if r == nil || r.Attr("queryid") != id {
			continue
		}
		m := r.Child("urn:xmpp:forward:0", "forwarded").Child(nsClient, "message")
		got = append(got, Kept{r.Attr("id"), m.Attr("id"), m.Attr("from"), m.Attr("to"), m.Child(nsClient, "body").Content()})
	}
}

// StanzaID is the id that the archive of owner gave this message (XEP-0359);
// "" when it says none.
func (e *Element) StanzaID(owner string) string {
	for _, c := range e.children() {
		if c.Is(NSSID, "stanza-id") && c.Attr("by") == owner {
			return c.Attr("id")
		}
	}
	return ""
}
