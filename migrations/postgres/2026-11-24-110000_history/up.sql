-- Published checkpoints that witnesses have cosigned, some of them: at most one for each minute. A row never changes.
CREATE TABLE trail_history (
    number      BIGINT NOT NULL PRIMARY KEY,
    size        BIGINT NOT NULL,
    cosigned_at BIGINT NOT NULL,
    note        TEXT   NOT NULL
);
