//! Where rows stand: their keys, which sort as what they are the keys of.

use compact_str::CompactString;
use tocsin_core::time::Millis;
use tocsin_core::timeline::ChunkKey;
use tocsin_core::varint::Reader;

use super::DamagedRow;

/// Customers of the one tenant there is.
pub(super) const TENANT: u8 = 0;

pub(super) const HEAD: u8 = 0;
pub(super) const ATTRIBUTES: u8 = 1;
pub(super) const CHUNK: u8 = 2;

/// Key of a customer's head.
#[must_use]
pub fn head_key(customer_id: &str) -> Vec<u8> {
    customer_key(customer_id, HEAD)
}

/// Key of a customer's attributes.
#[must_use]
pub fn attributes_key(customer_id: &str) -> Vec<u8> {
    customer_key(customer_id, ATTRIBUTES)
}

/// Key of a sealed chunk.
#[must_use]
pub fn chunk_key(customer_id: &str, (base, rank): ChunkKey) -> Vec<u8> {
    let mut key = customer_key(customer_id, CHUNK);
    key.extend_from_slice(&sortable(base));
    key.extend_from_slice(&rank.to_be_bytes());
    key
}

/// Keys before all of a customer's chunks, and behind them.
#[must_use]
pub fn chunk_keys(customer_id: &str) -> [Vec<u8>; 2] {
    [CHUNK, CHUNK + 1].map(|kind| customer_key(customer_id, kind))
}

/// What is behind the customer's part of a chunk's key.
pub(super) fn read_chunk_key(rest: &[u8]) -> Option<ChunkKey> {
    let (base, rank) = rest.split_at_checked(8)?;
    Some((unsortable(base.try_into().ok()?), u32::from_be_bytes(rank.try_into().ok()?)))
}

/// The bytes of an instant that sort as it does.
fn sortable(at: Millis) -> [u8; 8] {
    (at as u64 ^ (1 << 63)).to_be_bytes()
}

fn unsortable(bytes: [u8; 8]) -> Millis {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as Millis
}

fn customer_key(customer_id: &str, kind: u8) -> Vec<u8> {
    let mut key = Vec::with_capacity(customer_id.len() + 8);
    key.push(TENANT);
    key.extend_from_slice(&(customer_id.len() as u16).to_be_bytes());
    key.extend_from_slice(customer_id.as_bytes());
    key.push(kind);
    key
}

/// The customer whose head, attributes or chunk this is the key of, and whether it is the head's.
///
/// # Errors
/// If the key is not a customer's.
pub fn read_customer_key(key: &[u8]) -> Result<(&str, bool), DamagedRow> {
    let mut reader = Reader::new(key);
    let mut read = || {
        reader.byte().filter(|tenant| *tenant == TENANT)?;
        let length = usize::from(u16::from_be_bytes(reader.array()?));
        let (customer_id, rest) = reader.rest().split_at_checked(length)?;
        let is_head = match rest {
            [HEAD] => true,
            [ATTRIBUTES] => false,
            [CHUNK, rest @ ..] => read_chunk_key(rest).map(|_| false)?,
            _ => return None,
        };
        Some((std::str::from_utf8(customer_id).ok()?, is_head))
    };
    read().ok_or(DamagedRow { row: "customer" })
}

/// A key behind all of a customer's, and before the next customer's.
#[must_use]
pub fn customer_end(customer_id: &str) -> Vec<u8> {
    customer_key(customer_id, u8::MAX)
}

/// Key of a timer.
#[must_use]
pub fn timer_key(at: Millis, customer_id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(customer_id.len() + 9);
    key.extend_from_slice(&sortable(at));
    key.push(TENANT);
    key.extend_from_slice(customer_id.as_bytes());
    key
}

/// The timer behind a key.
///
/// # Errors
/// If the key is not a timer's.
pub fn read_timer_key(key: &[u8]) -> Result<(Millis, CompactString), DamagedRow> {
    let mut reader = Reader::new(key);
    let mut read = || {
        let at = unsortable(reader.array()?);
        reader.byte().filter(|tenant| *tenant == TENANT)?;
        Some((at, std::str::from_utf8(reader.rest()).ok()?.into()))
    };
    read().ok_or(DamagedRow { row: "timer" })
}
