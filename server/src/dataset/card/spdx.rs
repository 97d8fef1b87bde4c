//! Where a licence's expression leads in documents of others.

/// Where SPDX keeps a licence's page.
const LICENSE_URL_PREFIX: &str = "https://spdx.org/licenses/";

/// Ids that Hugging Face's front matter knows, of the licences that data come under.
const HUB: [&str; 26] = [
    "Apache-2.0",
    "MIT",
    "BSD-3-Clause",
    "CC0-1.0",
    "CC-BY-2.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC-BY-NC-2.0",
    "CC-BY-NC-3.0",
    "CC-BY-NC-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-NC-ND-3.0",
    "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-2.0",
    "CC-BY-NC-SA-3.0",
    "CC-BY-NC-SA-4.0",
    "CDLA-Sharing-1.0",
    "CDLA-Permissive-1.0",
    "CDLA-Permissive-2.0",
    "GFDL-1.3",
    "ODC-By-1.0",
    "ODbL-1.0",
    "PDDL-1.0",
    "Unlicense",
];

/// The licence's page: of one SPDX id SPDX's own, else the text as it is kept here.
pub(super) fn url(expression: &str, text_url: &str) -> String {
    let id = expression
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'.');
    if id && !expression.is_empty() && !expression.starts_with("LicenseRef-") {
        format!("{LICENSE_URL_PREFIX}{expression}.html")
    } else {
        text_url.to_owned()
    }
}

/// The id in Hugging Face's front matter, if it has one.
pub(super) fn hub(expression: &str) -> Option<String> {
    let known = HUB.iter().find(|known| **known == expression)?;
    Some(match *known {
        "ODC-By-1.0" => "odc-by".to_owned(),
        "ODbL-1.0" => "odbl".to_owned(),
        "PDDL-1.0" => "pddl".to_owned(),
        "GFDL-1.3" => "gfdl".to_owned(),
        other => other.to_ascii_lowercase(),
    })
}
