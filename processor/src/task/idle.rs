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
pub fn wanted<S: Store>(
    shared: &Shared,
    task: &mut Task<S>,
    now: Millis,
    steady: Millis,
) -> Result<Option<Millis>, StoreError> {
    let Some(idle_after) = shared.idle.idle_after else { return Ok(None) };
    if task.end.is_none() || task.draining || steady - task.last_arrival < idle_after {
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
///
/// # Errors
/// What is no answer, but means that this worker must not go on as it is.
pub fn advance<W: World>(
    world: &mut W,
    shared: &Shared,
    task: &mut Task<StoreOf<W>>,
    target: Millis,
) -> Result<bool, WorldError> {
    let (topic, partition) = (shared.topic.as_str(), task.partition);
    let checked = world.check_clock(partition);
    // It may have been set right since the target was worked out.
    let target = target.min(world.now() - shared.time.max_out_of_orderness);
    let refusal = match checked.and_then(|()| world.end_of(partition)) {
        Ok(end) if task.end == Some(end) => None,
        Ok(_) => Some(IdleRefusal::Backlog),
        Err(WorldError::ClockOff) => Some(IdleRefusal::ClockOff),
        Err(WorldError::Transient(_) | WorldError::Pending(_)) => Some(IdleRefusal::NoAnswer),
        Err(error) => return Err(error),
    };
    if let Some(reason) = refusal {
        IdleRefused { topic, partition, reason }.emit(&shared.metrics);
        return Ok(false);
    }
    task.tick(target);
    IdleAdvanced { topic, partition, watermark: target }.emit(&shared.metrics);
    Ok(true)
}
