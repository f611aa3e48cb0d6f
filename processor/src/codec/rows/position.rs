//! The position's row: how far a store has come.

use compact_str::CompactString;
use tocsin_core::partition::Sweep;
use tocsin_core::rule::RuleKey;
use tocsin_core::time::Millis;
use tocsin_core::varint;

use super::{DamagedRow, flag, open, opened, put_instant, read_instant};

/// How far a store has come: what its task does next starts here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Next offset of each input topic.
    pub inputs: Vec<(Box<str>, i64)>,
    pub watermark: Option<Millis>,
    /// Those of the input topics, if there are several.
    pub watermarks: Vec<Option<Millis>>,
    /// The last timer taken: no timer at or before it is left.
    pub drained: Option<(Millis, CompactString)>,
    /// Whether timers at or before the watermark are left to judge.
    pub draining: bool,
    /// Offset of the journal record that this includes; -1 before the first.
    pub journal_offset: i64,
    /// Its sequence number; 0 before the first.
    pub journal_sequence: i64,
    /// Generation of the rules in force; 0: none yet.
    pub generation: i64,
    /// The sweep that is under way.
    pub sweep: Option<Sweep>,
    /// See [`tocsin_core::partition::Partition::gates`].
    pub gates: Vec<(RuleKey, Millis)>,
    /// Fingerprint of the rules in force.
    pub rules: Box<str>,
    /// Hash of the context in force.
    pub context: u64,
}

const HAS_SWEEP: u8 = 1;
const HAS_GATES: u8 = 1 << 1;
const HAS_WATERMARKS: u8 = 1 << 2;
const POSITION_FLAGS: u8 = HAS_SWEEP | HAS_GATES | HAS_WATERMARKS;

/// Key of the position's row.
pub const POSITION_KEY: &[u8] = b"position";

/// Key of the row that says under which event types the rows were written, as JSON.
pub const CATALOG_KEY: &[u8] = b"catalog";

/// The position's row.
#[must_use]
pub fn write_position(position: &Position) -> Vec<u8> {
    let mut out = opened();
    varint::put(&mut out, position.inputs.len() as u64);
    for (topic, offset) in &position.inputs {
        varint::put_bytes(&mut out, topic.as_bytes());
        varint::put_signed(&mut out, *offset);
    }
    put_instant(&mut out, position.watermark);
    put_instant(&mut out, position.drained.as_ref().map(|(at, _)| *at));
    varint::put_bytes(&mut out, position.drained.as_ref().map_or("", |(_, id)| id).as_bytes());
    out.push(u8::from(position.draining));
    varint::put_signed(&mut out, position.journal_offset);
    varint::put_signed(&mut out, position.journal_sequence);
    varint::put_signed(&mut out, position.generation);
    out.push(
        flag(position.sweep.is_some(), HAS_SWEEP)
            | flag(!position.gates.is_empty(), HAS_GATES)
            | flag(!position.watermarks.is_empty(), HAS_WATERMARKS),
    );
    if let Some(sweep) = &position.sweep {
        put_instant(&mut out, sweep.watermark);
        varint::put_bytes(&mut out, sweep.judged.as_deref().unwrap_or_default().as_bytes());
    }
    if !position.gates.is_empty() {
        varint::put(&mut out, position.gates.len() as u64);
    }
    for (rule, gate) in &position.gates {
        out.extend_from_slice(&rule.0.to_le_bytes());
        varint::put_signed(&mut out, *gate);
    }
    if !position.watermarks.is_empty() {
        varint::put(&mut out, position.watermarks.len() as u64);
    }
    for watermark in &position.watermarks {
        put_instant(&mut out, *watermark);
    }
    varint::put_bytes(&mut out, position.rules.as_bytes());
    out.extend_from_slice(&position.context.to_le_bytes());
    out
}

/// Reads what [`write_position`] wrote.
///
/// # Errors
/// If the bytes are not a position.
pub fn read_position(bytes: &[u8]) -> Result<Position, DamagedRow> {
    try_read_position(bytes).ok_or(DamagedRow { row: "position" })
}

fn try_read_position(bytes: &[u8]) -> Option<Position> {
    let mut reader = open(bytes)?;
    let mut position = Position::default();
    for _ in 0..reader.unsigned()? {
        position.inputs.push((reader.text()?.into(), reader.signed()?));
    }
    position.watermark = read_instant(&mut reader)?;
    let drained_at = read_instant(&mut reader)?;
    let drained_id: CompactString = reader.text()?.into();
    position.drained = drained_at.map(|at| (at, drained_id));
    position.draining = reader.byte()? != 0;
    position.journal_offset = reader.signed()?;
    position.journal_sequence = reader.signed()?;
    position.generation = reader.signed()?;
    let flags = reader.byte().filter(|flags| flags & !POSITION_FLAGS == 0)?;
    if flags & HAS_SWEEP != 0 {
        let watermark = read_instant(&mut reader)?;
        let judged = Some(reader.text()?).filter(|judged| !judged.is_empty()).map(Into::into);
        position.sweep = Some(Sweep { watermark, judged });
    }
    if flags & HAS_GATES != 0 {
        for _ in 0..reader.unsigned()? {
            position.gates.push((RuleKey(u32::from_le_bytes(reader.array()?)), reader.signed()?));
        }
    }
    if flags & HAS_WATERMARKS != 0 {
        for _ in 0..reader.unsigned()? {
            position.watermarks.push(read_instant(&mut reader)?);
        }
    }
    position.rules = reader.text()?.into();
    position.context = u64::from_le_bytes(reader.array()?);
    Some(position)
}
