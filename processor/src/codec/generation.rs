//! A generation of the rule set as it is published: the texts of its files, and who put them in force when.
//!
//! ```json
//! {"generation":3,"fingerprint":"0123456789abcdef","applied_at":"2026-01-01T00:00:00.000Z","applied_by":"ann@desk",
//!  "files":[{"name":"care.yaml","text":"rules: [...]"}]}
//! ```
//!
//! The texts are the truth: what they mean is worked out anew by whoever reads them, and the fingerprint tells whether
//! the reader understands them as the writer did. Members that a reader does not know are left alone, so that later
//! writers may add some.

use serde::{Deserialize, Serialize};
use tocsin_core::time::Millis;

/// One generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesDocument {
    /// Counted from 1; one more than that of the generation before.
    pub generation: i64,
    /// Of the rules in the texts: the same for rules that decide alike, in the same order.
    pub fingerprint: String,
    /// Wall clock of whoever published it.
    #[serde(with = "instant")]
    pub applied_at: Millis,
    /// `user@host`.
    pub applied_by: String,
    /// In the order of their names, which is the order in which their rules are judged.
    pub files: Vec<RulesFile>,
}

/// One file of a rule set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesFile {
    /// Relative to the directory that was published, so that it is the same wherever that lies.
    pub name: String,
    pub text: String,
}

/// Why bytes are no generation.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("not the JSON of a generation of rules: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("its number is {0}; generations count from 1")]
    NoNumber(i64),
    #[error("it has no files; a set without rules is a file with `rules: []`")]
    NoFiles,
}

impl RulesDocument {
    /// The key of its record: as many generations as there are, as many keys, so that compaction keeps all of them.
    #[must_use]
    pub fn key(&self) -> String {
        self.generation.to_string()
    }

    /// As JSON, on one line.
    ///
    /// # Errors
    /// None that could come up: all of it has a form in JSON.
    pub fn encode(&self) -> Result<String, DocumentError> {
        Ok(serde_json::to_string(self)?)
    }

    /// # Errors
    /// If it is not what [`RulesDocument::encode`] writes, or could not have been published.
    pub fn decode(payload: &[u8]) -> Result<Self, DocumentError> {
        let document: Self = serde_json::from_slice(payload)?;
        if document.generation < 1 {
            return Err(DocumentError::NoNumber(document.generation));
        }
        if document.files.is_empty() {
            return Err(DocumentError::NoFiles);
        }
        Ok(document)
    }
}

/// An instant as RFC 3339 text.
mod instant {
    use std::borrow::Cow;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use tocsin_core::time::Millis;

    use crate::codec::timestamp;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    pub fn serialize<S: Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Vec::new();
        timestamp::write(&mut text, *at);
        serializer.serialize_str(&String::from_utf8_lossy(&text))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        timestamp::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no instant of RFC 3339")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"generation":3,"fingerprint":"0123456789abcdef","applied_at":"2026-01-01T00:00:00.000Z","applied_by":"ann@desk","files":[{"name":"care.yaml","text":"rules: []\n# \"quoted\", 警\n"}]}"#;

    fn document() -> RulesDocument {
        RulesDocument {
            generation: 3,
            fingerprint: "0123456789abcdef".to_owned(),
            applied_at: 1_767_225_600_000,
            applied_by: "ann@desk".to_owned(),
            files: vec![RulesFile { name: "care.yaml".to_owned(), text: "rules: []\n# \"quoted\", 警\n".to_owned() }],
        }
    }

    /// Other programs read these texts: they stay as they are.
    #[test]
    fn a_generation_is_written_as_ever() {
        assert_eq!(document().encode().unwrap(), TEXT);
        assert_eq!(RulesDocument::decode(TEXT.as_bytes()).unwrap(), document());
        assert_eq!(document().key(), "3");
    }

    #[test]
    fn what_a_later_writer_adds_is_left_alone() {
        let later = TEXT.replacen('{', r#"{"note":["x"],"#, 1).replace("00:00.000Z", "00:00+00:00");
        assert_eq!(RulesDocument::decode(later.as_bytes()).unwrap(), document());
    }

    #[test]
    fn what_is_no_generation_is_refused() {
        for (text, expected) in [
            ("", "not the JSON of a generation"),
            ("rules: []", "not the JSON of a generation"),
            (r#"{"generation":1}"#, "missing field `fingerprint`"),
            (&TEXT.replace("2026-01-01T", "yesterday "), "`yesterday 00:00:00.000Z` is no instant"),
            (&TEXT.replace(":3,", ":0,"), "its number is 0"),
            (&TEXT.replace(r#""files":["#, r#""files":[],"others":["#), "it has no files"),
        ] {
            let error = RulesDocument::decode(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
