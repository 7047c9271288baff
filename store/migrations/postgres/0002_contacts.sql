-- +goose Up

CREATE TABLE roster_item (
	account      BIGINT NOT NULL,
	contact      TEXT COLLATE "C" NOT NULL,
	name         TEXT COLLATE "C" NOT NULL,
	subscription TEXT COLLATE "C" NOT NULL,
	ask          SMALLINT NOT NULL,
	approved     SMALLINT NOT NULL,
	groups       TEXT COLLATE "C" NOT NULL,
	version      BIGINT NOT NULL,
	PRIMARY KEY (account, contact)
);

CREATE TABLE roster_version (
	account BIGINT NOT NULL PRIMARY KEY,
	version BIGINT NOT NULL
);

-- Subscription requests that the user has not answered (RFC 6121 §3.1.3).
CREATE TABLE roster_pending (
	account BIGINT NOT NULL,
	contact TEXT COLLATE "C" NOT NULL,
	stanza  BYTEA NOT NULL,
	at      BIGINT NOT NULL,
	PRIMARY KEY (account, contact)
);

CREATE TABLE block_item (
	account BIGINT NOT NULL,
	contact TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (account, contact)
);
