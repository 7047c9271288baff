// Package settings holds everything an administrator may change while the server runs.
//
// The fields below are the manual: docs/settings.md, `chancery setting describe` and the answers of the admin socket are
// generated from their comments and tags. A field has a name (its key in the table `setting`), a default, and, where it
// matters, a unit, bounds or a list of allowed words. Values are written the way people write them: 16KiB, 10s, true.
//
// Readers call Live.Load once at the start of a piece of work and keep that snapshot for its length.
package settings

import "time"

// Settings is one immutable, validated set. Never change a set that came from Live.Load.
type Settings struct {
	// Streams from clients (RFC 6120).
	C2S C2S `name:"c2s"`

	// How many connections are taken, from whom, and how fast.
	Listen Listen `name:"listen"`

	// Passwords, and what a wrong one costs.
	Login Login `name:"login"`

	// The message archive (XEP-0313).
	Archive Archive `name:"archive"`

	// Messages kept for users who are away (XEP-0160).
	Offline Offline `name:"offline"`

	// Contact lists (RFC 6121 §2).
	Roster Roster `name:"roster"`

	// Presence (RFC 6121 §4).
	Presence Presence `name:"presence"`

	// Accounts that users make themselves (XEP-0077).
	Registration Registration `name:"registration"`

	// Whom users do not want to hear of (XEP-0191).
	Blocking Blocking `name:"blocking"`

	// XML that clients store for themselves (XEP-0049).
	PrivateXML PrivateXML `name:"private_xml"`

	// What users tell of themselves (XEP-0054).
	VCard VCard `name:"vcard"`

	// Addresses at which the people who run this server can be reached (XEP-0157). Each list holds URIs such as
	// `mailto:admin@example.org` or `xmpp:admin@example.org`; an empty list is not shown.
	Contact Contact `name:"contact"`
}

// C2S is what a client may do on its stream.
type C2S struct {
	// Refuse to authenticate outside TLS (RFC 7590 §3.1). Turn this off only for a test network: passwords and messages
	// are then readable on the wire. PLAIN stays refused outside TLS either way.
	RequireTLS bool `name:"require_tls" default:"true"`

	// Offer SASL PLAIN inside TLS. Clients that only know PLAIN, and accounts whose passwords are checked elsewhere,
	// need it; everybody else uses SCRAM, which never shows the password to the server.
	AllowPlainAuth bool `name:"allow_plain_auth" default:"true"`

	// SASL mechanisms that may be offered, strongest first (RFC 6120 §6). The -PLUS ones are offered only where TLS gives
	// a channel binding (RFC 5801 §5), EXTERNAL only to a client whose certificate names an account, PLAIN only inside TLS and
	// only with allow_plain_auth.
	Mechanisms []string `name:"mechanisms" default:"SCRAM-SHA-512-PLUS,SCRAM-SHA-512,SCRAM-SHA-256-PLUS,SCRAM-SHA-256,SCRAM-SHA-1-PLUS,SCRAM-SHA-1,EXTERNAL,PLAIN" oneof:"SCRAM-SHA-512-PLUS,SCRAM-SHA-512,SCRAM-SHA-256-PLUS,SCRAM-SHA-256,SCRAM-SHA-1-PLUS,SCRAM-SHA-1,EXTERNAL,PLAIN" min:"1"`

	// Limits for a peer that has not proved who it is.
	PreAuth PreAuth `name:"pre_auth"`

	// Longest stanza of a client that has logged in; advertised as max-bytes (XEP-0478).
	StanzaBytes int `name:"stanza_bytes" default:"256KiB" unit:"bytes" min:"10KiB" max:"16MiB"`

	// Deepest nesting of elements in one stanza.
	Depth int `name:"depth" default:"64" min:"8" max:"512"`

	// Attributes on one element.
	Attrs int `name:"attrs" default:"64" min:"8" max:"1024"`

	// Namespace declarations in scope at one place.
	Namespaces int `name:"namespaces" default:"64" min:"8" max:"1024"`

	// Time to finish the TLS handshake.
	TLSTime time.Duration `name:"tls_time" default:"10s" min:"1s" max:"5m"`

	// Time from the first byte to a bound resource (RFC 6120 §4.6.4): TLS, authentication and binding together.
	NegotiationTime time.Duration `name:"negotiation_time" default:"30s" min:"1s" max:"10m"`

	// Time in which a stanza that has begun must be complete.
	StanzaTime time.Duration `name:"stanza_time" default:"60s" min:"1s" max:"10m"`

	// A client that has said nothing for this long is pinged (XEP-0199); 0 never pings.
	PingAfter time.Duration `name:"ping_after" default:"5m" max:"24h"`

	// A pinged client that stays silent for this long is taken for gone; its session waits for resumption.
	PingTimeout time.Duration `name:"ping_timeout" default:"30s" min:"1s" max:"1h"`

	// How long a session whose connection broke can be resumed (XEP-0198 resumption); 0 turns resumption off.
	ResumeTime time.Duration `name:"resume_time" default:"10m" max:"24h"`

	// Bytes waiting for a client that does not read. Beyond it the session is detached and waits for resumption, or is
	// closed with policy-violation.
	OutboxBytes int `name:"outbox_bytes" default:"1MiB" unit:"bytes" min:"64KiB" max:"1GiB"`

	// Stanzas kept for a client that is away and may resume its session (XEP-0198). Beyond it the session is ended, and
	// messages go to the offline store.
	QueueStanzas int `name:"queue_stanzas" default:"1000" min:"10" max:"1000000"`

	// Bytes of stanzas sent and not yet acknowledged (XEP-0198), counting 256 for each stanza beside its content, whether
	// the client is there or away. Beyond it the session is ended.
	QueueBytes int `name:"queue_bytes" default:"4MiB" unit:"bytes" min:"64KiB" max:"1GiB"`

	// Sessions of one account at the same time.
	MaxResources int `name:"max_resources" default:"10" min:"1" max:"1000"`

	// What happens when a client binds a resource that is in use (RFC 6120 §7.7.2.2): `replace` ends the older session,
	// `refuse` answers <conflict/>, `rename` gives the newer session another resource.
	Conflict string `name:"conflict" default:"replace" oneof:"replace,refuse,rename"`

	// Send every new client elsewhere after authentication (RFC 6120 §4.9.3.19): host, host:port or [IPv6]:port. Empty: nobody.
	SeeOtherHost string `name:"see_other_host"`
}

