-- The log: what the trail is made of. Only store/log.rs writes entries and head.
CREATE TABLE entries (
    seq   BIGINT  NOT NULL PRIMARY KEY,
    bytes BYTEA   NOT NULL
);

-- One row. size, root and edge belong to the tree over entries 0 .. size; at is the last entry's time;
-- fence is raised by whoever takes the lock.
CREATE TABLE head (
    id    SMALLINT NOT NULL PRIMARY KEY CHECK (id = 1),
    size  BIGINT  NOT NULL,
    root  BYTEA   NOT NULL,
    edge  BYTEA   NOT NULL,
    at    BIGINT  NOT NULL,
    fence BIGINT  NOT NULL
);

-- The empty tree of RFC 6962: its root is SHA-256 of nothing, its edge a size of 0 in 8 bytes.
INSERT INTO head (id, size, root, edge, at, fence)
VALUES (1, 0, '\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '\x0000000000000000', 0, 0);

-- Every head that a log key was ever used on, committed before the key is used: one root a size, for ever.
CREATE TABLE trail_signed (
    size      BIGINT  NOT NULL PRIMARY KEY,
    root      BYTEA   NOT NULL,
    signed_at BIGINT  NOT NULL
);

-- One row: the newest published checkpoint; size -1 until there is one.
CREATE TABLE published (
    id   SMALLINT NOT NULL PRIMARY KEY CHECK (id = 1),
    size BIGINT  NOT NULL,
    note TEXT    NOT NULL
);
INSERT INTO published (id, size, note) VALUES (1, -1, '');

-- What is not in the trail: API keys (hashes only), settings of this store, openings of commitments.
CREATE TABLE own_keys (
    hash    BYTEA   NOT NULL PRIMARY KEY,
    role    TEXT    NOT NULL,
    party   TEXT,
    actor   TEXT    NOT NULL,
    label   TEXT    NOT NULL,
    created BIGINT  NOT NULL
);

CREATE TABLE own_meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE own_openings (
    commitment BYTEA NOT NULL PRIMARY KEY,
    salt       BYTEA NOT NULL,
    text       TEXT NOT NULL
);

-- SQLite has this function; here it is the one clock that all servers share. It moves inside a transaction, now() does not.
CREATE FUNCTION unixepoch() RETURNS BIGINT LANGUAGE sql VOLATILE
    AS 'SELECT floor(extract(epoch FROM clock_timestamp()))::bigint';
