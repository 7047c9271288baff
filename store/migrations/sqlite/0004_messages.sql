-- +goose Up

-- Messages for users who are away (XEP-0160).
CREATE TABLE offline (
	account INTEGER NOT NULL,
	id      INTEGER NOT NULL,
	at      INTEGER NOT NULL,
	stanza  BLOB    NOT NULL,
	PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

-- Streams that can be resumed (XEP-0198), and what was sent on them and is not acknowledged.
CREATE TABLE sm_session (
	id       TEXT    NOT NULL PRIMARY KEY,
	account  INTEGER NOT NULL,
	resource TEXT    NOT NULL,
	created  INTEGER NOT NULL,
	handled  INTEGER NOT NULL,
	state    BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sm_queue (
	session TEXT    NOT NULL,
	seq     INTEGER NOT NULL,
	at      INTEGER NOT NULL,
	stanza  BLOB    NOT NULL,
	PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;

-- What a user wants archived (XEP-0313 preferences); always and never are JSON lists of addresses.
CREATE TABLE archive_prefs (
	account INTEGER NOT NULL PRIMARY KEY,
	policy  TEXT    NOT NULL,
	always  TEXT    NOT NULL,
	never   TEXT    NOT NULL
) STRICT;
