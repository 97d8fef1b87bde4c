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

diesel::define_sql_function! {
    /// The database's clock in UTC seconds: built into SQLite, made by the migration in PostgreSQL.
    fn unixepoch() -> BigInt;
}
