-- Projections for lists and search, in a file of their own (read.db) that may be deleted: every row is a function of the
-- entries. A change here is another form: store/project.rs counts it, and every server makes the tables again.
CREATE TABLE IF NOT EXISTS book_cursor (
    id    INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    form  INTEGER NOT NULL,
    size  INTEGER NOT NULL,
    last  TEXT    NOT NULL,
    fence INTEGER NOT NULL
) STRICT;

-- What each entry is about.
CREATE TABLE IF NOT EXISTS book_entries (
    seq      INTEGER NOT NULL PRIMARY KEY,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    party    TEXT    NOT NULL,
    order_id TEXT,
    receipt  TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS book_entries_kind ON book_entries (kind, seq);

-- Which entries name an object: an id, a receipt's name or hash, a document's digest.
CREATE TABLE IF NOT EXISTS book_links (
    object TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (object, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS book_balances (
    account TEXT    NOT NULL PRIMARY KEY,
    class   TEXT    NOT NULL,
    fund    TEXT    NOT NULL,
    party   TEXT,
    fen     INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS book_orders (
    id         TEXT    NOT NULL PRIMARY KEY,
    placed_seq INTEGER NOT NULL,
    placed_at  INTEGER NOT NULL,
    buyer      TEXT    NOT NULL,
    seller     TEXT    NOT NULL,
    scheme     TEXT    NOT NULL,
    standing   TEXT    NOT NULL,
    ended_at   INTEGER,
    held_fen   INTEGER NOT NULL,
    receipts   INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS book_orders_placed ON book_orders (placed_seq);
CREATE INDEX IF NOT EXISTS book_orders_buyer ON book_orders (buyer, placed_seq);
CREATE INDEX IF NOT EXISTS book_orders_seller ON book_orders (seller, placed_seq);

CREATE TABLE IF NOT EXISTS book_vouchers (
    id         TEXT    NOT NULL PRIMARY KEY,
    issued_seq INTEGER NOT NULL,
    issued_at  INTEGER NOT NULL,
    programme  TEXT    NOT NULL,
    holder     TEXT    NOT NULL,
    face_fen   INTEGER NOT NULL,
    free_fen   INTEGER NOT NULL,
    expires_at INTEGER,
    ended_at   INTEGER,
    last_seq   INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS book_vouchers_issued ON book_vouchers (issued_seq);
CREATE INDEX IF NOT EXISTS book_vouchers_holder ON book_vouchers (holder, issued_seq);

CREATE TABLE IF NOT EXISTS book_cases (
    id         TEXT    NOT NULL PRIMARY KEY,
    opened_seq INTEGER NOT NULL,
    opened_at  INTEGER NOT NULL,
    party      TEXT    NOT NULL,
    programme  TEXT,
    order_id   TEXT,
    standing   TEXT    NOT NULL,
    ended_at   INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS book_cases_opened ON book_cases (opened_seq);
