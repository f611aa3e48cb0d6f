//! The generations of the rule set, as their topic has them: one record each, in one partition, numbered from 1 without
//! a gap, and never changed.
//!
//! Whoever judges must have every generation that any partition may be at, so anything else in the topic is an error
//! that names its offset, and nothing behind it is taken.

mod publishing;

use std::ops::ControlFlow;
use std::sync::Arc;

use super::browser::{Browser, Extent};
use super::settings::KafkaSettings;
use crate::codec::generation::RulesDocument;
use crate::task::world::{Input, Offset, WorldError};

pub use publishing::{GenerationsWriter, RulesDraft};

/// The one partition of the topic.
const PARTITION: i32 = 0;

/// A generation as it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedGeneration {
    pub offset: Offset,
    pub document: RulesDocument,
    /// The document as its record has it.
    pub text: Arc<str>,
}

/// Why generations were not read.
#[derive(Debug, thiserror::Error)]
pub enum GenerationsError {
    /// The topic holds something else than the next generation. Reading again does not help.
    #[error("{0}")]
    Damaged(String),
    /// Those read so far stay good.
    #[error(transparent)]
    World(#[from] WorldError),
}

/// Reads the topic from its beginning on, each generation once.
#[derive(Debug)]
pub struct GenerationsReader {
    browser: Browser,
    topic: String,
    /// The offset to read on from.
    next: Option<Offset>,
    /// Number of the generation that was read last; 0 before the first.
    last: i64,
}

impl GenerationsReader {
    /// Makes the clients; no broker is asked.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if the settings cannot be used.
    pub fn new(settings: &KafkaSettings) -> Result<Self, WorldError> {
        Ok(Self { browser: Browser::new(settings)?, topic: settings.rules_topic.clone(), next: None, last: 0 })
    }

    /// All further generations there are, after whoever is publishing has done so or given up.
    ///
    /// # Errors
    /// If the topic cannot be read, or holds something else.
    pub fn read_all(&mut self) -> Result<Vec<PublishedGeneration>, GenerationsError> {
        let extent = self.browser.settled_extent(&self.topic, PARTITION)?;
        self.read(extent)
    }

    /// All further generations there are by now. Cheap if there are none: call it now and then. After a
    /// [`GenerationsError::World`], call it again; nothing is skipped.
    ///
    /// # Errors
    /// As for [`GenerationsReader::read_all`].
    pub fn read_new(&mut self) -> Result<Vec<PublishedGeneration>, GenerationsError> {
        let extent = self.browser.extent(&self.topic, PARTITION)?;
        self.read(extent)
    }

    fn read(&mut self, extent: Extent) -> Result<Vec<PublishedGeneration>, GenerationsError> {
        let from = self.next.unwrap_or(extent.first);
        if extent.end < from {
            let what = format!(
                "{} ends at offset {}, but was read up to {from} before: was it made anew? Bring its records back",
                self.topic, extent.end
            );
            return Err(WorldError::Transient(what).into());
        }
        let (mut found, mut damage) = (Vec::new(), None);
        let (topic, mut last) = (&self.topic, self.last);
        let done = self.browser.read(topic, PARTITION, (from, extent.end), &mut |record| match generation_of(
            topic,
            record,
            last + 1,
        ) {
            Ok(generation) => {
                last += 1;
                found.push(generation);
                ControlFlow::Continue(())
            }
            Err(why) => {
                damage = Some(why);
                ControlFlow::Break(())
            }
        });
        self.browser.rest();
        done?;
        if let Some(why) = damage {
            return Err(GenerationsError::Damaged(why));
        }
        (self.next, self.last) = (Some(extent.end), last);
        Ok(found)
    }
}

/// The generation in a record, which must be the one that is due.
fn generation_of(topic: &str, record: Input<'_>, due: i64) -> Result<PublishedGeneration, String> {
    let damaged = |what: String| {
        format!(
            "{topic} is damaged: the record at offset {} {what}. Only tocsin may write there. Deny it to others, copy the good \
             records in their order, keys and all, to a new topic, and name that one by topics.rules",
            record.offset
        )
    };
    let Some(payload) = record.payload else {
        return Err(damaged("has no value".to_owned()));
    };
    let document =
        RulesDocument::decode(payload).map_err(|error| damaged(format!("is no generation of rules: {error}")))?;
    if record.key != Some(document.key().as_bytes()) {
        let key = record.key.map_or("no key".to_owned(), |key| format!("the key `{}`", String::from_utf8_lossy(key)));
        return Err(damaged(format!("has {key}, but holds generation {}", document.generation)));
    }
    if document.generation != due {
        let what = if document.generation < due { "comes again" } else { "comes too early" };
        return Err(damaged(format!(
            "holds generation {}, which {what}: generation {due} is due there",
            document.generation
        )));
    }
    let text = String::from_utf8_lossy(payload).into();
    Ok(PublishedGeneration { offset: record.offset, document, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::generation::RulesFile;

    fn payload(generation: i64) -> String {
        let files = vec![RulesFile { name: "a.yaml".to_owned(), text: "rules: []".to_owned() }];
        let document =
            RulesDocument { generation, fingerprint: "0".repeat(16), applied_at: 0, applied_by: "a@b".into(), files };
        document.encode().unwrap()
    }

    fn read(key: Option<&str>, payload: Option<&str>, due: i64) -> Result<PublishedGeneration, String> {
        let (key, payload) = (key.map(str::as_bytes), payload.map(str::as_bytes));
        let headers = crate::task::headers::Headers::default();
        generation_of(
            "care.rules",
            Input { topic: 0, partition: 0, offset: 7, timestamp: None, key, payload, headers },
            due,
        )
    }

    #[test]
    fn the_generation_that_is_due_is_taken() {
        let found = read(Some("3"), Some(&payload(3)), 3).unwrap();
        assert_eq!((found.offset, found.document.generation, &*found.text), (7, 3, payload(3).as_str()));
    }

    #[test]
    fn anything_else_is_an_error_that_names_its_offset() {
        for (key, value, due, expected) in [
            (Some("3"), None, 3, "has no value"),
            (Some("3"), Some("{}".to_owned()), 3, "is no generation of rules: not the JSON"),
            (None, Some(payload(3)), 3, "has no key, but holds generation 3"),
            (Some("03"), Some(payload(3)), 3, "has the key `03`, but holds generation 3"),
            (Some("3"), Some(payload(3)), 4, "holds generation 3, which comes again: generation 4 is due"),
            (Some("5"), Some(payload(5)), 3, "holds generation 5, which comes too early: generation 3 is due"),
        ] {
            let error = read(key, value.as_deref(), due).unwrap_err();
            assert!(error.starts_with("care.rules is damaged: the record at offset 7 "), "{error}");
            assert!(error.contains(expected), "{expected}: {error}");
            assert!(error.contains("topics.rules"), "{error}");
        }
    }
}
