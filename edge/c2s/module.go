package c2s

import (
	"context"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/store"
)

// Module says what the stream itself supports.
func Module() route.Module {
	return route.Module{
		Name: "streams",
		Claims: []route.Claim{
			{Spec: "RFC 6120", Covers: "server role", Note: "Streams from clients; SASL SCRAM and PLAIN."},
			{Spec: "RFC 7590", Covers: "complete"},
			{Spec: "RFC 7622", Covers: "complete"},
			{Spec: "RFC 9266", Covers: "complete", Note: "tls-exporter."},
			{Spec: "XEP-0198", Version: "1.6.3", Covers: "complete", Note: "Sessions can be resumed after a restart of the server; <r/> is answered when the stanzas before it are on disk."},
			{Spec: "XEP-0352", Version: "1.0.0", Covers: "complete"},
			{Spec: "XEP-0368", Version: "1.1.0", Covers: "server role", Note: "Also on the STARTTLS port: the first byte decides."},
			{Spec: "XEP-0440", Version: "1.0.0", Covers: "complete"},
			{Spec: "XEP-0474", Version: "0.5.0", Covers: "server role"},
		},
		Forget: Forget,
	}
}

// Forget removes the sessions of an account that could be resumed.
func Forget(ctx context.Context, tx store.Tx, a account.Account) error {
	if _, err := tx.Exec(ctx, `DELETE FROM sm_queue WHERE session IN (SELECT id FROM sm_session WHERE account = ?)`, a.ID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM sm_session WHERE account = ?`, a.ID)
	return err
}
