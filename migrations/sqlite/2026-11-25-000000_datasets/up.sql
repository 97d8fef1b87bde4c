-- Datasets for real: what is not in the trail. Drafts, uploads, blobs, reports, served ranges, search. Only store/dataset/*.rs writes these.
CREATE TABLE own_handles (
    handle TEXT NOT NULL PRIMARY KEY,
    party  TEXT NOT NULL UNIQUE
) STRICT;

-- A listing as its vendor types it: `handle/name`. `dataset` once a version of it is in the trail.
CREATE TABLE own_listings (
    id      TEXT    NOT NULL PRIMARY KEY,
    handle  TEXT    NOT NULL REFERENCES own_handles (handle),
    name    TEXT    NOT NULL,
    dataset TEXT    UNIQUE,
    card    TEXT    NOT NULL,
    changed INTEGER NOT NULL,
    UNIQUE (handle, name)
) STRICT;

-- Uploads under way. The offset is what the spool file holds, never a column.
CREATE TABLE own_uploads (
    id       TEXT    NOT NULL PRIMARY KEY,
    party    TEXT    NOT NULL,
    listing  TEXT,
    path     TEXT    NOT NULL,
    length   INTEGER NOT NULL,
    wanted   BLOB,
    metadata TEXT    NOT NULL,
    expires  INTEGER NOT NULL,
    state    TEXT    NOT NULL,
    sha256   BLOB,
    why      TEXT    NOT NULL
) STRICT;
CREATE INDEX own_uploads_party ON own_uploads (party, state);
CREATE INDEX own_uploads_expires ON own_uploads (expires);

-- Stored content, once for all who have it. `object` is its name in the object store, `sealed` 1 where it is an age file.
CREATE TABLE own_blobs (
    sha256  BLOB    NOT NULL PRIMARY KEY,
    bytes   INTEGER NOT NULL,
    object  TEXT    NOT NULL,
    sealed  INTEGER NOT NULL,
    state   TEXT    NOT NULL,
    checked INTEGER NOT NULL
) STRICT;
CREATE INDEX own_blobs_checked ON own_blobs (checked);

-- The files of a draft (`parent` = the listing) and of a version (`parent` = the manifest, `sha-256:…`).
CREATE TABLE own_files (
    parent TEXT    NOT NULL,
    path   TEXT    NOT NULL,
    sha256 BLOB    NOT NULL,
    bytes  INTEGER NOT NULL,
    PRIMARY KEY (parent, path)
) STRICT;
CREATE INDEX own_files_sha256 ON own_files (sha256);

-- A version that is in the trail: its card as it was then, and where it stands beside the trail (`damaged` stops its sale).
CREATE TABLE own_versions (
    manifest TEXT    NOT NULL PRIMARY KEY,
    listing  TEXT    NOT NULL REFERENCES own_listings (id),
    version  TEXT    NOT NULL,
    card     TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    seq      INTEGER NOT NULL
) STRICT;
CREATE INDEX own_versions_listing ON own_versions (listing, seq);

-- What the checks found in a content; `rows` is the index by which single rows are read again.
CREATE TABLE own_checks (
    sha256 BLOB    NOT NULL PRIMARY KEY,
    form   INTEGER NOT NULL,
    state  TEXT    NOT NULL,
    report TEXT    NOT NULL,
    sketch BLOB    NOT NULL,
    rows   BLOB    NOT NULL
) STRICT;

-- Where near duplicates meet: MinHash bands (0 .. 15) and the lowest row hashes (band 16).
CREATE TABLE own_marks (
    band   INTEGER NOT NULL,
    hash   INTEGER NOT NULL,
    sha256 BLOB    NOT NULL,
    PRIMARY KEY (band, hash, sha256)
) STRICT, WITHOUT ROWID;

-- Documents behind digests in the trail: reports, licence texts, notices, manifests, sampling sheets.
CREATE TABLE own_documents (
    digest TEXT NOT NULL PRIMARY KEY,
    kind   TEXT NOT NULL,
    party  TEXT,
    body   BLOB NOT NULL
) STRICT;

-- Ranges that went out whole, for an order.
CREATE TABLE own_ranges (
    n        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    order_id TEXT    NOT NULL,
    manifest TEXT    NOT NULL,
    path     TEXT    NOT NULL,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX own_ranges_order ON own_ranges (order_id, manifest, path);

-- The delivery receipt of an ordered version: `nonce` is drawn once, `jws` once all bytes went out.
CREATE TABLE own_deliveries (
    order_id TEXT NOT NULL,
    manifest TEXT NOT NULL,
    nonce    BLOB NOT NULL,
    ranges   TEXT NOT NULL,
    jws      TEXT,
    PRIMARY KEY (order_id, manifest)
) STRICT;

-- Draws before a purchase: the sheet with seed and rows as they were shown.
CREATE TABLE own_samples (
    id       TEXT    NOT NULL PRIMARY KEY,
    manifest TEXT    NOT NULL,
    party    TEXT    NOT NULL,
    sheet    TEXT    NOT NULL,
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX own_samples_party ON own_samples (party, manifest);

-- Search: one row a published version; the book says which of them are for sale. `n` is the entry that published it.
CREATE TABLE own_search (
    n         INTEGER NOT NULL PRIMARY KEY,
    listing   TEXT    NOT NULL,
    manifest  TEXT    NOT NULL UNIQUE,
    tokens    TEXT    NOT NULL,
    languages TEXT    NOT NULL,
    licence   TEXT    NOT NULL,
    formats   TEXT    NOT NULL,
    bytes     INTEGER NOT NULL,
    price_fen INTEGER NOT NULL,
    shown     TEXT    NOT NULL
) STRICT;
CREATE VIRTUAL TABLE own_terms USING fts5 (tokens, content = '', contentless_delete = 1, detail = none, tokenize = "ascii");
