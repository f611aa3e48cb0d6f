//! Is this partition idle? Only then may the wall clock move its watermark.
//!
//! Of several input topics each may be idle by itself: then it does not hold up the others. What the broker confirms of it,
//! that it brings nothing before an instant, stays true, so it is asked again only when more is wanted.

use tocsin_core::time::{Duration, Millis};

use super::Shared;
use super::lanes::Lanes;
use super::partition_task::Task;
use super::world::{Source, StoreOf, World, WorldError};
use crate::store::{Store, StoreError};
use crate::telemetry::{IdleAdvanced, IdleRefusal, IdleRefused};

/// Between two questions about a topic while others bring records.
const ASK_EVERY: Duration = 100;

/// The instant the wall clock would move the watermark to, if the partition has brought nothing for long enough and that
/// would make something due. Of several topics, those that bring records hold it back.
///
/// # Errors
/// If the store cannot be read.
pub fn wanted<S: Store>(
    shared: &Shared,
    task: &mut Task<S>,
    lanes: &Lanes,
    now: Millis,
) -> Result<Option<Millis>, StoreError> {
    let Some(idle_after) = shared.idle.idle_after else { return Ok(None) };
    let target = now - shared.time.max_out_of_orderness;
    let reach = |(topic, lane): (usize, &super::lanes::Lane)| {
        let reached = lane.confirmed.max(task.core.inputs.get(topic).copied().flatten());
        if lane.is_quiet(now, idle_after) { Some(target) } else { reached.map(|reached| reached.min(target)) }
    };
    let target = lanes.iter().enumerate().map(reach).min().flatten();
    let Some(target) = target.filter(|target| !task.draining && task.core.watermark < Some(*target)) else {
        return Ok(None);
    };
    let is_due = task.cache.first_timer()?.is_some_and(|first| first <= target);
    Ok(is_due.then_some(target))
}

/// Moves the watermark to `target` if the broker confirms that there is nothing more to read before it; the clock was read
/// before the broker is asked, so whatever was written by then is below the answer. If it confirms that of some topics
/// only, the others hold the watermark back.
pub fn advance<W: World>(
    world: &mut W,
    shared: &Shared,
    task: &mut Task<StoreOf<W>>,
    lanes: &mut Lanes,
    (target, now): (Millis, Millis),
) -> bool {
    let is_alone = shared.idle.idle_after.is_some_and(|after| lanes.iter().all(|lane| lane.is_quiet(now, after)));
    let mut reached = Some(target);
    for (topic, lane) in lanes.iter_mut().enumerate() {
        let before = lane.confirmed.max(task.core.inputs.get(topic).copied().flatten());
        if before < Some(target) && (is_alone || lane.asked.is_none_or(|asked| now - asked >= ASK_EVERY)) {
            lane.asked = Some(now);
            let source = Source { topic, partition: task.partition };
            match refusal(world, source, lane.end()) {
                None => lane.confirmed = lane.confirmed.max(Some(now - shared.time.max_out_of_orderness)),
                Some(reason) => {
                    let (topic, partition) = (shared.topic_name(topic), task.partition);
                    IdleRefused { topic, partition, reason }.emit(&shared.metrics);
                }
            }
        }
        reached = reached.min(before.max(lane.confirmed));
    }
    let Some(watermark) = reached.filter(|reached| task.core.watermark < Some(*reached)) else { return false };
    task.tick(watermark);
    IdleAdvanced { topic: shared.topic(), partition: task.partition, watermark }.emit(&shared.metrics);
    true
}

/// Why a topic may not be taken to bring nothing more, if so.
fn refusal<W: World>(world: &mut W, source: Source, end: Option<i64>) -> Option<IdleRefusal> {
    match world.end_of(source) {
        Ok(found) if end == Some(found) => None,
        Ok(_) => Some(IdleRefusal::Backlog),
        Err(WorldError::ClockOff) => Some(IdleRefusal::ClockOff),
        Err(_) => Some(IdleRefusal::NoAnswer),
    }
}
