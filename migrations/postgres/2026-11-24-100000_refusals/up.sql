-- Refusals as they were answered, until they are under a seal and the time to object is over. Only store/refusals.rs writes them.
CREATE TABLE own_refusals (
    n      BIGSERIAL PRIMARY KEY,
    hash   BYTEA  NOT NULL UNIQUE,
    leaf   BYTEA  NOT NULL,
    party  TEXT   NOT NULL,
    at     BIGINT NOT NULL,
    counts TEXT   NOT NULL,
    reply  TEXT   NOT NULL,
    seal   BIGINT
);
CREATE INDEX own_refusals_seal ON own_refusals (seal, n);

-- What each seal will say, settled before it is asked: a crash in between asks the same again.
CREATE TABLE own_seals (
    number BIGINT NOT NULL PRIMARY KEY,
    asked  TEXT   NOT NULL
);
