-- Published checkpoints that witnesses have cosigned, some of them: at most one for each minute. A row never changes.
CREATE TABLE trail_history (
    number      INTEGER NOT NULL PRIMARY KEY,
    size        INTEGER NOT NULL,
    cosigned_at INTEGER NOT NULL,
    note        TEXT    NOT NULL
) STRICT;
