package settings

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// check looks at what one value alone does not show. It runs on every whole set before it is used.
func check(s *Settings) error {
	return errors.Join(checkLimits(&s.C2S), checkOtherHost(s.C2S.SeeOtherHost), checkContact(&s.Contact))
}

func checkLimits(c *C2S) error {
	var errs []error
	smaller := func(name string, before, after int) {
		if before > after {
			errs = append(errs, fmt.Errorf("c2s.pre_auth.%[1]s (%[2]d) is more than c2s.%[1]s (%[3]d): strangers would be allowed more than users", name, before, after))
		}
	}
	smaller("stanza_bytes", c.PreAuth.StanzaBytes, c.StanzaBytes)
	smaller("depth", c.PreAuth.Depth, c.Depth)
	smaller("attrs", c.PreAuth.Attrs, c.Attrs)
	smaller("namespaces", c.PreAuth.Namespaces, c.Namespaces)
	if c.StanzaBytes > c.OutboxBytes {
		errs = append(errs, errors.New("c2s.stanza_bytes is more than c2s.outbox_bytes: such a stanza could never be delivered"))
	}
	if c.StanzaBytes > c.QueueBytes {
		errs = append(errs, errors.New("c2s.stanza_bytes is more than c2s.queue_bytes: such a stanza could never be acknowledged"))
	}
	if c.TLSTime > c.NegotiationTime {
		errs = append(errs, errors.New("c2s.tls_time is more than c2s.negotiation_time, which contains it"))
	}
	return errors.Join(errs...)
}

func checkOtherHost(h string) error {
	if h == "" {
		return nil
	}
	u, err := url.Parse("xmpp://" + h)
	if err != nil || u.Host != h || u.Hostname() == "" || strings.ContainsAny(h, "<>&'\"@/ ") {
		return fmt.Errorf("c2s.see_other_host: %q is not host, host:port or [IPv6]:port", h)
	}
	return nil
}

func checkContact(c *Contact) error {
	var errs []error
	for _, list := range [][]string{c.Admin, c.Abuse, c.Support, c.Security, c.Feedback, c.Sales, c.Status} {
		for _, uri := range list {
			if u, err := url.Parse(uri); err != nil || u.Scheme == "" {
				errs = append(errs, fmt.Errorf("contact: %q is not a URI; write mailto:help@example.org", uri))
			}
		}
	}
	return errors.Join(errs...)
}
