-- +goose Up

-- The archives of all accounts (XEP-0313); docs/adr/0003-archive-schema.md says why it looks like this.
--
-- A message is written once, at the end of the table. sender and recipient are the accounts in whose archives it stands, NULL for
-- who is not of this server, does not want it, or is gone. conversation is a keyed hash of the two bare addresses and of who keeps
-- it. The id says when it was.
CREATE TABLE message (
	id           INTEGER NOT NULL PRIMARY KEY,
	sender       INTEGER,
	recipient    INTEGER,
	conversation INTEGER NOT NULL,
	stanza       BLOB    NOT NULL
) STRICT;

-- Messages that do not stand in the two indexes below yet.
CREATE TABLE archive_tail (
	id INTEGER NOT NULL PRIMARY KEY
) STRICT;

-- The indexes are tables so that they can be filled later, many messages at a time and sorted.
CREATE TABLE archive (
	owner INTEGER NOT NULL,
	id    INTEGER NOT NULL,
	PRIMARY KEY (owner, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE archive_with (
	conversation INTEGER NOT NULL,
	id           INTEGER NOT NULL,
	PRIMARY KEY (conversation, id)
) STRICT, WITHOUT ROWID;

-- Accounts that were removed and whose messages are not erased yet.
CREATE TABLE archive_gone (
	owner INTEGER NOT NULL PRIMARY KEY,
	at    INTEGER NOT NULL
) STRICT;
