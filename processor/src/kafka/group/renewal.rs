//! When the group's client is of no more use: made anew, unless somebody else goes by our name.
//!
//! librdkafka ends a consumer for good when the broker says that its static member was replaced. That is so when a
//! successor was started; but after a coordinator stood still for longer than a session, two tries of one client to join
//! again may replace each other, too. Nobody can tell the two apart at once. But a successor that lives stays a member, and the
//! ghost of a try does not outlast a session, counted from the end of the rebalance it is in: so we wait, and look.
//!
//! A client that is given no assignment for a minute, be it an empty one, is made anew as well.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::GroupInfo;

use super::Group;
use crate::kafka::errors;
use crate::kafka::settings::KafkaSettings;
use crate::task::world::WorldError;

/// Before another client takes the place of one that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a client may be without an assignment.
const UNASSIGNED: Duration = Duration::from_mins(1);
/// Beyond a session, a member of our name that is still there lives.
const GHOST: Duration = Duration::from_secs(30);
/// How long the brokers may take to say who is in the group.
const LOOK: Duration = Duration::from_secs(5);

/// Why and when a client ended.
#[derive(Debug)]
pub(super) struct Ended {
    reason: String,
    /// The broker takes another client for the member that we are.
    is_replaced: bool,
    at: Instant,
    next_look: Instant,
}

impl Group {
    /// The client ends here: what it held is lost, and the loop is told so.
    pub(super) fn end(&mut self, reason: String, is_replaced: bool) {
        if self.ended.is_some() {
            return;
        }
        tracing::warn!(reason, "the consumer has ended; another one is made");
        self.assignment.lose_all();
        self.leaving = None;
        let (at, pause) = (Instant::now(), if is_replaced { self.session_timeout + PAUSE } else { PAUSE });
        self.ended = Some(Ended { reason, is_replaced, at, next_look: at + pause });
    }

    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Ends a client that has been without an assignment for too long.
    pub(super) fn notice_want_of_assignment(&mut self) {
        if self.unassigned_since.is_some_and(|since| since.elapsed() > UNASSIGNED) {
            self.end(format!("the group gave it no assignment for {} s", UNASSIGNED.as_secs()), false);
        }
    }

    /// Makes another client if it is time, the loop has let go of everything, and nobody else is the member that we were.
    ///
    /// # Errors
    /// [`WorldError::Fenced`] if somebody is; [`WorldError::Transient`] if the brokers do not say;
    /// [`WorldError::Fatal`] if no client can be made.
    pub(super) fn renew(&mut self, settings: &KafkaSettings) -> Result<(), WorldError> {
        let Some(ended) = &mut self.ended else { return Ok(()) };
        if Instant::now() < ended.next_look || self.assignment.any_known() {
            return Ok(());
        }
        ended.next_look = Instant::now() + PAUSE;
        if ended.is_replaced && is_member(settings)? {
            if ended.at.elapsed() < self.session_timeout + GHOST {
                return Ok(());
            }
            let name = self.instance.as_deref().unwrap_or_default();
            return Err(WorldError::Fenced(format!(
                "{}: another process joined the group as `{name}` and has its partitions now. If it is this one's \
                 successor, all is well; if not, give each instance a name of its own",
                ended.reason
            )));
        }
        *self = Self::new(settings)?;
        tracing::info!("the consumer is made anew");
        Ok(())
    }
}

/// Whether the group has a member of our name.
fn is_member(settings: &KafkaSettings) -> Result<bool, WorldError> {
    let config = settings.reader_client();
    let looker: BaseConsumer = config.create().map_err(|error| errors::making("looker at the group", &error))?;
    let groups = looker
        .fetch_group_list(Some(&settings.group), LOOK)
        .map_err(|error| errors::asking("the members of the group are not known", &error))?;
    let own = settings.group_client();
    let members = groups.groups().iter().flat_map(GroupInfo::members);
    Ok(members.into_iter().any(|member| Some(member.client_id()) == own.get("client.id")))
}
