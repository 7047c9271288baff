-- +goose Up

-- Times are microseconds since 1970 in UTC; booleans are 0 and 1; ids are made by the program.

CREATE TABLE account (
	id        INTEGER NOT NULL PRIMARY KEY,
	domain    TEXT    NOT NULL,
	local     TEXT    NOT NULL,
	disabled  INTEGER NOT NULL DEFAULT 0,
	admin     INTEGER NOT NULL DEFAULT 0,
	created   INTEGER NOT NULL,
	last_seen INTEGER NOT NULL DEFAULT 0,
	UNIQUE (domain, local)
) STRICT;

-- One row for each hash a client may use (RFC 5802, RFC 7677): SHA-1, SHA-256, SHA-512.
CREATE TABLE credential (
	account    INTEGER NOT NULL,
	family     TEXT    NOT NULL,
	salt       BLOB    NOT NULL,
	iterations INTEGER NOT NULL,
	stored_key BLOB    NOT NULL,
	server_key BLOB    NOT NULL,
	PRIMARY KEY (account, family)
) STRICT, WITHOUT ROWID;

-- What this server knows and nobody else may.
CREATE TABLE secret (
	name  TEXT NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE host (
	domain  TEXT    NOT NULL PRIMARY KEY,
	created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Settings that are not at their default. The value is JSON.
CREATE TABLE setting (
	name    TEXT    NOT NULL PRIMARY KEY,
	value   TEXT    NOT NULL,
	changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counts the changes of what nodes keep in memory: settings, hosts.
CREATE TABLE revision (
	name TEXT    NOT NULL PRIMARY KEY,
	n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
	id     INTEGER NOT NULL PRIMARY KEY,
	at     INTEGER NOT NULL,
	actor  TEXT    NOT NULL,
	action TEXT    NOT NULL,
	target TEXT    NOT NULL,
	detail TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_target ON audit (target, id);
