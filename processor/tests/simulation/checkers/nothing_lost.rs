//! Nothing is lost, and nothing is different.
//!
//! Once nothing is left to do, the journal reaches the end of the input, and what was published for each customer is, byte for
//! byte and in order, what the core finds when it is fed that input from the first event on, with the wall clock's ticks and
//! the changes of rules where the journal has them. The core is called here with none of the loop around it: no transactions,
//! no restores, no cut drains, no sweep by steps. So whatever the loop skipped, judged by stale state, judged in another order
//! or withheld wrongly shows as a difference. The journal says *when* rules changed and clocks ticked; it cannot excuse an
//! event that it passed over, since offsets alone say which events were there.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tocsin::codec::journal::{JournalRecord, Step};
use tocsin::task::world::{Offset, PartitionId, TopicId};

use crate::rules::TOPICS;
use crate::sim::Sim;
use crate::truth::{Truth, timeless};

pub fn check(sim: &Sim, partition: PartitionId, journal: &[(Offset, JournalRecord)], truth: &Truth) {
    let broker = sim.broker.borrow();
    for source in sim.plan.sources_of(partition) {
        let end = journal.last().and_then(|(_, record)| record.to.next(TOPICS[source.topic]));
        let last = broker.events[&source].committed(0).last().map(|(offset, _)| offset + 1);
        assert!(end >= last, "{source:?}: the journal ends at {end:?}, the events at {last:?}");
        let committed = broker.group.committed.get(&source).copied();
        assert_eq!(committed, end, "{source:?}: committed offset and journal");
    }
    let of_partition = |key: Option<&[u8]>| key.is_some_and(|key| key.starts_with(format!("c{partition}-").as_bytes()));
    let mut published: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let mut ordered = Vec::new();
    for (_, entry) in broker.alerts.committed(0) {
        let data = entry.data.as_ref().unwrap();
        if of_partition(data.key.as_deref()) {
            let record = timeless(data.payload.as_deref().unwrap());
            ordered.push(record.clone());
            published.entry(data.key.clone().unwrap()).or_default().push(record);
        }
    }
    let customers = truth.alerts.keys().chain(published.keys());
    for customer in customers {
        let none = Vec::new();
        let (found, expected) = (published.get(customer).unwrap_or(&none), truth.alerts.get(customer).unwrap_or(&none));
        let customer = String::from_utf8_lossy(customer);
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(show(found), show(expected), "{customer}: alert {place} is not what it should be");
        }
        assert!(
            found.len() >= expected.len(),
            "{customer}: {} of {} alerts are missing",
            expected.len() - found.len(),
            expected.len()
        );
        assert!(found.len() <= expected.len(), "{customer}: {} alerts, but {} are right", found.len(), expected.len());
    }
    if !truth.has_sweeps {
        assert!(ordered == truth.ordered, "partition {partition}: alerts in another order than that of judging");
    }
    let told: u64 = journal.iter().map(|(_, record)| record.transitions).sum();
    assert_eq!(told, ordered.len() as u64, "partition {partition}: transitions the journal tells of");
    letters(&broker.letters, partition, truth);
    let (mut reached, steps) = (sim.reached.borrow_mut(), journal.iter().flat_map(|(_, record)| &record.steps));
    let mut before = None;
    for step in steps {
        if let Step::Run { topic, .. } = step
            && before.replace(topic).is_some_and(|before| before != topic)
        {
            reached.add("changes from one topic to another");
        }
        match step {
            Step::Tick { .. } => reached.add("ticks"),
            Step::Drain { .. } => reached.add("drains that were cut"),
            Step::Rules { .. } => reached.add("changes of rules"),
            Step::Sweep { customer: Some(_) } => reached.add("sweeps that were cut"),
            Step::Sweep { customer: None } => reached.add("sweeps that came to their end"),
            Step::Run { .. } | Step::Context(_) => {}
        }
    }
}

fn letters(log: &crate::broker::log::Log, partition: PartitionId, truth: &Truth) {
    let header = |headers: &[(Cow<'static, str>, Vec<u8>)], name: &str| {
        let found = headers.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let headers = log.committed(0).map(|(_, entry)| &entry.data.as_ref().unwrap().headers);
    let here = headers.filter(|headers| header(headers, "tocsin.partition") == partition.to_string());
    let topic = |name: &str| TOPICS.iter().position(|topic| *topic == name).unwrap();
    let places: Vec<(TopicId, Offset)> = here
        .map(|headers| (topic(&header(headers, "tocsin.topic")), header(headers, "tocsin.offset").parse().unwrap()))
        .collect();
    assert_eq!(places, truth.letters, "partition {partition}: dead letters");
}
