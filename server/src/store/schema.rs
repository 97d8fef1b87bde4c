//! The tables, once for both databases (`migrations/`).

diesel::table! {
    entries (seq) {
        seq -> BigInt,
        bytes -> Binary,
    }
}

diesel::table! {
    head (id) {
        id -> SmallInt,
        size -> BigInt,
        root -> Binary,
        edge -> Binary,
        at -> BigInt,
        fence -> BigInt,
    }
}

diesel::table! {
    trail_signed (size) {
        size -> BigInt,
        root -> Binary,
        signed_at -> BigInt,
    }
}

diesel::table! {
    published (id) {
        id -> SmallInt,
        size -> BigInt,
        note -> Text,
    }
}

diesel::table! {
    trail_history (number) {
        number -> BigInt,
        size -> BigInt,
        cosigned_at -> BigInt,
        note -> Text,
    }
}

diesel::table! {
    trail_keys (seq) {
        seq -> BigInt,
        vkey -> Text,
        until -> BigInt,
    }
}

diesel::table! {
    own_keys (hash) {
        hash -> Binary,
        role -> Text,
        party -> Nullable<Text>,
        actor -> Text,
        label -> Text,
        created -> BigInt,
    }
}

diesel::table! {
    own_meta (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    own_openings (commitment) {
        commitment -> Binary,
        salt -> Binary,
        text -> Text,
    }
}

diesel::table! {
    own_refusals (n) {
        n -> BigInt,
        hash -> Binary,
        leaf -> Binary,
        party -> Text,
        at -> BigInt,
        counts -> Text,
        reply -> Text,
        seal -> Nullable<BigInt>,
    }
}

diesel::table! {
    own_seals (number) {
        number -> BigInt,
        asked -> Text,
    }
}

diesel::table! {
    book_cursor (id) {
        id -> SmallInt,
        form -> SmallInt,
        size -> BigInt,
        last -> Text,
        fence -> BigInt,
    }
}

diesel::table! {
    book_entries (seq) {
        seq -> BigInt,
        at -> BigInt,
        kind -> Text,
        party -> Text,
        order_id -> Nullable<Text>,
        receipt -> Nullable<Text>,
    }
}

diesel::table! {
    book_links (object, seq) {
        object -> Text,
        seq -> BigInt,
    }
}

diesel::table! {
    book_balances (account) {
        account -> Text,
        class -> Text,
        fund -> Text,
        party -> Nullable<Text>,
        fen -> BigInt,
    }
}

diesel::table! {
    book_orders (id) {
        id -> Text,
        placed_seq -> BigInt,
        placed_at -> BigInt,
        buyer -> Text,
        seller -> Text,
        scheme -> Text,
        standing -> Text,
        ended_at -> Nullable<BigInt>,
        held_fen -> BigInt,
        receipts -> BigInt,
        last_seq -> BigInt,
    }
}

diesel::table! {
    book_vouchers (id) {
        id -> Text,
        issued_seq -> BigInt,
        issued_at -> BigInt,
        programme -> Text,
        holder -> Text,
        face_fen -> BigInt,
        free_fen -> BigInt,
        expires_at -> Nullable<BigInt>,
        ended_at -> Nullable<BigInt>,
        last_seq -> BigInt,
    }
}

diesel::table! {
    book_cases (id) {
        id -> Text,
        opened_seq -> BigInt,
        opened_at -> BigInt,
        party -> Text,
        programme -> Nullable<Text>,
        order_id -> Nullable<Text>,
        standing -> Text,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    own_handles (handle) {
        handle -> Text,
        party -> Text,
    }
}

diesel::table! {
    own_listings (id) {
        id -> Text,
        handle -> Text,
        name -> Text,
        dataset -> Nullable<Text>,
        card -> Text,
        changed -> BigInt,
    }
}

diesel::table! {
    own_uploads (id) {
        id -> Text,
        party -> Text,
        listing -> Nullable<Text>,
        path -> Text,
        length -> BigInt,
        wanted -> Nullable<Binary>,
        metadata -> Text,
        expires -> BigInt,
        state -> Text,
        sha256 -> Nullable<Binary>,
        why -> Text,
    }
}

diesel::table! {
    own_blobs (sha256) {
        sha256 -> Binary,
        bytes -> BigInt,
        object -> Text,
        sealed -> BigInt,
        state -> Text,
        checked -> BigInt,
    }
}

diesel::table! {
    own_files (parent, path) {
        parent -> Text,
        path -> Text,
        sha256 -> Binary,
        bytes -> BigInt,
    }
}

diesel::table! {
    own_versions (manifest) {
        manifest -> Text,
        listing -> Text,
        version -> Text,
        card -> Text,
        state -> Text,
        seq -> BigInt,
        report -> Text,
    }
}

diesel::table! {
    own_checks (sha256) {
        sha256 -> Binary,
        form -> BigInt,
        state -> Text,
        report -> Text,
        sketch -> Binary,
        rows -> Binary,
    }
}

diesel::table! {
    own_marks (band, hash, sha256) {
        band -> BigInt,
        hash -> BigInt,
        sha256 -> Binary,
    }
}

diesel::table! {
    own_documents (digest) {
        digest -> Text,
        kind -> Text,
        party -> Nullable<Text>,
        body -> Binary,
    }
}

diesel::table! {
    own_ranges (n) {
        n -> BigInt,
        order_id -> Text,
        manifest -> Text,
        path -> Text,
        first -> BigInt,
        last -> BigInt,
        at -> BigInt,
    }
}

diesel::table! {
    own_deliveries (order_id, manifest) {
        order_id -> Text,
        manifest -> Text,
        nonce -> Binary,
        ranges -> Text,
        jws -> Nullable<Text>,
    }
}

diesel::table! {
    own_samples (id) {
        id -> Text,
        manifest -> Text,
        party -> Text,
        sheet -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    own_search (n) {
        n -> BigInt,
        listing -> Text,
        manifest -> Text,
        tokens -> Text,
        languages -> Text,
        licence -> Text,
        formats -> Text,
        bytes -> BigInt,
        price_fen -> BigInt,
        shown -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(book_entries, book_links);
diesel::allow_tables_to_appear_in_same_query!(
    own_files,
    own_blobs,
    own_checks,
    own_versions,
    own_listings,
    own_search,
    own_marks
);

diesel::define_sql_function! {
    /// The database's clock in UTC seconds: built into SQLite, made by the migration in PostgreSQL.
    fn unixepoch() -> BigInt;
}
