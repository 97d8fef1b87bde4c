-- Projections for lists and search: every row is a function of the entries. A change here is another form:
-- store/project.rs counts it, and every server makes the tables again.
CREATE TABLE IF NOT EXISTS book_cursor (
    id    SMALLINT NOT NULL PRIMARY KEY CHECK (id = 1),
    form  SMALLINT NOT NULL,
    size  BIGINT  NOT NULL,
    last  TEXT    NOT NULL,
    fence BIGINT  NOT NULL
);

-- What each entry is about.
CREATE TABLE IF NOT EXISTS book_entries (
    seq      BIGINT  NOT NULL PRIMARY KEY,
    at       BIGINT  NOT NULL,
    kind     TEXT    NOT NULL,
    party    TEXT    NOT NULL,
    order_id TEXT,
    receipt  TEXT
);
CREATE INDEX IF NOT EXISTS book_entries_kind ON book_entries (kind, seq);

-- Which entries name an object: an id, a receipt's name or hash, a document's digest.
CREATE TABLE IF NOT EXISTS book_links (
    object TEXT    NOT NULL,
    seq    BIGINT  NOT NULL,
    PRIMARY KEY (object, seq)
);

CREATE TABLE IF NOT EXISTS book_balances (
    account TEXT    NOT NULL PRIMARY KEY,
    class   TEXT    NOT NULL,
    fund    TEXT    NOT NULL,
    party   TEXT,
    fen     BIGINT  NOT NULL
);

CREATE TABLE IF NOT EXISTS book_orders (
    id         TEXT    NOT NULL PRIMARY KEY,
    placed_seq BIGINT  NOT NULL,
    placed_at  BIGINT  NOT NULL,
    buyer      TEXT    NOT NULL,
    seller     TEXT    NOT NULL,
    scheme     TEXT    NOT NULL,
    standing   TEXT    NOT NULL,
    ended_at   BIGINT,
    held_fen   BIGINT  NOT NULL,
    receipts   BIGINT  NOT NULL,
    last_seq   BIGINT  NOT NULL
);
CREATE INDEX IF NOT EXISTS book_orders_placed ON book_orders (placed_seq);
CREATE INDEX IF NOT EXISTS book_orders_buyer ON book_orders (buyer, placed_seq);
CREATE INDEX IF NOT EXISTS book_orders_seller ON book_orders (seller, placed_seq);

CREATE TABLE IF NOT EXISTS book_vouchers (
    id         TEXT    NOT NULL PRIMARY KEY,
    issued_seq BIGINT  NOT NULL,
    issued_at  BIGINT  NOT NULL,
    programme  TEXT    NOT NULL,
    holder     TEXT    NOT NULL,
    face_fen   BIGINT  NOT NULL,
    free_fen   BIGINT  NOT NULL,
    expires_at BIGINT,
    ended_at   BIGINT,
    last_seq   BIGINT  NOT NULL
);
CREATE INDEX IF NOT EXISTS book_vouchers_issued ON book_vouchers (issued_seq);
CREATE INDEX IF NOT EXISTS book_vouchers_holder ON book_vouchers (holder, issued_seq);

CREATE TABLE IF NOT EXISTS book_cases (
    id         TEXT    NOT NULL PRIMARY KEY,
    opened_seq BIGINT  NOT NULL,
    opened_at  BIGINT  NOT NULL,
    party      TEXT    NOT NULL,
    programme  TEXT,
    order_id   TEXT,
    standing   TEXT    NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX IF NOT EXISTS book_cases_opened ON book_cases (opened_seq);
