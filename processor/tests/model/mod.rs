//! The naive model: what the contract (rule semantics) says, written as literally as it reads.
//!
//! It exists to disagree with the engine. So it was written from the contract's page alone, shares no type and no helper
//! with the engine, and is slow on purpose: every accepted event stays in a plain list in the order of arrival, a value
//! at an instant is found by reading that list anew, and every instant at which anything could conceivably change is judged.
//!
//! Each file answers one question:
//!
//! | file | question |
//! | --- | --- |
//! | `case` | what is a run told? |
//! | `event` | what is an event, and what does a condition see of it? |
//! | `value`, `expr` | what does an expression yield, null and undefined included? |
//! | `count`, `sum`, `aggregate`, `median_gap`, `open`, `silence` | what is this `let` at an instant? (`measure`: what all of them must answer) |
//! | `rational` | which double is nearest to a quotient? |
//! | `items` | which items do the events open and close? |
//! | `calendar` | at which instants does a date come round? |
//! | `attributes` | what is `customer.X`? |
//! | `standing` | which level holds at an instant, and why none? |
//! | `episode` | does an alert fire, change or resolve? |
//! | `judging`, `judging_once`, `judging_until`, `judging_dates` | what does each kind of rule make of an instant? (`state`: what it remembers) |
//! | `due` | at which instants could something change with no event arriving? |
//! | `world` | late, duplicate, too old; clock, watermark, the order of judging |
//! | `change` | what does a change of the rule set do to every customer? |
//! | `record` | what is published? |
//! | `render` | the same rules as YAML and CEL text, for the engine |
//! | `generate*`, `shrink`, `compare` | random cases, the small one in a failing one, the first difference |
//! | `observe*`, `coverage` | what did the random cases reach? |
//! | `cases` | hand-written cases, each named after the sentence of the contract that it pins |
//! | `metamorphic` | the model's own second opinion |

pub mod aggregate;
pub mod attributes;
pub mod calendar;
pub mod case;
pub mod cases;
pub mod change;
pub mod compare;
pub mod count;
pub mod coverage;
pub mod coverage_required;
pub mod due;
pub mod episode;
pub mod event;
pub mod expr;
pub mod generate;
pub mod generate_changes;
pub mod generate_conditions;
pub mod generate_events;
pub mod generate_measures;
pub mod generate_rules;
pub mod items;
pub mod judging;
pub mod judging_dates;
pub mod judging_once;
pub mod judging_until;
pub mod measure;
pub mod median_gap;
pub mod metamorphic;
pub mod observe;
pub mod observe_change;
pub mod observe_items;
pub mod observe_values;
pub mod open;
pub mod rational;
pub mod record;
pub mod render;
pub mod rng;
pub mod rule;
pub mod shrink;
pub mod silence;
pub mod standing;
pub mod state;
pub mod sum;
pub mod value;
pub mod world;

pub use case::{BASE_MS, Case, Settings};
