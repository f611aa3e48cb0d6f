//! Open items, and what else rules with a `trigger` or a `date` remember, in a customer's head.

use thin_vec::ThinVec;
use tocsin_core::calendar::Day;
use tocsin_core::customer::{Base, Firing, Item, Ledger};
use tocsin_core::rule::RuleKey;
use tocsin_core::tracker::Opening;
use tocsin_core::varint::{self, Reader};

use super::{flag, put_alert, put_instant, read_alert, read_instant};

const IS_JUDGED: u8 = 1;
/// The key is not the triggering event's id.
const HAS_KEY: u8 = 1 << 1;

pub(super) fn put_items(out: &mut Vec<u8>, items: &[Item]) {
    varint::put(out, items.len() as u64);
    for Item { opening, alert, is_judged } in items {
        let has_key = opening.key != opening.event_id;
        out.push(flag(*is_judged, IS_JUDGED) | flag(has_key, HAS_KEY));
        varint::put_signed(out, opening.at);
        varint::put_bytes(out, opening.event_id.as_bytes());
        if has_key {
            varint::put_bytes(out, opening.key.as_bytes());
        }
        put_alert(out, alert);
    }
}

pub(super) fn read_items(reader: &mut Reader<'_>) -> Option<ThinVec<Item>> {
    let mut items = ThinVec::new();
    for _ in 0..reader.unsigned()? {
        let flags = reader.byte().filter(|flags| flags & !(IS_JUDGED | HAS_KEY) == 0)?;
        let at = reader.signed()?;
        let event_id: Box<str> = reader.text()?.into();
        let key = if flags & HAS_KEY != 0 { reader.text()?.into() } else { event_id.clone() };
        let alert = read_alert(reader)?;
        items.push(Item { opening: Opening { key, at, event_id }, alert, is_judged: flags & IS_JUDGED != 0 });
    }
    Some(items)
}

pub(super) fn put_ledgers(out: &mut Vec<u8>, ledgers: &[Ledger]) {
    varint::put(out, ledgers.len() as u64);
    for ledger in ledgers {
        out.extend_from_slice(&ledger.rule.0.to_le_bytes());
        put_instant(out, ledger.gate);
        varint::put(out, ledger.firings.len() as u64);
        for firing in &ledger.firings {
            varint::put_bytes(out, firing.item.as_bytes());
            varint::put_signed(out, firing.at);
            varint::put(out, u64::from(firing.refire));
        }
        varint::put(out, ledger.passed.len() as u64);
        for (at, event_id) in &ledger.passed {
            varint::put_signed(out, *at);
            varint::put_bytes(out, event_id.as_bytes());
        }
        varint::put(out, ledger.dates.len() as u64);
        for date in &ledger.dates {
            varint::put_signed(out, i64::from(*date));
        }
    }
}

pub(super) fn put_bases(out: &mut Vec<u8>, bases: &[Base]) {
    varint::put(out, bases.len() as u64);
    for base in bases {
        out.extend_from_slice(&base.tracker.to_le_bytes());
        varint::put(out, base.open.len() as u64);
        for opening in &base.open {
            varint::put_signed(out, opening.at);
            varint::put_bytes(out, opening.event_id.as_bytes());
            varint::put_bytes(out, opening.key.as_bytes());
        }
    }
}

pub(super) fn read_bases(reader: &mut Reader<'_>) -> Option<ThinVec<Base>> {
    let mut bases = ThinVec::new();
    for _ in 0..reader.unsigned()? {
        let (tracker, mut open) = (u64::from_le_bytes(reader.array()?), Vec::new());
        for _ in 0..reader.unsigned()? {
            let (at, event_id) = (reader.signed()?, reader.text()?.into());
            open.push(Opening { key: reader.text()?.into(), at, event_id });
        }
        bases.push(Base { tracker, open });
    }
    Some(bases)
}

pub(super) fn read_ledgers(reader: &mut Reader<'_>) -> Option<ThinVec<Ledger>> {
    let mut ledgers = ThinVec::new();
    for _ in 0..reader.unsigned()? {
        let mut ledger = Ledger::new(RuleKey(u32::from_le_bytes(reader.array()?)));
        ledger.gate = read_instant(reader)?;
        for _ in 0..reader.unsigned()? {
            let (item, at) = (reader.text()?.into(), reader.signed()?);
            ledger.firings.push(Firing { item, at, refire: u32::try_from(reader.unsigned()?).ok()? });
        }
        for _ in 0..reader.unsigned()? {
            ledger.passed.push((reader.signed()?, reader.text()?.into()));
        }
        for _ in 0..reader.unsigned()? {
            ledger.dates.push(Day::try_from(reader.signed()?).ok()?);
        }
        ledgers.push(ledger);
    }
    Some(ledgers)
}
