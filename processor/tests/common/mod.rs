//! Shared by the integration tests. Each of them uses a part.
#![allow(dead_code, reason = "each test uses a part")]

pub mod broker;

/// Shows the log of failed tests, as far as `RUST_LOG` asks for it.
pub fn show_log() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    drop(tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init());
}
