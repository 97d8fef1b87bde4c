//! What the operator asks before asking for help: who may do what, does a store and its trail fit together (DESIGN §7).

use std::fmt::Write as _;
use verifier::book::access::roles;
use verifier::book::command::{Kind, Role};
use verifier::programme::ProgrammeFile;
use verifier::refusal::Refusal;

use crate::config::Config;
use crate::store::{Db, StoreFault, heads, log};

/// Writes the table role × command: `x` may ask, `.` may not.
#[must_use]
pub fn access_table() -> String {
    let width = Kind::ALL
        .iter()
        .map(|kind| kind.as_str().len())
        .max()
        .unwrap_or_default();
    let names: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    let mut text = format!("{:width$}  {}\n", "", names.join("  "));
    for kind in Kind::ALL {
        let cells: Vec<String> = Role::ALL
            .iter()
            .map(|role| {
                let cell = if roles(*kind).contains(role) {
                    "x"
                } else {
                    "."
                };
                format!("{cell:width$}", width = role.as_str().len())
            })
            .collect();
        put(
            &mut text,
            &format!("{:width$}  {}", kind.as_str(), cells.join("  ").trim_end()),
        );
    }
    text
}

/// Says where a store stands: how many entries, what is signed, what is published. It only reads.
/// # Errors
/// The database cannot be read.
pub fn report(config: &Config) -> Result<String, StoreFault> {
    let mut db = Db::open(&config.database)?;
    let head = log::head(&mut db)?;
    let signed = heads::signed_head(&mut db)?.map(|head| head.size);
    let published = heads::published(&mut db)?.map(|published| published.size);
    let number = |size: Option<u64>| size.map_or("none".to_owned(), |size| size.to_string());
    let mut text = String::new();
    put(&mut text, &format!("database   {}", config.database));
    put(
        &mut text,
        &format!("entries    {}, the last at {}", head.size, head.at),
    );
    put(&mut text, &format!("signed     {}", number(signed)));
    put(&mut text, &format!("published  {}", number(published)));
    put(
        &mut text,
        &format!("database's clock  {}", log::now(&mut db)?),
    );
    Ok(text)
}

/// Reads a programme file and says what it leaves open.
/// # Errors
/// `programme.invalid`
pub fn programme(toml: &str) -> Result<String, Refusal> {
    let file = ProgrammeFile::parse(toml)?;
    let mut text = String::new();
    for (name, value) in file.rows() {
        put(&mut text, &format!("{name}: {value}"));
    }
    for (title, paths) in [
        ("the office must settle before enactment", file.unsettled()),
        ("amounts that cases decide", file.manual_amounts()),
        ("left open until it is needed", file.late()),
        ("unknown in the header", file.unknown_header()),
    ] {
        if !paths.is_empty() {
            put(&mut text, &format!("{title}: {}", paths.join(", ")));
        }
    }
    Ok(text)
}

fn put(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _written = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_access_table_has_a_row_a_command_and_a_column_a_role() {
        let table = access_table();
        assert_eq!(table.lines().count(), 1 + Kind::ALL.len());
        let row = table
            .lines()
            .find(|row| row.starts_with("fund.opened "))
            .unwrap();
        let cells: Vec<_> = row.split_whitespace().skip(1).collect();
        assert_eq!(cells, [".", ".", "x", ".", ".", ".", ".", "."]);
    }
}
