// Package sasl is the server's side of SASL as XMPP uses it (RFC 6120 §6): SCRAM with and without channel binding
// (RFC 5802, RFC 7677), PLAIN (RFC 4616) and EXTERNAL (RFC 4422 appendix A).
//
// It knows no network and no database. A Server holds one exchange on one stream; whoever owns the stream moves the
// base64 text between it and the peer, and asks Offer what to advertise.
package sasl

// Mechanisms by their registered names.
const (
	ScramSHA1       = "SCRAM-SHA-1"
	ScramSHA1Plus   = "SCRAM-SHA-1-PLUS"
	ScramSHA256     = "SCRAM-SHA-256"
	ScramSHA256Plus = "SCRAM-SHA-256-PLUS"
	ScramSHA512     = "SCRAM-SHA-512"
	ScramSHA512Plus = "SCRAM-SHA-512-PLUS"
	Plain           = "PLAIN"
	External        = "EXTERNAL"
)

// The conditions of RFC 6120 §6.5.
const (
	Aborted              = "aborted"
	AccountDisabled      = "account-disabled"
	CredentialsExpired   = "credentials-expired"
	EncryptionRequired   = "encryption-required"
	IncorrectEncoding    = "incorrect-encoding"
	InvalidAuthzid       = "invalid-authzid"
	InvalidMechanism     = "invalid-mechanism"
	MalformedRequest     = "malformed-request"
	MechanismTooWeak     = "mechanism-too-weak"
	NotAuthorized        = "not-authorized"
	TemporaryAuthFailure = "temporary-auth-failure"
)

// Failure ends an exchange. Condition and Text may be shown to the peer; Cause is ours alone.
type Failure struct {
	Condition string // one of RFC 6120 §6.5
	Text      string // for people; "" for none. Never says whether an account exists.
	Cause     error  // for logs and metrics; nil when the peer alone is to blame
}

func (f *Failure) Error() string {
	s := "sasl: " + f.Condition
	if f.Text != "" {
		s += ": " + f.Text
	}
	if f.Cause != nil {
		s += ": " + f.Cause.Error()
	}
	return s
}

func (f *Failure) Unwrap() error { return f.Cause }
