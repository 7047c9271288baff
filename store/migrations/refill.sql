-- Run on a SQLite file whose rows came from PostgreSQL: fills the tables that only SQLite has.

INSERT INTO archive_tail (id) SELECT id FROM message;
