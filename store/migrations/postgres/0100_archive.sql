-- +goose Up

-- The archives of all accounts (XEP-0313); docs/adr/0003-archive-schema.md says why it looks like this.
--
-- A message is written once. sender and recipient are the accounts in whose archives it stands, NULL for who is not of this server,
-- does not want it, or is gone. conversation is a keyed hash of the two bare addresses and of who keeps it. The id says when it was.
CREATE TABLE message (
	id           BIGINT NOT NULL PRIMARY KEY,
	sender       BIGINT,
	recipient    BIGINT,
	conversation BIGINT NOT NULL,
	stanza       BYTEA  NOT NULL
);

CREATE INDEX message_sender ON message (sender, id) WHERE sender IS NOT NULL;
CREATE INDEX message_recipient ON message (recipient, id) WHERE recipient IS NOT NULL;
CREATE INDEX message_conversation ON message (conversation, id);

-- Accounts that were removed and whose messages are not erased yet.
CREATE TABLE archive_gone (
	owner BIGINT NOT NULL PRIMARY KEY,
	at    BIGINT NOT NULL
);
