//! What rdkafka's safe interface lacks: reading in batches from one queue that several partitions feed, and knowing as
//! whom a consumer speaks in its group.
//!
//! Reading a record at a time costs half as much again as the batch (both measured with librdkafka's own threads
//! included). The consumer's own queue must not be read in batches: rebalances served there never reach the context.

#![allow(unsafe_code, reason = "librdkafka's batch reads and member ids are reachable through its C interface only")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;
use tocsin_core::time::Millis;

use crate::task::world::{Offset, PartitionId, Source};

/// Most records of one batch, whatever was asked for: each takes 8 bytes of the buffer.
const LARGEST_BATCH: usize = 100_000;

/// What a partition brings.
#[derive(Debug)]
pub(super) enum Item<'a> {
    Record(Record<'a>),
    /// The partition was read to this offset, its last stable one.
    End {
        partition: PartitionId,
        offset: Offset,
    },
    /// The partition brings nothing more until it is sought anew, or librdkafka recovers by itself.
    Failed {
        partition: PartitionId,
        code: RDKafkaErrorCode,
        message: String,
    },
}

impl Item<'_> {
    /// -1 if a failure is no single partition's.
    pub fn partition(&self) -> PartitionId {
        match self {
            Self::Record(record) => record.partition,
            Self::End { partition, .. } | Self::Failed { partition, .. } => *partition,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub partition: PartitionId,
    pub offset: Offset,
    pub timestamp: Option<Millis>,
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// The headers of a record, unpacked when they are asked for.
#[derive(Clone, Copy)]
pub(super) struct Headers<'a>(&'a sys::rd_kafka_message_t);

impl<'a> Headers<'a> {
    /// Names and values, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut headers = std::ptr::null_mut();
        // SAFETY: the message is alive, and ours alone; librdkafka keeps what it unpacks with it.
        let code = unsafe { sys::rd_kafka_message_headers(self.0, &raw mut headers) };
        let headers = (code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then_some(headers);
        (0..).map_while(move |index| {
            let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
            // SAFETY: the headers live as long as the message, and so do names, which are terminated, and values.
            unsafe {
                let code = sys::rd_kafka_header_get_all(headers?, index, &raw mut name, &raw mut value, &raw mut size);
                let is_there = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && !name.is_null();
                is_there.then(|| (CStr::from_ptr(name).to_bytes(), bytes(value, size).unwrap_or_default()))
            }
        })
    }
}

impl std::fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name))).finish()
    }
}

/// As whom a consumer speaks in its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// -1 outside of the group.
    pub generation: i32,
    /// Empty outside of the group.
    pub member: String,
}

/// A consumer and a queue of its own, which partitions are forwarded to and which is read in batches.
pub(super) struct BatchConsumer<C: ConsumerContext> {
    // The order matters, for fields are dropped from the top: librdkafka wants messages and queues back before the
    // client goes. Partitions may still point at the queue then; librdkafka counts that and drops what they send.
    batch: Batch,
    queue: Queue,
    /// Queues of single partitions, for who reads them one by one.
    apart: BTreeMap<Source, Queue>,
    consumer: BaseConsumer<C>,
}

impl<C: ConsumerContext> BatchConsumer<C> {
    /// `None` if librdkafka has no memory for a queue.
    pub fn new(consumer: BaseConsumer<C>) -> Option<Self> {
        let queue = new_queue(&consumer)?;
        Some(Self { batch: Batch::default(), queue, apart: BTreeMap::new(), consumer })
    }

    pub fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Has a partition's records come through this queue from now on. Call it before the partition is assigned.
    pub fn forward(&self, topic: &str, partition: PartitionId) -> bool {
        self.forward_to(topic, partition, &self.queue)
    }

    /// The same, but through a new queue of its own; what an earlier one still has is dropped.
    pub fn set_apart(&mut self, topic: &str, source: Source) -> bool {
        let Some(queue) = new_queue(&self.consumer) else { return false };
        let is_done = self.forward_to(topic, source.partition, &queue);
        self.apart.insert(source, queue);
        is_done
    }

