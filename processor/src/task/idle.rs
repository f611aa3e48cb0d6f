//! Is this partition idle? Only then may the wall clock move its watermark.
//!
//! Of several input topics each may be idle by itself: then it does not hold up the others. What the broker confirms of it,
//! that it brings nothing before an instant, stays true, so it is asked again only when more is wanted.

use tocsin_core::time::{Duration, Millis};

use super::Shared;
use super::lanes::{Lane, Lanes};
use super::partition_task::Task;
use super::world::{Source, StoreOf, TopicId, World, WorldError};
use crate::store::{Store, StoreError};
use crate::telemetry::{IdleAdvanced, IdleRefusal, IdleRefused};

/// Between two questions about a topic while others bring records.
const ASK_EVERY: Duration = 100;

/// What a worker's clocks show.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The wall clock: what the watermark would follow.
    pub now: Millis,
    /// By which pauses go.
    pub steady: Millis,
}

/// The instant the wall clock would move the watermark to, if the partition has brought nothing for long enough and that
/// would make something due. Of several topics, those that bring records hold it back.
///
/// # Errors
/// If the store cannot be read.
pub fn wanted<S: Store>(
    shared: &Shared,
    task: &mut Task<S>,
    lanes: &Lanes,
    clocks: Clocks,
) -> Result<Option<Millis>, StoreError> {
    let Some(idle_after) = shared.idle.idle_after else { return Ok(None) };
    let target = clocks.now - shared.time.max_out_of_orderness;
    let reach = |(topic, lane): (TopicId, &Lane)| {
        let is_quiet = lane.is_quiet(clocks.steady, idle_after);
        if is_quiet { Some(target) } else { reached(task, topic, lane).map(|reached| reached.min(target)) }
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
///
/// # Errors
/// What is no answer, but means that this worker must not go on as it is.
pub fn advance<W: World>(
    world: &mut W,
    shared: &Shared,
    task: &mut Task<StoreOf<W>>,
    lanes: &mut Lanes,
    (target, Clocks { now, steady }): (Millis, Clocks),
) -> Result<bool, WorldError> {
    let partition = task.partition;
    let is_alone = shared.idle.idle_after.is_some_and(|after| lanes.iter().all(|lane| lane.is_quiet(steady, after)));
    let is_asked = |task: &Task<StoreOf<W>>, topic: TopicId, lane: &Lane| {
        reached(task, topic, lane) < Some(target)
            && (is_alone || lane.asked.is_none_or(|asked| steady - asked >= ASK_EVERY))
    };
    if lanes.iter().enumerate().any(|(topic, lane)| is_asked(task, topic, lane)) {
        let clock = refusal(world.check_clock(partition), |()| true)?;
        // It may have been set right since the target was worked out.
        let confirmed = now.min(world.now()) - shared.time.max_out_of_orderness;
        for (topic, lane) in lanes.iter_mut().enumerate().filter(|(topic, lane)| is_asked(task, *topic, lane)) {
            lane.asked = Some(steady);
            let refusal = match clock {
                Some(reason) => Some(reason),
                None => refusal(world.end_of(Source { topic, partition }), |end| lane.end() == Some(end))?,
            };
            match refusal {
                None => lane.confirmed = lane.confirmed.max(Some(confirmed)),
                Some(reason) => {
                    let topic = shared.topic_name(topic);
                    IdleRefused { topic, partition, reason }.emit(&shared.metrics);
                }
            }
        }
    }
    let reached = lanes.iter().enumerate().map(|(topic, lane)| reached(task, topic, lane)).min().flatten();
    let reached = reached.map(|reached| reached.min(target));
    let Some(watermark) = reached.filter(|reached| task.core.watermark < Some(*reached)) else { return Ok(false) };
    task.tick(watermark);
    IdleAdvanced { topic: shared.topic(), partition, watermark }.emit(&shared.metrics);
    Ok(true)
}

/// Before this instant the topic brings nothing that is not late.
fn reached<S>(task: &Task<S>, topic: TopicId, lane: &Lane) -> Option<Millis> {
    lane.confirmed.max(task.core.inputs.get(topic).copied().flatten())
}

/// Why an answer does not confirm that there is nothing more, if so.
fn refusal<T>(
    answer: Result<T, WorldError>,
    confirms: impl FnOnce(T) -> bool,
) -> Result<Option<IdleRefusal>, WorldError> {
    match answer {
        Ok(answer) => Ok((!confirms(answer)).then_some(IdleRefusal::Backlog)),
        Err(WorldError::ClockOff) => Ok(Some(IdleRefusal::ClockOff)),
        Err(WorldError::Transient(_) | WorldError::Pending(_)) => Ok(Some(IdleRefusal::NoAnswer)),
        Err(error) => Err(error),
    }
}
