-- The log: what the trail is made of. Only store/log.rs writes entries and head.
CREATE TABLE entries (
    seq   INTEGER NOT NULL PRIMARY KEY,
    bytes BLOB    NOT NULL
) STRICT;

-- One row. size, root and edge belong to the tree over entries 0 .. size; at is the last entry's time;
-- fence is raised by whoever takes the lock.
CREATE TABLE head (
    id    INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    size  INTEGER NOT NULL,
    root  BLOB    NOT NULL,
    edge  BLOB    NOT NULL,
    at    INTEGER NOT NULL,
    fence INTEGER NOT NULL
) STRICT;

-- The empty tree of RFC 6962: its root is SHA-256 of nothing, its edge a size of 0 in 8 bytes.
INSERT INTO head (id, size, root, edge, at, fence)
VALUES (1, 0, x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', x'0000000000000000', 0, 0);

-- Every head that a log key was ever used on, committed before the key is used: one root a size, for ever.
CREATE TABLE trail_signed (
    size      INTEGER NOT NULL PRIMARY KEY,
    root      BLOB    NOT NULL,
    signed_at INTEGER NOT NULL
) STRICT;

-- One row: the newest published checkpoint; size -1 until there is one.
CREATE TABLE published (
    id   INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL,
    note TEXT    NOT NULL
) STRICT;
INSERT INTO published (id, size, note) VALUES (1, -1, '');

-- What is not in the trail: API keys (hashes only), settings of this store, openings of commitments.
CREATE TABLE own_keys (
    hash    BLOB    NOT NULL PRIMARY KEY,
    role    TEXT    NOT NULL,
    party   TEXT,
    actor   TEXT    NOT NULL,
    label   TEXT    NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE own_meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE own_openings (
    commitment BLOB NOT NULL PRIMARY KEY,
    salt       BLOB NOT NULL,
    text       TEXT NOT NULL
) STRICT;
