//! What the operator asks before asking for help: who may do what, does a store and its trail fit together (DESIGN §7).

use std::fmt::Write as _;
use verifier::book::access::roles;
use verifier::book::command::{Kind, Role};
use verifier::programme::ProgrammeFile;
use verifier::refusal::Refusal;
use verifier::trail::key::VerifierKey;
use verifier::trail::policy::Policy;

use crate::config::Config;
use crate::keys;
use crate::objects::Objects;
use crate::publisher::{self, Checked, Mode};
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

/// Says which keys the log has, from when and until when, and what is missing of them here: a file that has to sign, a line of the
/// policy. Says whether nothing is.
/// # Errors
/// The database cannot be read.
pub fn keys(config: &Config) -> Result<(String, bool), publisher::Fault> {
    let mut db = Db::open(&config.database)?;
    let (mut text, mut whole) = (String::new(), true);
    let Some(keys) = publisher::settled_keys(&mut db)? else {
        return Ok((text, whole));
    };
    let head = log::head(&mut db)?;
    let policy = std::fs::read(config.data.join("policy.txt")).unwrap_or_default();
    let policy = Policy::parse(&policy).ok();
    let signing: Vec<_> = keys.of_head(head.size, Some(head.at)).collect();
    for key in keys.all() {
        let end = key.end.map_or(String::new(), |(_, until)| {
            format!(", the last until {until}")
        });
        put(
            &mut text,
            &format!("log key    {} from head {}{end}", key.vkey, key.from),
        );
        let vkey = VerifierKey::parse(&key.vkey)?;
        let is_named = |policy: &Policy| policy.logs().iter().any(|log| log.key == vkey);
        if policy.as_ref().is_some_and(|policy| !is_named(policy)) {
            let line = format!(
                "ADD        the line `log {vkey}` to policy.txt, and give it to whoever has a copy"
            );
            put(&mut text, &line);
        }
        let is_here = keys::log_key(&config.data, &vkey)?.is_some();
        let has_ended = key.end.is_some() && !signing.contains(&key);
        if has_ended && is_here {
            put(
                &mut text,
                "DELETE     its file, when the backup has the others: it signs nothing any more",
            );
        }
        if signing.contains(&key) && !is_here {
            whole = false;
            let file = keys::log_file(&config.data, &vkey);
            put(
                &mut text,
                &format!("MISSING    {}: it has to sign", file.display()),
            );
        }
    }
    Ok((text, whole))
}

/// Compares the store with itself and with the bucket: everything is made again from the entries, and nothing is written. Says
/// whether all agree.
/// # Errors
/// The database or the bucket cannot be read.
pub fn check(config: &Config) -> Result<(String, bool), publisher::Fault> {
    let mut db = Db::open(&config.database)?;
    let Some(keys) = log_keys(&mut db)? else {
        return Ok((
            "nothing to compare: the exchange has not been opened\n".to_owned(),
            true,
        ));
    };
    let objects = Objects::beside(&config.objects)?;
    let checked = publisher::check(&mut db, &objects, &keys)?;
    let mut text = String::new();
    put(&mut text, &format!("objects    {}", config.objects));
    for finding in &checked.findings {
        put(&mut text, &format!("DIFFERS    {finding}"));
    }
    let Checked {
        entries,
        heads,
        objects,
        findings,
    } = &checked;
    let outcome = match findings.len() {
        0 => "all agree".to_owned(),
        count => format!("{count} differ: nothing was changed; keep copies before you do"),
    };
    put(
        &mut text,
        &format!(
            "compared   {entries} entries, {heads} signed heads, {objects} objects: {outcome}"
        ),
    );
    Ok((text, findings.is_empty()))
}

/// The log's keys, as its entries settle them: no key file is opened.
fn log_keys(db: &mut Db) -> Result<Option<Vec<VerifierKey>>, publisher::Fault> {
    let Some(keys) = publisher::settled_keys(db)? else {
        return Ok(None);
    };
    let keys = keys.all().iter();
    let keys: Result<_, _> = keys.map(|key| VerifierKey::parse(&key.vkey)).collect();
    Ok(Some(keys?))
}

/// Deletes the partial tiles, bundles and parts of the history that nobody needs any more, or only says which they are. Says whether each could be.
/// # Errors
/// The database or the bucket cannot be read or written.
pub fn collect(config: &Config, mode: Mode) -> Result<(String, bool), publisher::Fault> {
    let mut db = Db::open(&config.database)?;
    let objects = Objects::beside(&config.objects)?;
    let cleaned = publisher::clean(&mut db, &objects, mode)?;
    let mut text = String::new();
    let (each, all) = match mode {
        Mode::Delete => ("deleted", "deleted"),
        Mode::List => ("would delete", "would be deleted"),
    };
    for name in &cleaned.deleted {
        put(&mut text, &format!("{each} {name}"));
    }
    for name in &cleaned.wrong {
        put(
            &mut text,
            &format!("KEPT {name}: the full one does not hold it; run `quan doctor`"),
        );
    }
    let (deleted, kept) = (cleaned.deleted.len(), cleaned.kept);
    let sentence = format!("{deleted} partial files {all}, {kept} still have a use");
    put(&mut text, &sentence);
    Ok((text, cleaned.wrong.is_empty()))
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
