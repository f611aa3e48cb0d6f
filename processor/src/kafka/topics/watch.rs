//! While it runs: has an input topic got more partitions?
//!
//! Its keys then lie in other partitions than their state, and from that moment on every answer may be wrong. The group
//! hears of it sooner or later, and of the further topics nobody else does.

use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::kafka::errors;
use crate::kafka::quiet::QuietContext;
use crate::kafka::settings::KafkaSettings;
use crate::task::partitions_added;
use crate::task::world::WorldError;

/// Looks at the input topics.
pub struct Watch {
    client: BaseConsumer<QuietContext>,
    settings: KafkaSettings,
    /// Of each of them, at start.
    partitions: i32,
}

impl Watch {
    /// Makes a client; no broker is asked.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if the settings cannot be used.
    pub fn new(settings: &KafkaSettings, partitions: i32) -> Result<Self, WorldError> {
        let made = settings.edges_client().create_with_context(QuietContext);
        let client = made.map_err(|error| errors::making("client that looks at topics", &error))?;
        Ok(Self { client, settings: settings.clone(), partitions })
    }

    /// Looks once.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if partitions were added; [`WorldError::Transient`] if no broker answers.
    pub fn look(&self) -> Result<(), WorldError> {
        for topic in self.settings.input_topics() {
            let metadata = self.client.fetch_metadata(Some(topic), self.settings.request_timeout);
            let metadata = metadata
                .map_err(|error| errors::asking(format_args!("the partitions of {topic} are not known"), &error))?;
            let found = metadata.topics().iter().map(|topic| topic.partitions().len() as i32).max();
            if let Some(found) = found.filter(|found| *found > self.partitions) {
                return Err(WorldError::Fatal(partitions_added(topic, self.partitions, found)));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}
