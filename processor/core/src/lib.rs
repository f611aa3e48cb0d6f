//! The pure heart of Tocsin: `(customer state, input) -> (customer state, transitions, next deadline)`.
//!
//! Nothing here reads a clock, does I/O, draws a random number or iterates over an unordered map, so that the same
//! events in the same order give the same alerts: live, after a crash and in a backtest. Time is an argument and
//! timers are data.
//!
//! Read in this order: [`event`] and [`timeline`] (what is kept), [`rule`] and [`expr`] (what is asked),
//! [`engine`] (how a customer is judged), [`partition`] (watermark, lateness and the order of judging).

pub mod alert;
pub mod attributes;
pub mod calendar;
pub mod customer;
pub mod decimal;
pub mod engine;
pub mod event;
pub mod expr;
pub mod fetch;
pub mod held;
pub mod partition;
mod ratio;
pub mod rule;
pub mod time;
pub mod timeline;
pub mod tracker;
pub mod value;
pub mod varint;
pub mod window;

#[cfg(test)]
mod testing;
