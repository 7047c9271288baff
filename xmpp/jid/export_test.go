package jid

// Prepare is the long way, for comparison with the short one.
func Prepare(s string) (JID, error) { return prepare(s) }