    /// Forwards a partition once more to the queue of its own.
    pub fn set_apart_again(&self, topic: &str, source: Source) -> bool {
        self.apart.get(&source).is_some_and(|queue| self.forward_to(topic, source.partition, queue))
    }

    /// Drops the queue of a partition.
    pub fn drop_apart(&mut self, source: Source) {
        self.apart.remove(&source);
    }

    fn forward_to(&self, topic: &str, partition: PartitionId, queue: &Queue) -> bool {
        let Ok(topic) = CString::new(topic) else { return false };
        let client = self.consumer.client().native_ptr();
        // SAFETY: `client` is alive, and `topic` is terminated and outlives the call.
        let source = unsafe { sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition) };
        if source.is_null() {
            return false;
        }
        // SAFETY: both queues are alive. Destroying `source` gives back this handle only; the forwarding stays.
        unsafe {
            sys::rd_kafka_queue_forward(source, queue.0.as_ptr());
            sys::rd_kafka_queue_destroy(source);
        }
        true
    }

    /// Gets a batch of at most `max` items, waiting up to `wait` for the first; what was left of the batch before is
    /// dropped. Returns their number.
    ///
    /// librdkafka by itself waits until the batch is full, or the time is up.
    pub fn fill(&mut self, max: usize, wait: Duration) -> usize {
        let max = max.clamp(1, LARGEST_BATCH);
        let mut count = self.batch.read(&self.queue, max, Duration::ZERO);
        if count == 0 && !wait.is_zero() {
            count = self.batch.read(&self.queue, 1, wait);
            if count == 1 && max > 1 {
                count += self.batch.read_more(&self.queue, max - 1);
            }
        }
        count
    }

    /// As [`Self::fill`], from the queue of one partition.
    pub fn fill_apart(&mut self, source: Source, max: usize, wait: Duration) -> usize {
        let Some(queue) = self.apart.get(&source) else {
            self.batch.clear();
            return 0;
        };
        let max = max.clamp(1, LARGEST_BATCH);
        let count = self.batch.read(queue, max, Duration::ZERO);
        if count > 0 || wait.is_zero() { count } else { self.batch.read(queue, 1, wait) }
    }

    /// The high watermark of a partition, as the broker told it with its last answer to a fetch.
    pub fn end_seen(&self, topic: &str, partition: PartitionId) -> Option<Offset> {
        let topic = CString::new(topic).ok()?;
        let (mut first, mut end) = (-1, -1);
        // SAFETY: the client is alive; `topic` is terminated and outlives the call, as do the two places.
        let code = unsafe {
            let client = self.consumer.client().native_ptr();
            sys::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &raw mut first, &raw mut end)
        };
        Some(end).filter(|end| code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && *end >= 0)
    }

    /// The next item of the batch.
    pub fn peek(&self) -> Option<Item<'_>> {
        self.batch.messages.get(self.batch.next).map(|message| {
            // SAFETY: messages from `next` on are ours and not yet destroyed; the item borrows `self`, and nothing
            // destroys a message but methods that borrow `self` mutably.
            unsafe { item(message.as_ref()) }
        })
    }

    /// Drops the item that [`Self::peek`] shows.
    pub fn advance(&mut self) {
        self.batch.destroy_next();
    }

    /// Drops what is left of the batch.
    pub fn clear(&mut self) {
        self.batch.clear();
    }

    /// As the client knows it now; its own threads may change it at any time.
    pub fn membership(&self) -> Membership {
        // SAFETY: the client is alive. The strings belong to `metadata`, and are copied before it is destroyed.
        unsafe {
            let metadata = sys::rd_kafka_consumer_group_metadata(self.consumer.client().native_ptr());
            if metadata.is_null() {
                return Membership { generation: -1, member: String::new() };
            }
            let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata);
            let member = text(sys::rd_kafka_consumer_group_metadata_member_id(metadata));
            sys::rd_kafka_consumer_group_metadata_destroy(metadata);
            Membership { generation, member }
        }
    }
}

