//! The log as an audit reads it: any topic of an application, as any reader of committed records sees it.
//!
//! No member of any group, no producer: neither brokers nor workers take it for one of the application.

use std::ops::Range;
use std::time::{Duration, Instant};

use tocsin_core::time::Millis;

use super::browser::Browser;
use super::clock;
use super::edges::Edges;
use super::native::Record;
use super::reader::{Reader, Stretch};
use super::settings::KafkaSettings;
use crate::audit::{Bounds, Logs, Seen, Topic};
use crate::task::Events;
use crate::task::headers::Headers;
use crate::task::world::{Input, Offset, PartitionId, Source, WorldError};

/// How long brokers may be away.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Reads the topics of an application.
#[derive(Debug)]
pub struct Evidence {
    browser: Browser,
    /// Input topics have readers of their own: they are read in turns with the journal, and each other.
    inputs: Vec<Reader>,
    others: Reader,
    edges: Edges,
    settings: KafkaSettings,
}

impl Evidence {
    /// Makes the clients; no broker is asked.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if the settings cannot be used.
    pub fn new(settings: &KafkaSettings) -> Result<Self, WorldError> {
        Ok(Self {
            browser: Browser::new(settings)?,
            inputs: settings.input_topics().map(|_| Reader::new(settings)).collect::<Result<_, _>>()?,
            others: Reader::new(settings)?,
            edges: Edges::new(settings)?,
            settings: settings.clone(),
        })
    }
}

fn name(settings: &KafkaSettings, topic: Topic) -> &str {
    match topic {
        Topic::Events(topic) => settings.input_topic(topic),
        Topic::Journal => &settings.journal_topic,
        Topic::Alerts => &settings.alerts_topic,
        Topic::DeadLetters => &settings.dead_letters_topic,
    }
}

impl Logs for Evidence {
    fn now(&self) -> Millis {
        clock::now()
    }

    fn partitions(&mut self, topic: Topic) -> Result<i32, WorldError> {
        let (name, bootstrap) = (name(&self.settings, topic), &self.settings.bootstrap);
        patiently(|| self.browser.partitions(name))?.ok_or_else(|| {
            WorldError::Fatal(format!(
                "there is no topic {name} at {bootstrap}, or this principal may not see it: correct the name of the \
                 application or of the topic, and the list of brokers"
            ))
        })
    }

    fn bounds(&mut self, topic: Topic, partition: PartitionId) -> Result<Bounds, WorldError> {
        let name = name(&self.settings, topic);
        patiently(|| {
            // In this order: see [`Bounds`].
            let edge = self.edges.of(name, partition)?;
            let (_, stable) = self.others.stable_bounds(name, partition)?;
            Ok(Bounds { first: edge.first, end: edge.end, stable })
        })
    }

    fn read(
        &mut self,
        topic: Topic,
        partition: PartitionId,
        within: Range<Offset>,
        each: &mut dyn FnMut(Seen<'_>),
    ) -> Result<(), WorldError> {
        let input = if let Topic::Events(topic) = topic { self.inputs.get_mut(topic) } else { None };
        let reader = input.unwrap_or(&mut self.others);
        let stretch = Stretch { topic: name(&self.settings, topic), partition, from: within.start, to: within.end };
        read(reader, &self.edges, stretch, &mut |record| {
            let Record { offset, timestamp, key, payload, headers, .. } = record;
            let with_headers = topic == Topic::DeadLetters;
            let headers: Vec<_> = with_headers.then(|| headers.iter()).into_iter().flatten().collect();
            each(Seen { offset, timestamp, key, payload, headers: &headers });
        })
    }
}

impl Events for Evidence {
    fn again(
        &mut self,
        source: Source,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError> {
        let Source { topic, partition } = source;
        let stretch = Stretch { topic: self.settings.input_topic(topic), partition, from, to };
        let mut packed = Vec::new();
        read(self.inputs.get_mut(topic).unwrap_or(&mut self.others), &self.edges, stretch, &mut |record| {
            let Record { offset, timestamp, key, payload, headers, .. } = record;
            let headers = Headers::pack(headers.iter(), &mut packed);
            each(Input { topic, partition, offset, timestamp, key, payload, headers });
        })
    }
}

/// Reads a stretch to its end, each record once, though brokers may go and come back meanwhile.
fn read(
    reader: &mut Reader,
    edges: &Edges,
    stretch: Stretch<'_>,
    each: &mut dyn FnMut(Record<'_>),
) -> Result<(), WorldError> {
    let mut next = stretch.from;
    patiently(|| {
        reader.read(Stretch { from: next, ..stretch }, edges, &mut || Ok(()), &mut |record| {
            next = record.offset + 1;
            each(record);
        })
    })
}

/// Tries again what may go well the next time.
fn patiently<T>(mut work: impl FnMut() -> Result<T, WorldError>) -> Result<T, WorldError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match work() {
            Err(WorldError::Transient(why) | WorldError::Unsettled(why)) if Instant::now() < until => {
                tracing::debug!(why, "tried again");
                std::thread::sleep(PAUSE);
            }
            // Nothing of ours is unsettled: only the broker's answer is.
            Err(WorldError::Unsettled(why)) => return Err(WorldError::Transient(why)),
            done => return done,
        }
    }
}
