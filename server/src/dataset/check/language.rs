//! Which language most of a text is in, and how many tokens it may come to. Both are estimates and say so.

/// Text that the language is told from.
const SAMPLE_MAX: usize = 32 << 10;
/// What one cell gives to it at most, or the first long one would speak for all.
const CELL_MAX: usize = 256;
/// Characters below which nothing is said: `whatlang` guesses there.
const CHARACTERS_MIN: usize = 200;

/// Counts the characters that go by, and keeps some.
#[derive(Debug, Clone, Default)]
pub(super) struct Language {
    sample: String,
    wide: u64,
    bytes: u64,
}

impl Language {
    pub(super) fn add(&mut self, text: &str) {
        // U+4000 to U+9FFF, nearly all of them ideographs, are three bytes that begin so.
        let wide = text.bytes().filter(|b| (0xe4..=0xe9).contains(b)).count() as u64;
        self.wide += wide;
        self.bytes += text.len() as u64;
        if self.sample.len() < SAMPLE_MAX && text.len() > 1 {
            let end = text.floor_char_boundary(CELL_MAX.min(text.len()));
            self.sample.push_str(text.get(..end).unwrap_or_default());
            self.sample.push(' ');
        }
    }

    /// Seven tenths of the ideographs and a quarter of the other bytes.
    pub(super) fn tokens(&self) -> u64 {
        self.wide * 7 / 10 + self.bytes.saturating_sub(self.wide * 3) / 4
    }

    /// ISO 639-1, or 639-3 where there is none.
    pub(super) fn language(&self) -> Option<String> {
        let letters = self.sample.chars().filter(|c| c.is_alphabetic()).count();
        if letters < CHARACTERS_MIN {
            return None;
        }
        let ideographs = self
            .sample
            .chars()
            .filter(|c| ('\u{4e00}'..='\u{9fff}').contains(c))
            .count();
        let kana = self
            .sample
            .chars()
            .filter(|c| ('\u{3040}'..='\u{30ff}').contains(c))
            .count();
        // A Chinese text quotes English words; an English one has hardly an ideograph.
        if kana * 20 > letters {
            return Some("ja".to_owned());
        }
        if ideographs * 5 > letters {
            return Some("zh".to_owned());
        }
        let found = whatlang::detect(&self.sample).filter(whatlang::Info::is_reliable)?;
        let code = match found.lang().code() {
            "cmn" => "zh",
            "eng" => "en",
            "ita" => "it",
            "deu" => "de",
            "fra" => "fr",
            "spa" => "es",
            "por" => "pt",
            "rus" => "ru",
            "jpn" => "ja",
            "kor" => "ko",
            "ara" => "ar",
            "nld" => "nl",
            "pol" => "pl",
            "vie" => "vi",
            other => other,
        };
        Some(code.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        let mut language = Language::default();
        for _ in 0..8 {
            language.add(text);
        }
        language.language()
    }

    #[test]
    fn three_languages_are_told_apart() {
        assert_eq!(of("医生建议患者每天测量血压,并且按时服药,三个月之后回来复查,如果血压高于一百四十就马上打电话。").as_deref(), Some("zh"));
        assert_eq!(of("The doctor asked the patient to measure her blood pressure every day and to come back in three months.").as_deref(), Some("en"));
        assert_eq!(of("Il medico ha chiesto alla paziente di misurare la pressione ogni giorno e di tornare fra tre mesi.").as_deref(), Some("it"));
        assert_eq!(of("short"), None);
    }
}
