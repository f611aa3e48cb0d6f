//! What a checkpoint says of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tocsin_core::time::Millis;

use super::hash;

/// Raised when a manifest can no longer be read by an earlier version of this program.
const FORMAT: u32 = 1;
/// Digits of the manifest's own hash in its name.
const NAME_DIGITS: usize = 16;

/// What is known of a store when a checkpoint of it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub application: String,
    pub topic: String,
    pub partition: i32,
    /// Offset of the last journal record that the store includes; -1 before the first.
    pub journal_offset: i64,
    /// Its sequence number; 0 before the first. Checkpoints are ordered by it.
    pub journal_sequence: i64,
    /// Next offset of each input topic.
    pub inputs: BTreeMap<String, i64>,
    /// Event time up to which alerts have been judged, in milliseconds since 1970.
    pub watermark: Option<Millis>,
    pub rules: RulesInForce,
    /// Version of what the engine answers.
    pub semantics: i32,
    /// Hash of all else that can change an answer.
    pub context: String,
}

/// The rule set that the store was judged by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesInForce {
    pub generation: i64,
    pub fingerprint: String,
    /// The rule files, as the rules topic holds them.
    pub document: String,
}

/// A file of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub name: String,
    pub size: u64,
    pub sha256: String,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of the program that made it.
    pub tocsin: String,
    #[serde(with = "instant")]
    pub created_at: Millis,
    #[serde(flatten)]
    pub facts: Facts,
    /// Bytes of all files.
    pub size: u64,
    /// Bytes of those that were not there before.
    pub new_bytes: u64,
    pub files: Vec<FileEntry>,
}

impl Manifest {
    #[must_use]
    pub fn new(facts: Facts, created_at: Millis, files: Vec<FileEntry>, new_bytes: u64) -> Self {
        let size = files.iter().map(|file| file.size).sum();
        let tocsin = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, tocsin, created_at, facts, size, new_bytes, files }
    }

    /// Its text, and the name that belongs to it.
    ///
    /// # Errors
    /// If it cannot be written as JSON, which is a mistake in this program.
    pub fn to_text(&self) -> Result<(ManifestName, String), serde_json::Error> {
        let text = serde_json::to_string_pretty(self)?;
        let name = ManifestName { sequence: self.facts.journal_sequence, hash: own_hash(&text) };
        Ok((name, text))
    }

    /// Reads the text that is stored under this name.
    ///
    /// # Errors
    /// Why it is not the manifest that was written.
    pub fn read(name: &ManifestName, bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        if own_hash(text) != name.hash {
            return Err("its text is not the one that was written".to_owned());
        }
        let Format { format } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(format!("it has format {format}; this version of tocsin reads format {FORMAT}"));
        }
        let manifest: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match manifest.files.iter().find(|file| !is_file_name(&file.name)) {
            Some(file) => Err(format!("`{}` is no name for a file", file.name)),
            None => Ok(manifest),
        }
    }
}

/// What is read of a manifest before anything else.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

fn own_hash(text: &str) -> String {
    let mut hash = hash::of_bytes(text.as_bytes());
    hash.truncate(NAME_DIGITS);
    hash
}

/// Files lie side by side in one directory; no manifest may reach out of it.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

/// The name of a manifest; by it, checkpoints are ordered by position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestName {
    /// Journal sequence of the position.
    pub sequence: i64,
    hash: String,
}

impl fmt::Display for ManifestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{}.json", self.sequence, self.hash)
    }
}

impl FromStr for ManifestName {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let (sequence, hash) = name.strip_suffix(".json").and_then(|stem| stem.split_once('-')).ok_or(())?;
        let is_hash = hash.len() == NAME_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_number = sequence.len() == 20 && sequence.bytes().all(|byte| byte.is_ascii_digit());
        if !is_hash || !is_number {
            return Err(());
        }
        Ok(Self { sequence: sequence.parse().map_err(|_| ())?, hash: hash.to_owned() })
    }
}

/// Instants as RFC 3339 text.
pub(super) mod instant {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use tocsin_core::time::Millis;

    use crate::codec::timestamp;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub fn serialize<S: Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*at))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
        let text = String::deserialize(deserializer)?;
        timestamp::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no instant")))
    }

    fn text(at: Millis) -> String {
        let mut out = Vec::with_capacity(24);
        timestamp::write(&mut out, at);
        String::from_utf8_lossy(&out).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let facts = Facts {
            application: "care".to_owned(),
            topic: "events".to_owned(),
            partition: 3,
            journal_offset: 41,
            journal_sequence: 17,
            inputs: BTreeMap::from([("events".to_owned(), 1_000)]),
            watermark: Some(5),
            rules: RulesInForce { generation: 2, fingerprint: "f".to_owned(), document: "{}".to_owned() },
            semantics: 1,
            context: "0f".to_owned(),
        };
        let file = |name: &str, size| FileEntry { name: name.to_owned(), size, sha256: "00".repeat(32) };
        Manifest::new(facts, 1_700_000_000_123, vec![file("CURRENT", 16), file("000012.sst", 100)], 16)
    }

    #[test]
    fn it_reads_back_the_same() {
        let manifest = manifest();
        let (name, text) = manifest.to_text().unwrap();
        assert!(name.to_string().starts_with("00000000000000000017-"), "{name}");
        assert_eq!(name.to_string().parse(), Ok(name.clone()));
        assert!(text.contains(r#""created_at": "2023-11-14T22:13:20.123Z""#), "{text}");
        assert_eq!(manifest.size, 116);
        assert_eq!(Manifest::read(&name, text.as_bytes()), Ok(manifest));
    }

    #[track_caller]
    fn refused(name: &ManifestName, text: &str, expected: &str) {
        let why = Manifest::read(name, text.as_bytes()).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }

    #[test]
    fn one_that_was_changed_or_is_of_a_later_format_is_refused() {
        let (name, text) = manifest().to_text().unwrap();
        refused(&name, &text.replace("\"generation\": 2", "\"generation\": 3"), "not the one that was written");
        refused(&name, &text[..text.len() / 2], "not the one that was written");
        let renamed = |text: &str| ManifestName { hash: own_hash(text), ..name.clone() };
        let later = text.replace("\"format\": 1", "\"format\": 2");
        refused(&renamed(&later), &later, "it has format 2");
        let outside = text.replace("CURRENT", "../CURRENT");
        refused(&renamed(&outside), &outside, "no name for a file");
    }

    #[test]
    fn names_sort_by_position() {
        let name = |sequence| ManifestName { sequence, hash: "0123456789abcdef".to_owned() };
        assert!(name(9).to_string() < name(10).to_string());
        for other in ["", "17-0123456789abcdef.json", "00000000000000000017-xyz.json", "00000000000000000017.json"] {
            assert_eq!(other.parse::<ManifestName>(), Err(()), "{other}");
        }
    }
}
