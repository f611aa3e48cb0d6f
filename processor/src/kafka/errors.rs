//! librdkafka's errors, by what can be done about them.

use std::fmt::Display;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::task::world::{PartitionId, WorldError};

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing this process could do; somebody must do this first.
    Somebody(&'static str),
    /// Another instance goes by our name.
    Yield,
    /// The group has a new generation: what was asked for may be asked for again as its member.
    Rejoin,
    /// It may go well the next time.
    Repeat,
}

pub(super) fn remedy(code: Code) -> Remedy {
    match code {
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch | Code::FencedInstanceId => Remedy::Yield,
        Code::IllegalGeneration | Code::RebalanceInProgress => Remedy::Rejoin,
        _ => advice(code).map_or(Remedy::Repeat, Remedy::Somebody),
    }
}

fn advice(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::TopicAuthorizationFailed => {
            "allow this principal to describe and read the events and the journal, and to write the alerts, the dead \
             letters and the journal"
        }
        Code::GroupAuthorizationFailed => "allow this principal to read and describe the consumer group",
        Code::TransactionalIdAuthorizationFailed => "allow this principal to write and describe the transactional id",
        Code::ClusterAuthorizationFailed => "allow this principal idempotent writes in the cluster",
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism | Code::SSL => {
            "check the security settings among librdkafka's properties against the broker's listener"
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::UnknownTopicId => {
            "create the topic (was it deleted?), or correct its name"
        }
        Code::InvalidTopic => "give the topic a name that Kafka allows",
        Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => {
            "raise max.message.bytes of the topic, and message.max.bytes among librdkafka's properties"
        }
        Code::InvalidRecord | Code::PolicyViolation => "see the broker's log for the rule that the record breaks",
        Code::InvalidTransactionTimeout => {
            "lower the transaction timeout, or raise the broker's transaction.max.timeout.ms"
        }
        Code::InvalidSessionTimeout => {
            "choose a session timeout between the broker's group.min.session.timeout.ms and group.max.session.timeout.ms"
        }
        Code::InconsistentGroupProtocol => {
            "another program is a member of this consumer group: stop it, or choose another application name"
        }
        Code::InvalidGroupId => "choose an application name that Kafka takes for a consumer group",
        Code::GroupMaxSizeReached => "raise the broker's group.max.size, or run fewer workers",
        Code::UnsupportedVersion | Code::UnsupportedFeature | Code::UnsupportedForMessageFormat => {
            "use brokers that know transactions and stable offsets: Kafka 2.5 or later"
        }
        _ => return None,
    })
}

/// The error of a call that only asks or reads. A topic that is not there may be one that a broker has not heard of yet.
pub(super) fn asking(what: impl Display, error: &KafkaError) -> WorldError {
    match error.rdkafka_error_code() {
        Some(code) if is_missing(code) => {
            let advice = advice(code).unwrap_or_default();
            WorldError::Transient(format!("{what}: {error}: if that stays so, {advice}"))
        }
        Some(code) => of_code(what, code, &error.to_string()),
        None => WorldError::Transient(format!("{what}: {error}")),
    }
}

pub(super) fn is_missing(code: Code) -> bool {
    matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::UnknownTopicId)
}

/// Whether librdkafka mends it by itself, by connecting anew.
pub(super) fn is_transport(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::WaitingForCoordinator
    )
}

/// Whether librdkafka, told this in place of records, goes on by itself at the very place where it was.
pub(super) fn is_passing(code: Code) -> bool {
    let leader_moves = matches!(
        code,
        Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
    );
    leader_moves || is_transport(code) || is_missing(code)
}

/// Whether librdkafka, told this in place of records, has lost its place in the partition and reads it no further. That
/// need not mean that records are gone: it was seen after a broker was lost, with every record in the log.
pub(super) fn is_astray(code: Code) -> bool {
    matches!(code, Code::AutoOffsetReset | Code::OffsetOutOfRange)
}

/// As [`asking`], where there is a code and a text.
pub(super) fn of_code(what: impl Display, code: Code, text: &str) -> WorldError {
    match remedy(code) {
        Remedy::Somebody(advice) => WorldError::Fatal(format!("{what}: {text}: {advice}")),
        Remedy::Yield => WorldError::Fenced(format!("{what}: {text}")),
        Remedy::Rejoin | Remedy::Repeat => WorldError::Transient(format!("{what}: {text}")),
    }
}

/// The error that a partition brings in place of records, and does not mend by itself: librdkafka may go on behind
/// them, so nothing of what it brings after may be used.
pub(super) fn reading(topic: &str, partition: PartitionId, code: Code, text: &str) -> WorldError {
    let what = format!("reading partition {partition} of {topic}: {text}");
    match code {
        Code::AutoOffsetReset | Code::OffsetOutOfRange => WorldError::Fatal(format!(
            "{what}: what is to be read next is not in the log. If retention took it, raise retention.ms, and start anew \
             with another application name; if the topic was made anew, the old application's state does not fit it"
        )),
        Code::BadMessage | Code::InvalidMessage | Code::BadCompression | Code::NotImplemented => {
            WorldError::Fatal(format!(
                "{what}: these records cannot be read. If a producer compresses in a way that this program was built \
                 without, have it use another; if the log is damaged, bring the records back from a replica"
            ))
        }
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => WorldError::Fatal(format!(
            "{what}: raise receive.message.max.bytes and fetch.message.max.bytes among librdkafka's properties"
        )),
        code => match of_code(&what, code, "") {
            WorldError::Transient(_) => WorldError::Unsettled(what),
            other => other,
        },
    }
}

/// A client that librdkafka does not make: a setting is wrong.
pub(super) fn making(client: &str, error: &KafkaError) -> WorldError {
    WorldError::Fatal(format!("librdkafka does not make the {client}: {error}: correct its properties"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: Code, expected: &str) {
        let found = match of_code("x", code, "y") {
            WorldError::Fatal(_) => "fatal",
            WorldError::Fenced(_) => "fenced",
            WorldError::Transient(_) => "transient",
            _ => "other",
        };
        assert_eq!(found, expected, "{code:?}");
    }

    #[test]
    fn errors_are_told_apart_by_what_can_be_done() {
        check(Code::TopicAuthorizationFailed, "fatal");
        check(Code::UnknownTopicOrPartition, "fatal");
        check(Code::MessageSizeTooLarge, "fatal");
        check(Code::ProducerFenced, "fenced");
        check(Code::FencedInstanceId, "fenced");
        check(Code::BrokerTransportFailure, "transient");
        check(Code::OperationTimedOut, "transient");
        check(Code::IllegalGeneration, "transient");
    }

    #[test]
    fn what_a_partition_brings_in_place_of_records_is_never_passed_over() {
        let fatal = [Code::AutoOffsetReset, Code::BadMessage, Code::BadCompression, Code::TopicAuthorizationFailed];
        for code in fatal {
            assert!(!is_passing(code));
            assert!(matches!(reading("events", 0, code, "x"), WorldError::Fatal(_)), "{code:?}");
        }
        assert!(matches!(reading("events", 0, Code::Unknown, "x"), WorldError::Unsettled(_)));
        assert!(is_passing(Code::NotLeaderForPartition));
    }
}
