//! librdkafka's own log lines, as events of `tracing` with the target `librdkafka`.

use rdkafka::config::RDKafkaLogLevel;

/// `debug` of librdkafka's settings makes it tell more; its lines then come at the debug level.
pub(super) fn forward(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        // One set of settings serves consumers and producers, and each side tells which are not for it.
        _ if facility == "CONFWARN" && message.contains("and will be ignored by") => {
            tracing::debug!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// Statistics come only if the settings ask for them.
pub(super) fn statistics(json: &[u8]) {
    tracing::info!(target: "librdkafka::statistics", "{}", String::from_utf8_lossy(json));
}
