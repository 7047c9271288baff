-- +goose Up

CREATE TABLE roster_item (
	account      INTEGER NOT NULL,
	contact      TEXT    NOT NULL,
	name         TEXT    NOT NULL,
	subscription TEXT    NOT NULL,
	ask          INTEGER NOT NULL,
	approved     INTEGER NOT NULL,
	groups       TEXT    NOT NULL,
	version      INTEGER NOT NULL,
	PRIMARY KEY (account, contact)
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_version (
	account INTEGER NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL
) STRICT;

-- Subscription requests that the user has not answered (RFC 6121 §3.1.3).
CREATE TABLE roster_pending (
	account INTEGER NOT NULL,
	contact TEXT    NOT NULL,
	stanza  BLOB    NOT NULL,
	at      INTEGER NOT NULL,
	PRIMARY KEY (account, contact)
) STRICT, WITHOUT ROWID;

CREATE TABLE block_item (
	account INTEGER NOT NULL,
	contact TEXT    NOT NULL,
	PRIMARY KEY (account, contact)
) STRICT, WITHOUT ROWID;
