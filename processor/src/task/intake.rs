//! One record of the input: is it an event, does it belong here, what became of it?

use tocsin_core::engine::Outcome;
use tocsin_core::event::TypeId;
use tocsin_core::partition::{Origin, Taken};

use super::Shared;
use super::outbox::DeadLetter;
use super::partition_task::{Audience, Task};
use super::world::Input;
use crate::partitioner::PartitionerSample;
use crate::store::{Store, StoreError};
use crate::telemetry::{DuplicateEvent, FieldsIgnored, LateEvent, MixedPartitioners, TooOldEvent};

/// Why records are dead letters, beside the reasons of the decoder.
pub const REFUSALS: [&str; 3] = ["misplaced", "future", "too_old"];

/// Why a record is refused.
struct Refusal {
    reason: &'static str,
    message: String,
}

impl<S: Store> Task<S> {
    /// Takes in one record of the input; what it makes due is judged by [`Task::drain`], which must come to its end
    /// before the next record.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn take(&mut self, shared: &Shared, record: Input<'_>, audience: &mut Audience<'_>) -> Result<(), StoreError> {
        debug_assert!(!self.draining, "an event may not be taken in before the drain is done");
        let topic = shared.topic_name(record.topic);
        if self.next.get(record.topic).is_none_or(|next| record.offset < *next) {
            return Ok(());
        }
        if let Some(refusal) = self.judge(shared, record, audience)? {
            self.refuse(shared, record, &refusal, audience);
        }
        self.next[record.topic] = record.offset + 1;
        self.progress.ran(topic, record.offset + 1);
        self.draining = true;
        Ok(())
    }

    fn refuse(&mut self, shared: &Shared, record: Input<'_>, refusal: &Refusal, audience: &mut Audience<'_>) {
        self.progress.dead_letters += 1;
        let Refusal { reason, message } = refusal;
        let letter = DeadLetter { reason, message, topic: shared.topic_name(record.topic), record };
        match audience {
            Audience::Live { outbox, .. } => outbox.dead_letter(&letter),
            Audience::Replay => {}
            Audience::Audit(found) => found.dead_letters.push(letter.outgoing()),
        }
    }

    /// Judges a record; returns why it is refused, if it is.
    fn judge(
        &mut self,
        shared: &Shared,
        record: Input<'_>,
        audience: &mut Audience<'_>,
    ) -> Result<Option<Refusal>, StoreError> {
        let refusal = |reason, message| Ok(Some(Refusal { reason, message }));
        let Some(payload) = record.payload else {
            return refusal("empty", "the record has no value".to_owned());
        };
        let ignored = self.decoder.ignored_fields();
        let event = match self.decoder.decode(payload) {
            Ok(event) => event,
            Err(malformed) => return refusal(malformed.reason, malformed.message),
        };
        if let Some(message) = misplaced(shared, &mut self.sample, record, event.customer_id) {
            return refusal("misplaced", message);
        }
        let type_id = event.record.type_id();
        let behind = self.core.watermark.map_or(0, |watermark| watermark - event.occurred_at);
        let (rules, judged) = (self.rules.in_force(), audience.asks(&mut self.judged));
        let origin = Origin { input: record.topic, recorded_at: record.timestamp };
        let taken = self.core.take(rules, &shared.time, &mut self.cache, &event, origin, judged)?;
        if let Audience::Live { .. } = audience {
            let fields = self.decoder.ignored_fields() - ignored;
            count(shared, record, type_id, taken, behind, fields);
        }
        self.hand_over(shared, audience);
        match taken {
            Taken::Future => {
                let skew = shared.time.max_future_skew;
                refusal("future", format!("the event lies more than {skew} ms ahead of its record's timestamp"))
            }
            Taken::Judged(Outcome::TooOld) => {
                refusal("too_old", "the event lies further back than time.history".to_owned())
            }
            Taken::Judged(_) => Ok(None),
        }
    }
}

/// Whether the record lies where its customer does not belong, and why. Notices a topic that is written by two
/// partitioners, which splits customers.
fn misplaced(shared: &Shared, sample: &mut PartitionerSample, record: Input<'_>, customer_id: &str) -> Option<String> {
    let customer = customer_id.as_bytes();
    let Input { topic, partition, offset, .. } = record;
    let topic = shared.topic_name(topic);
    if record.key != Some(customer) {
        return Some(match record.key {
            Some(_) => "the record's key is not its customer_id".to_owned(),
            None => "the record has no key; it must be its customer_id".to_owned(),
        });
    }
    if let Some(partitioner) = shared.partitioner {
        let expected = partitioner.partition(customer, shared.partitions);
        return (expected != partition)
            .then(|| format!("{partitioner} puts this customer in partition {expected}, not {partition}"));
    }
    if let Some(expected_partition) = sample.observe(customer, partition, shared.partitions) {
        MixedPartitioners { topic, partition, offset, expected_partition }.emit(&shared.metrics);
    }
    None
}

fn count(shared: &Shared, record: Input<'_>, type_id: TypeId, taken: Taken, late_by_ms: i64, ignored_fields: u64) {
    let Some(event_type) = shared.schemas.catalog().get(type_id) else { return };
    let (Input { partition, offset, .. }, metrics) = (record, &*shared.metrics);
    if ignored_fields > 0 {
        FieldsIgnored { event_type, partition, offset, fields: ignored_fields }.emit(metrics);
    }
    match taken {
        Taken::Judged(Outcome::Accepted | Outcome::AttributesOnly) => shared.counters.accepted(type_id, 1),
        Taken::Judged(Outcome::Late) => LateEvent { event_type, partition, offset, late_by_ms }.emit(metrics),
        Taken::Judged(Outcome::Duplicate) => DuplicateEvent { event_type, partition, offset }.emit(metrics),
        Taken::Judged(Outcome::TooOld) => TooOldEvent { event_type, partition, offset, late_by_ms }.emit(metrics),
        Taken::Future => {}
    }
}