// PreAuth bounds a stream before authentication.
type PreAuth struct {
	// Longest element, which bounds a SASL message too.
	StanzaBytes int `name:"stanza_bytes" default:"16KiB" unit:"bytes" min:"2KiB" max:"1MiB"`

	// Deepest nesting of elements.
	Depth int `name:"depth" default:"16" min:"4" max:"128"`

	// Attributes on one element.
	Attrs int `name:"attrs" default:"32" min:"8" max:"256"`

	// Namespace declarations in scope at one place.
	Namespaces int `name:"namespaces" default:"32" min:"8" max:"256"`
}

// Listen bounds what is accepted at the door. Addresses are counted as IPv4 /32 and IPv6 /64.
type Listen struct {
	// Connections from one address at the same time; 0 is no limit.
	PerAddress int `name:"per_address" default:"64" max:"1000000"`

	// New connections a second from one address, on average; 0 is no limit.
	RatePerAddress int `name:"rate_per_address" default:"16" unit:"per second" max:"1000000"`

	// New connections that one address may open at once before the rate counts.
	Burst int `name:"burst" default:"64" min:"1" max:"1000000"`

	// Listeners, by the names chancery.toml gives them, that take nothing but TLS from the first byte (RFC 7590 §3.1), whatever
	// mode the file says. A plain stream gets a stream error there; streams that are open stay.
	Strict []string `name:"strict"`

	// Connections altogether; 0 is no limit but that of the operating system (ulimit -n).
	Total int `name:"total" default:"0" max:"100000000"`
}

// Login is about passwords. Failures are counted in memory, for each account and for each address.
type Login struct {
	// Wrong passwords that cost nothing. From the next one on every attempt waits, twice as long each time.
	FailuresBeforeDelay int `name:"failures_before_delay" default:"3" min:"1" max:"100"`

	// The longest wait.
	MaxDelay time.Duration `name:"max_delay" default:"60s" min:"1s" max:"1h"`

	// PBKDF2 iterations for passwords set from now on (RFC 5802 §5.1, RFC 7677 §4). More makes a stolen database harder to
	// use and each PLAIN login dearer.
	Iterations int `name:"iterations" default:"10000" min:"4096" max:"10000000"`
}

// Archive is the policy for XEP-0313 archives.
type Archive struct {
	// What is archived for users who have not chosen: `always` everything, `roster` conversations with contacts, `never`
	// nothing (XEP-0313 preferences).
	Default string `name:"default" default:"always" oneof:"always,roster,never"`

	// Archived messages older than this are removed; 0 keeps them for ever. Days are written as 720h.
	Retention time.Duration `name:"retention" default:"0s" max:"876000h"`

	// Messages in one page of results (RSM, XEP-0059).
	PageMax int `name:"page_max" default:"250" min:"10" max:"10000"`
}

// Offline is the policy for messages to users who are away.
type Offline struct {
	// Messages kept for one account. Beyond it senders get service-unavailable (RFC 6121 §8.5.2.2.1).
	Messages int `name:"messages" default:"1000" max:"1000000"`
}

// Roster bounds contact lists.
type Roster struct {
	// Contacts of one account. Beyond it roster sets get policy-violation.
	Contacts int `name:"contacts" default:"2000" min:"1" max:"1000000"`
}

// Presence bounds what is remembered for one session.
type Presence struct {
	// Addresses to which a session has sent directed presence (RFC 6121 §4.6).
	Directed int `name:"directed" default:"1000" min:"10" max:"1000000"`
}

// Registration is about accounts made and changed in band.
type Registration struct {
	// Let anybody make an account. Spammers look for servers that do.
	Enabled bool `name:"enabled" default:"false"`

	// Let users change their own password (XEP-0077 §3.3).
	PasswordChange bool `name:"password_change" default:"true"`

	// Let users remove their own account, with everything that belongs to it (XEP-0077 §3.2).
	Removal bool `name:"removal" default:"true"`

	// Accounts that may be made from one address in an hour, counted as IPv4 /32 and IPv6 /64; 0 is no limit.
	PerAddress int `name:"per_address" default:"3" max:"1000000"`
}

// Contact holds the addresses of XEP-0157.
type Contact struct {
	// Who runs the server.
	Admin []string `name:"admin"`
	// Where abuse is reported.
	Abuse []string `name:"abuse"`
	// Who helps users.
	Support []string `name:"support"`
	// Where security problems are reported.
	Security []string `name:"security"`
	// Where feedback goes.
	Feedback []string `name:"feedback"`
	// Who sells.
	Sales []string `name:"sales"`
	// Where the state of the service is published.
	Status []string `name:"status"`
}
