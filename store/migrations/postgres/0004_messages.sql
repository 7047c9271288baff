-- +goose Up

-- Messages for users who are away (XEP-0160).
CREATE TABLE offline (
	account BIGINT NOT NULL,
	id      BIGINT NOT NULL,
	at      BIGINT NOT NULL,
	stanza  BYTEA NOT NULL,
	PRIMARY KEY (account, id)
);

-- Streams that can be resumed (XEP-0198), and what was sent on them and is not acknowledged.
CREATE TABLE sm_session (
	id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	account  BIGINT NOT NULL,
	resource TEXT COLLATE "C" NOT NULL,
	created  BIGINT NOT NULL,
	handled  BIGINT NOT NULL,
	state    BYTEA NOT NULL
);

CREATE TABLE sm_queue (
	session TEXT COLLATE "C" NOT NULL,
	seq     BIGINT NOT NULL,
	at      BIGINT NOT NULL,
	stanza  BYTEA NOT NULL,
	PRIMARY KEY (session, seq)
);

-- What a user wants archived (XEP-0313 preferences); always and never are JSON lists of addresses.
CREATE TABLE archive_prefs (
	account BIGINT NOT NULL PRIMARY KEY,
	policy  TEXT COLLATE "C" NOT NULL,
	always  TEXT COLLATE "C" NOT NULL,
	never   TEXT COLLATE "C" NOT NULL
);
