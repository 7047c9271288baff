-- +goose Up

-- Times are microseconds since 1970 in UTC; booleans are 0 and 1; ids are made by the program.

CREATE TABLE account (
	id        BIGINT NOT NULL PRIMARY KEY,
	domain    TEXT COLLATE "C" NOT NULL,
	local     TEXT COLLATE "C" NOT NULL,
	disabled  SMALLINT NOT NULL DEFAULT 0,
	admin     SMALLINT NOT NULL DEFAULT 0,
	created   BIGINT NOT NULL,
	last_seen BIGINT NOT NULL DEFAULT 0,
	UNIQUE (domain, local)
);

-- One row for each hash a client may use (RFC 5802, RFC 7677): SHA-1, SHA-256, SHA-512.
CREATE TABLE credential (
	account    BIGINT NOT NULL,
	family     TEXT COLLATE "C" NOT NULL,
	salt       BYTEA NOT NULL,
	iterations BIGINT NOT NULL,
	stored_key BYTEA NOT NULL,
	server_key BYTEA NOT NULL,
	PRIMARY KEY (account, family)
);

-- What this server knows and nobody else may.
CREATE TABLE secret (
	name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	value BYTEA NOT NULL
);

CREATE TABLE host (
	domain  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	created BIGINT NOT NULL
);

-- Settings that are not at their default. The value is JSON.
CREATE TABLE setting (
	name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	value   TEXT COLLATE "C" NOT NULL,
	changed BIGINT NOT NULL
);

-- Counts the changes of what nodes keep in memory: settings, hosts.
CREATE TABLE revision (
	name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	n    BIGINT NOT NULL
);

CREATE TABLE audit (
	id     BIGINT NOT NULL PRIMARY KEY,
	at     BIGINT NOT NULL,
	actor  TEXT COLLATE "C" NOT NULL,
	action TEXT COLLATE "C" NOT NULL,
	target TEXT COLLATE "C" NOT NULL,
	detail TEXT COLLATE "C" NOT NULL
);
CREATE INDEX audit_target ON audit (target, id);
