//! Is this partition idle? Only then may the wall clock move its watermark.

use tocsin_core::time::Millis;

use super::Shared;
use super::partition_task::Task;
use super::world::{StoreOf, World, WorldError};
use crate::store::{Store, StoreError};
use crate::telemetry::{IdleAdvanced, IdleRefusal, IdleRefused};

/// The instant the wall clock would move the watermark to, if the partition has brought nothing for long enough and that
/// would make something due.
///
/// # Errors
/// If the store cannot be read.
pub fn wanted<S: Store>(shared: &Shared, task: &mut Task<S>, now: Millis) -> Result<Option<Millis>, StoreError> {
    let Some(idle_after) = shared.idle.idle_after else { return Ok(None) };
    if task.end.is_none() || task.draining || now - task.last_arrival < idle_after {
        return Ok(None);
    }
    let target = now - shared.time.max_out_of_orderness;
    if task.core.watermark.is_some_and(|watermark| watermark >= target) {
        return Ok(None);
    }
    let is_due = task.cache.first_timer()?.is_some_and(|first| first <= target);
    Ok(is_due.then_some(target))
}

/// Moves the watermark to `target` if the broker confirms that there is nothing more to read; `target` was worked out from a
/// clock read before the broker is asked, so whatever was written by then is below the answer.
pub fn advance<W: World>(world: &mut W, shared: &Shared, task: &mut Task<StoreOf<W>>, target: Millis) -> bool {
    let (topic, partition) = (shared.topic.as_str(), task.partition);
    let refusal = match world.end_of(partition) {
        Ok(end) if task.end == Some(end) => None,
        Ok(_) => Some(IdleRefusal::Backlog),
        Err(WorldError::ClockOff) => Some(IdleRefusal::ClockOff),
        Err(_) => Some(IdleRefusal::NoAnswer),
    };
    if let Some(reason) = refusal {
        IdleRefused { topic, partition, reason }.emit(&shared.metrics);
        return false;
    }
    task.tick(target);
    IdleAdvanced { topic, partition, watermark: target }.emit(&shared.metrics);
    true
}
