//! The pure heart of Tocsin: `(customer state, input) -> (customer state, transitions, next deadline)`.
//!
//! Nothing here reads a clock, does I/O, draws a random number or iterates over an unordered map, so that the same
//! events in the same order give the same alerts: live, after a crash and in a backtest. Time is an argument and
//! timers are data.

pub mod alert;
pub mod attributes;
pub mod decimal;
pub mod event;
pub mod expr;
pub mod rule;
pub mod time;
pub mod value;
pub mod varint;
