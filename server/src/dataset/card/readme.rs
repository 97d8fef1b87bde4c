//! The README that Hugging Face's libraries read: front matter in YAML, then the card in Markdown.
//!
//! Every text of a vendor in the front matter is a JSON string, which YAML 1.2 reads as it is: no text ends its own line. In the
//! Markdown below, what would be markup or HTML is escaped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::listed::Form;
use super::{Listed, spdx};

/// The README of a version.
#[must_use]
pub fn readme(listed: &Listed) -> String {
    let mut text = String::from("---\n");
    front_matter(&mut text, listed);
    text.push_str("---\n\n");
    body(&mut text, listed);
    text
}

fn front_matter(text: &mut String, listed: &Listed) {
    let card = &listed.card;
    line(text, "pretty_name", card.title.first());
    match spdx::hub(&card.licence.expression) {
        Some(id) => line(text, "license", &id),
        None => {
            line(text, "license", "other");
            line(text, "license_name", &card.licence.expression);
            line(
                text,
                "license_link",
                &format!("urn:quan:{}", listed.licence),
            );
        }
    }
    list(text, "language", &card.languages);
    list(text, "tags", &card.keywords);
    if let Some(rows) = listed.rows() {
        list(text, "size_categories", &[size(rows).to_owned()]);
    }
    configs(text, listed);
}

fn quoted(value: &str) -> String {
    // YAML ends lines at these too; JSON leaves them as they are.
    let json = serde_json::Value::from(value).to_string();
    json.replace('\u{85}', "\\u0085")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

fn line(text: &mut String, name: &str, value: &str) {
    let _infallible = writeln!(text, "{name}: {}", quoted(value));
}

fn list(text: &mut String, name: &str, values: &[String]) {
    if values.is_empty() {
        return;
    }
    let _infallible = writeln!(text, "{name}:");
    for value in values {
        let _infallible = writeln!(text, "- {}", quoted(value));
    }
}

/// The class of sizes (Hugging Face's list).
const fn size(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        10_000_000..100_000_000 => "10M<n<100M",
        100_000_000..1_000_000_000 => "100M<n<1B",
        _ => "n>1B",
    }
}

/// The files of one format, the first that there is: a reader takes one format for a whole repository (datasets 5.2), and files of
/// another one would break it. Those are loaded by their paths.
fn configs(text: &mut String, listed: &Listed) {
    let mut forms: BTreeMap<Form, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for file in &listed.files {
        let form = Form::of(&file.path);
        // A path with these is a pattern to the reader.
        let is_pattern = file.path.contains(['*', '?', '[', ']']);
        if form.is_table() && !is_pattern {
            forms
                .entry(form)
                .or_default()
                .entry(split(&file.path))
                .or_default()
                .push(&file.path);
        }
    }
    let Some((_, splits)) = forms.first_key_value() else {
        return;
    };
    text.push_str("configs:\n- config_name: default\n  data_files:\n");
    for (split, paths) in splits {
        let _infallible = write!(text, "  - split: {split}\n    path:\n");
        for path in paths {
            let _infallible = writeln!(text, "    - {}", quoted(path));
        }
    }
}

/// The part of a dataset that a file belongs to, by its name.
fn split(path: &str) -> &'static str {
    let name = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if name.starts_with("test") {
        "test"
    } else if name.starts_with("valid") || name.starts_with("dev") {
        "validation"
    } else {
        "train"
    }
}

fn body(text: &mut String, listed: &Listed) {
    let card = &listed.card;
    let _infallible = write!(
        text,
        "# {}\n\n{}\n\n",
        escaped(card.title.first()),
        escaped(&card.summary)
    );
    if !card.description.is_empty() {
        let _infallible = write!(text, "{}\n\n", escaped(&card.description));
    }
    let _infallible = write!(
        text,
        "| | |\n| --- | --- |\n| version | {} |\n| manifest | {} |\n| licence | {} |\n| bytes | {} |\n",
        escaped(&listed.version),
        listed.manifest,
        escaped(&card.licence.expression),
        listed.bytes()
    );
    if let Some(rows) = listed.rows() {
        let _infallible = writeln!(text, "| rows | {rows} |");
    }
    text.push('\n');
    if !card.sources.is_empty() {
        text.push_str("## Sources\n\n");
        for source in &card.sources {
            let kind = source.kind.map_or("", super::SourceKind::as_str);
            let licence = source.licence.as_deref().unwrap_or("no licence stated");
            let _infallible = writeln!(
                text,
                "- {} ({kind}; {})",
                escaped(&source.name),
                escaped(licence)
            );
        }
        text.push('\n');
    }
    if !card.changelog.is_empty() {
        let _infallible = write!(text, "## Changes\n\n{}\n", escaped(&card.changelog));
    }
}

/// A text in Markdown that stays a text: no markup, no HTML, no line that opens a block.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '!' | '~' => {
                safe.push('\\');
                safe.push(c);
            }
            '\n' => safe.push_str("  \n"),
            // At the start of a line these open a list, a rule or a heading.
            '-' | '+' | '=' if safe.is_empty() || safe.ends_with('\n') => {
                safe.push('\\');
                safe.push(c);
            }
            _ => safe.push(c),
        }
    }
    safe
}
