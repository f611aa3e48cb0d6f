//! What is passed on to librdkafka: which of its settings are Tocsin's own, and which hold secrets.

use std::collections::BTreeMap;
use std::fmt;

/// Printed in place of a secret.
pub const MASK: &str = "********";

/// Settings for librdkafka, by its names. `Debug` masks the secrets among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Properties {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = |(name, value)| (name, if is_secret(name) { MASK } else { value });
        f.debug_map().entries(self.iter().map(masked)).finish()
    }
}

/// Whether the value of this librdkafka setting must not be shown.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // The last two hold a private key, and a token's credentials, in plain text.
    ["password", "secret", "key.pem", "oauthbearer.config"].iter().any(|part| name.contains(part))
}

/// What to use in place of a librdkafka setting that would take exactly-once away, if it is one.
#[must_use]
pub fn owned(name: &str) -> Option<&'static str> {
    Some(match name {
        "bootstrap.servers" | "metadata.broker.list" => "use kafka.bootstrap",
        "group.id" => "it is the name of the application: use application",
        "client.id" | "transactional.id" | "group.instance.id" => {
            "it is made of the application, the instance and the worker: use application and instance"
        }
        "session.timeout.ms" => "use kafka.session_timeout",
        "transaction.timeout.ms" => "use kafka.transaction_timeout",
        "partitioner" => "alerts are keyed by customer; for the check of the input use partitioner",
        "log_level" => "use log.filter, such as info,librdkafka=debug",
        "enable.auto.commit"
        | "enable.auto.offset.store"
        | "auto.commit.interval.ms"
        | "auto.offset.reset"
        | "isolation.level"
        | "enable.idempotence"
        | "acks"
        | "request.required.acks"
        | "enable.partition.eof"
        | "partition.assignment.strategy"
        | "group.protocol"
        | "enable.gapless.guarantee" => "remove it: exactly-once depends on Tocsin's own value",
        _ => return None,
    })
}
