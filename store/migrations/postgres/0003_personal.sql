-- +goose Up

CREATE TABLE private_xml (
	account BIGINT NOT NULL,
	ns      TEXT COLLATE "C" NOT NULL,
	name    TEXT COLLATE "C" NOT NULL,
	xml     BYTEA NOT NULL,
	PRIMARY KEY (account, ns, name)
);

CREATE TABLE vcard (
	account BIGINT NOT NULL PRIMARY KEY,
	xml     BYTEA NOT NULL,
	hash    TEXT COLLATE "C" NOT NULL
);

CREATE TABLE last_activity (
	account BIGINT NOT NULL PRIMARY KEY,
	at      BIGINT NOT NULL,
	status  TEXT COLLATE "C" NOT NULL
);