/// A queue that outlives nothing: it must be dropped before the consumer.
fn new_queue<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Queue> {
    // SAFETY: the client is alive, and by the order of fields in [`BatchConsumer`] it outlives the queue.
    NonNull::new(unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) }).map(Queue)
}

/// A handle of a queue, given back when it is dropped.
struct Queue(NonNull<sys::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues may be used from any thread, and hold nothing of the thread that made them.
unsafe impl Send for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, destroyed once, and before its client.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// Messages that were taken from a queue. Those before `next` are destroyed.
#[derive(Default)]
struct Batch {
    messages: Vec<NonNull<sys::rd_kafka_message_t>>,
    next: usize,
}

// SAFETY: a message is a counted block of memory; librdkafka lets any thread read and destroy it.
unsafe impl Send for Batch {}

impl Batch {
    fn read(&mut self, queue: &Queue, max: usize, wait: Duration) -> usize {
        self.clear();
        self.append(queue, max, wait)
    }

    fn read_more(&mut self, queue: &Queue, max: usize) -> usize {
        self.append(queue, max, Duration::ZERO)
    }

    fn append(&mut self, queue: &Queue, max: usize, wait: Duration) -> usize {
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        self.messages.reserve(max);
        let held = self.messages.len();
        // `NonNull` has the layout of the pointer that librdkafka writes.
        let free = self.messages.spare_capacity_mut().as_mut_ptr().cast::<*mut sys::rd_kafka_message_t>();
        // SAFETY: the queue is alive; `free` has room for `max` pointers, of which librdkafka writes as many as it
        // returns, none of them null.
        unsafe {
            let count = sys::rd_kafka_consume_batch_queue(queue.0.as_ptr(), wait_ms, free, max);
            let count = usize::try_from(count).unwrap_or(0);
            self.messages.set_len(held + count);
            count
        }
    }

    fn destroy_next(&mut self) {
        if let Some(message) = self.messages.get(self.next) {
            self.next += 1;
            // SAFETY: got from librdkafka, not destroyed before (`next` has just passed it), and not borrowed, as
            // `self` is borrowed mutably.
            unsafe { sys::rd_kafka_message_destroy(message.as_ptr()) }
        }
    }

    fn clear(&mut self) {
        while self.next < self.messages.len() {
            self.destroy_next();
        }
        self.messages.clear();
        self.next = 0;
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// # Safety
/// The message must come from a consumer's queue, and outlive the item.
unsafe fn item(message: &sys::rd_kafka_message_t) -> Item<'_> {
    let (partition, offset) = (message.partition, message.offset);
    match message.err {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Item::Record(Record {
            partition,
            offset,
            timestamp: timestamp(message),
            // SAFETY: librdkafka gives the length with each pointer.
            key: unsafe { bytes(message.key, message.key_len) },
            // SAFETY: as above.
            payload: unsafe { bytes(message.payload, message.len) },
            headers: Headers(message),
        }),
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => Item::End { partition, offset },
        code => {
            // SAFETY: the message is alive, and librdkafka returns a terminated string that lives as long.
            let message = unsafe { text(sys::rd_kafka_message_errstr(message)) };
            Item::Failed { partition, code: code.into(), message }
        }
    }
}

fn timestamp(message: &sys::rd_kafka_message_t) -> Option<Millis> {
    let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the message is alive, and librdkafka only reads it.
    let time = unsafe { sys::rd_kafka_message_timestamp(message, &raw mut kind) };
    (kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE).then_some(time)
}

/// # Safety
/// Unless it is null, `start` must point to `len` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const std::ffi::c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: promised by the caller.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) })
}

/// # Safety
/// Unless it is null, `start` must point to a terminated string.
unsafe fn text(start: *const std::ffi::c_char) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned()
}
