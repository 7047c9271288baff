-- +goose Up

CREATE TABLE private_xml (
	account INTEGER NOT NULL,
	ns      TEXT    NOT NULL,
	name    TEXT    NOT NULL,
	xml     BLOB    NOT NULL,
	PRIMARY KEY (account, ns, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE vcard (
	account INTEGER NOT NULL PRIMARY KEY,
	xml     BLOB    NOT NULL,
	hash    TEXT    NOT NULL
) STRICT;

CREATE TABLE last_activity (
	account INTEGER NOT NULL PRIMARY KEY,
	at      INTEGER NOT NULL,
	status  TEXT    NOT NULL
) STRICT;
