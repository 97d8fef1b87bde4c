-- Refusals as they were answered, until they are under a seal and the time to object is over. Only store/refusals.rs writes them.
CREATE TABLE own_refusals (
    n      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    hash   BLOB    NOT NULL UNIQUE,
    leaf   BLOB    NOT NULL,
    party  TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    counts TEXT    NOT NULL,
    reply  TEXT    NOT NULL,
    seal   INTEGER
) STRICT;
CREATE INDEX own_refusals_seal ON own_refusals (seal, n);

-- What each seal will say, settled before it is asked: a crash in between asks the same again.
CREATE TABLE own_seals (
    number INTEGER NOT NULL PRIMARY KEY,
    asked  TEXT    NOT NULL
) STRICT;
