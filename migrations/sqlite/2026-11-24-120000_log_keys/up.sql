-- Keys of the log that took over from the first one: what the publisher needs of their entries, in the same commit. A row never changes.
CREATE TABLE trail_keys (
    seq   INTEGER NOT NULL PRIMARY KEY,
    vkey  TEXT    NOT NULL,
    until INTEGER NOT NULL
) STRICT;
