//! Which partition a key belongs to, as producers choose it.
//!
//! The default of Java clients is murmur2 over the key, of librdkafka and what is built on it CRC-32. A topic written
//! by both has one customer in two partitions, each with a part of the truth.

use std::fmt;
use std::str::FromStr;

/// A rule from key to partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioner {
    /// The default of Apache Kafka's Java client.
    Murmur2,
    /// The default of librdkafka (`consistent_random`).
    Crc32,
}

impl Partitioner {
    pub const ALL: [Self; 2] = [Self::Murmur2, Self::Crc32];

    /// The partition of a key in a topic of `partitions` partitions.
    #[must_use]
    pub fn partition(self, key: &[u8], partitions: i32) -> i32 {
        let hash = match self {
            // The Java client makes the hash positive by dropping the sign bit.
            Self::Murmur2 => murmur2(key) & 0x7fff_ffff,
            Self::Crc32 => crc32fast::hash(key),
        };
        (hash % partitions.max(1).unsigned_abs()) as i32
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Murmur2 => "murmur2",
            Self::Crc32 => "crc32",
        }
    }
}

impl fmt::Display for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Partitioner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|partitioner| partitioner.name() == text);
        found.ok_or_else(|| {
            format!("there is no partitioner `{text}`; write murmur2 (Java clients) or crc32 (librdkafka)")
        })
    }
}

/// MurmurHash2, 32 bits, with the seed of Kafka's Java client. Source: Austin Appleby, MurmurHash2.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// What a sample of a topic's keys says about who writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionerSample {
    seen: u64,
    /// Keys whose place fits one partitioner and not the other.
    murmur2_only: u64,
    crc32_only: u64,
    /// Keys whose place fits neither.
    neither: u64,
}

/// Keys after which a sample is complete.
const SAMPLE: u64 = 10_000;

impl PartitionerSample {
    /// Looks at one record. Once the topic is known to be mixed, returns for each key that lies elsewhere where the
    /// partitioner of most of the keys would have put it.
    pub fn observe(&mut self, key: &[u8], partition: i32, partitions: i32) -> Option<i32> {
        if partitions < 2 || self.seen >= SAMPLE {
            return None;
        }
        self.seen += 1;
        let places = Partitioner::ALL.map(|partitioner| partitioner.partition(key, partitions));
        match places.map(|place| place == partition) {
            [true, false] => self.murmur2_only += 1,
            [false, true] => self.crc32_only += 1,
            [false, false] => self.neither += 1,
            [true, true] => {}
        }
        let usual = if self.crc32_only > self.murmur2_only { places[1] } else { places[0] };
        (self.is_mixed() && usual != partition).then_some(usual)
    }

    /// Whether both partitioners, or one and something else, wrote the topic.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        [self.murmur2_only, self.crc32_only, self.neither].into_iter().filter(|count| *count > 0).count() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from the test of Kafka's own `Utils.murmur2`, and the check value of CRC-32.
    #[test]
    fn hashes_are_those_of_the_clients() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_topic_of_two_writers_is_noticed() {
        let observe = |sample: &mut PartitionerSample, partitioner: Partitioner| {
            let noticed = (0..100).filter(|key| {
                let key = format!("customer-{key}");
                let place = partitioner.partition(key.as_bytes(), 12);
                sample.observe(key.as_bytes(), place, 12).is_some()
            });
            noticed.count()
        };
        let mut sample = PartitionerSample::default();
        assert_eq!(observe(&mut sample, Partitioner::Murmur2), 0);
        assert!(observe(&mut sample, Partitioner::Crc32) > 50);
        assert_eq!(observe(&mut PartitionerSample::default(), Partitioner::Crc32), 0);
        assert_eq!(PartitionerSample::default().observe(b"x", 0, 1), None);
    }
}
