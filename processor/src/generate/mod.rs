//! Made-up events: a seeded load for measurements, trials and tests, as large as one likes and never held in memory.
//!
//! A [`Load`] is an iterator. It lays `events` instants of arrival evenly over the span, and asks at each what comes now:
//! something that was waiting (the next step of a ticket, a planted complaint, a repeat), else an event of a customer drawn
//! by density. So the number of events is exact, arrivals are in order, and what is held is what waits, and a bit for each
//! customer.
//!
//! | file | what it answers |
//! | --- | --- |
//! | `settings.rs` | what is asked for, and can it be had |
//! | `load.rs` | which event comes next |
//! | `mix.rs` | of which type is it |
//! | `density.rs` | whose is it |
//! | `tickets.rs` | what becomes of a complaint |
//! | `planted.rs` | who leaves, who complains in a burst: the ground truth |
//! | `lines.rs` | how does it look as JSON |
//!
//! The same settings give the same bytes, from one build to the next as long as the generator of random numbers and the
//! power function of the platform stay what they are.

mod density;
mod lines;
mod load;
mod mix;
mod planted;
mod settings;
#[cfg(test)]
mod tests;
mod tickets;

pub use lines::LineWriter;
pub use load::{Event, Kind, Load};
pub use mix::{Mix, Type};
pub use planted::Truth;
pub use settings::Settings;
pub use tickets::Step;
