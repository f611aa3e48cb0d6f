//! Committed records of a topic, from where the last look ended up to where it ends now.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    /// When the broker appended it, in milliseconds.
    pub appended: i64,
    pub payload: Vec<u8>,
}

pub struct Reader {
    consumer: BaseConsumer,
    topic: String,
    /// What to read next, of each partition.
    next: Vec<i64>,
}

impl Reader {
    pub fn new(bootstrap: &str, topic: &str, partitions: usize) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "asked for by the client, never joined")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "20")
            .set("fetch.error.backoff.ms", "50");
        Self { consumer: config.create().unwrap(), topic: topic.to_owned(), next: vec![0; partitions] }
    }

    /// What is new, in the order of each partition. Nothing is passed over: what a failed look has seen comes again.
    pub fn read(&mut self) -> Result<Vec<Record>, String> {
        let mut list = TopicPartitionList::new();
        for (partition, next) in self.next.iter().enumerate() {
            list.add_partition_offset(&self.topic, partition as i32, Offset::Offset(*next)).unwrap();
        }
        self.consumer.assign(&list).map_err(|error| error.to_string())?;
        let read = self.read_to_the_ends();
        self.consumer.unassign().map_err(|error| error.to_string())?;
        let (records, next) = read?;
        self.next = next;
        Ok(records)
    }

    fn read_to_the_ends(&self) -> Result<(Vec<Record>, Vec<i64>), String> {
        let (mut records, mut next) = (Vec::new(), self.next.clone());
        let mut open: BTreeSet<i32> = (0..next.len() as i32).collect();
        let started = Instant::now();
        while !open.is_empty() {
            if started.elapsed() > PATIENCE {
                return Err(format!("partitions {open:?} of {} not read to their ends in {PATIENCE:?}", self.topic));
            }
            match self.consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) if open.contains(&message.partition()) => {
                    next[message.partition() as usize] = message.offset() + 1;
                    records.push(Record {
                        partition: message.partition(),
                        offset: message.offset(),
                        appended: message.timestamp().to_millis().unwrap_or(-1),
                        payload: message.payload().unwrap_or_default().to_vec(),
                    });
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                // Brokers come and go; the client goes on by itself.
                _ => {}
            }
        }
        Ok((records, next))
    }
}
