//! Random events: what they carry, when they happened, and in which order they arrive.

use super::BASE_MS;
use super::event::{
    COMPLAINT, Event, FEEDBACK, Field, INTERACTION, NOT_IN_THE_SCHEMA, PROFILE, PURCHASE, SCORE, time_text,
};
use super::generate::Grid;
use super::rng::Rng;

const DAY_MS: i64 = 86_400_000;

/// What a field may hold. Few values each, so that conditions meet them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Refunds are negative; some have more digits than are kept.
    Money,
    Whole,
    Fraction,
    Truth,
    Text(&'static [&'static str]),
}

const CHANNEL: Domain = Domain::Text(&["web", "app", "电话"]);
const STATUS: Domain = Domain::Text(&["opened", "completed", "refunded"]);

/// The fields that cases use, by event type.
pub fn fields(kind: &str) -> &'static [(&'static str, Domain)] {
    match kind {
        PURCHASE => &[("amount", Domain::Money), ("quantity", Domain::Whole), ("channel", CHANNEL), ("status", STATUS)],
        INTERACTION => {
            &[("channel", CHANNEL), ("direction", Domain::Text(&["inbound", "outbound"])), ("automatic", Domain::Truth)]
        }
        COMPLAINT => &[("status", STATUS), ("channel", CHANNEL), ("ticket_id", Domain::Text(&["t-1", "t-2"]))],
        FEEDBACK => &[("score", Domain::Whole), ("sentiment", Domain::Fraction), ("channel", CHANNEL)],
        PROFILE => &[("tier", TIER), ("status", Domain::Text(&["open", "closed"])), ("segment", TIER)],
        SCORE => &[("value", Domain::Fraction), ("name", Domain::Text(&["churn", "growth"]))],
        _ => panic!("no such event type: {kind}"),
    }
}

pub const KINDS: [&str; 6] = [PURCHASE, INTERACTION, COMPLAINT, FEEDBACK, PROFILE, SCORE];

const TIER: Domain = Domain::Text(&["bronze", "gold", "silver"]);

/// Attributes that the profile's schema does not name: they may be of any type, and of another one the next time.
pub const EXTRAS: [(&str, Domain); 2] = [("points", Domain::Whole), ("vip", Domain::Truth)];

pub fn field_value(rng: &mut Rng, domain: Domain) -> Field {
    match domain {
        Domain::Money => Field::Millionths(rng.weighted(&[
            (30, 10_000_000),
            (15, 25_500_000),
            (15, -10_000_000),
            (10, 100_000),
            (8, 50_000_000),
            (6, 0),
            (6, 50),
            (5, 150),
            (5, -50),
        ])),
        Domain::Whole => Field::Millionths(rng.range(0, 4) * 1_000_000),
        Domain::Fraction => Field::Millionths(rng.pick(&[0, 500_000, -250_000, 250_040, 150, 1_000_000])),
        Domain::Truth => Field::Bool(rng.chance(50)),
        Domain::Text(texts) => Field::Text(rng.pick(texts).to_owned()),
    }
}

pub fn kind(rng: &mut Rng) -> &'static str {
    rng.weighted(&[(45, PURCHASE), (18, INTERACTION), (14, COMPLAINT), (13, PROFILE), (6, FEEDBACK), (4, SCORE)])
}

/// In the order of arrival.
pub fn events(rng: &mut Rng, grid: Grid) -> Vec<Event> {
    let count = rng.weighted(&[(40, 9), (40, 18), (20, 34)]) + rng.range(-5, 6);
    let horizon = rng.range(5, 30);
    so_many_events(rng, grid, count, horizon)
}

/// Hundreds of events, about as dense as ever.
pub fn long_events(rng: &mut Rng, grid: Grid) -> Vec<Event> {
    let count = rng.range(150, 400);
    let horizon = rng.range(count / 3, count);
    so_many_events(rng, grid, count, horizon)
}

fn so_many_events(rng: &mut Rng, grid: Grid, count: i64, horizon: i64) -> Vec<Event> {
    // Bytes, not numbers and not lengths, decide the order of customers.
    let customers = &["c-2", "c-10", "c-1"][..rng.weighted(&[(35, 1), (40, 2), (25, 3)])];
    let in_order = rng.chance(25);
    let mut arrivals: Vec<(i64, Event)> = vec![];
    for n in 1..=count {
        let mut event = event(rng, grid, n, horizon, customers);
        if let Some((_, before)) = arrivals.last()
            && rng.chance(18)
        {
            // At one instant, and mostly of one type: what one brings about the next may undo.
            (event.at, event.customer) = (before.at, before.customer.clone());
            if rng.chance(60) {
                (event.kind, event.fields) = (before.kind, carried(rng, before.kind));
            }
        }
        let delay = if in_order { 0 } else { delay(rng, grid, event.kind) };
        arrivals.push((event.at + delay, event));
    }
    if rng.chance(20) {
        arrivals.extend(burst(rng, grid, count, horizon, customers));
    }
    arrivals.sort_by_key(|(arrives, _)| *arrives);
    let mut events: Vec<Event> = arrivals.into_iter().map(|(_, event)| event).collect();
    if rng.chance(30) {
        for _ in 0..rng.range(1, 3) {
            deliver_again(rng, &mut events);
        }
    }
    events
}

fn event(rng: &mut Rng, grid: Grid, n: i64, horizon: i64, customers: &[&str]) -> Event {
    let kind = kind(rng);
    let off_grid = rng.weighted(&[(68, 0), (12, 1), (12, -1), (8, grid.step / 2)]);
    // Now and then the id of an earlier event: at another time that is another event.
    let id = if rng.chance(4) { rng.range(1, n) } else { n };
    Event {
        id: format!("e{id}"),
        kind,
        customer: rng.pick(customers).to_owned(),
        at: BASE_MS + grid.step * rng.range(0, horizon) + off_grid,
        fields: carried(rng, kind),
    }
}

/// Paid and taken back and paid, or gold and bronze and gold, within one instant, one after the other.
fn burst(rng: &mut Rng, grid: Grid, count: i64, horizon: i64, customers: &[&str]) -> Vec<(i64, Event)> {
    let first = event(rng, grid, count, horizon, customers);
    let (kind, name, there, back) = if rng.chance(65) {
        (PURCHASE, "amount", Field::Millionths(25_500_000), Field::Millionths(-25_500_000))
    } else {
        (PROFILE, "tier", Field::Text("gold".to_owned()), Field::Text("bronze".to_owned()))
    };
    let turns = [there, back];
    let one = |n: i64| {
        let fields = vec![(name, turns[n as usize % 2].clone())];
        (first.at, Event { id: format!("e{}", count + 1 + n), kind, fields, ..first.clone() })
    };
    (0..rng.range(3, 5)).map(one).collect()
}

fn carried(rng: &mut Rng, kind: &'static str) -> Vec<(&'static str, Field)> {
    let extras = if kind == PROFILE { &EXTRAS[..] } else { &[] };
    let mut carried = vec![];
    for (name, domain) in fields(kind).iter().chain(extras) {
        let value = match rng.range(1, 100) {
            1..=72 => field_value(rng, *domain),
            73..=76 => Field::Null,
            77..=79 if extras.contains(&(*name, *domain)) => Field::Text("gold".to_owned()),
            _ => continue,
        };
        carried.push((*name, value));
    }
    if kind != PROFILE && rng.chance(2) {
        carried.push((NOT_IN_THE_SCHEMA, Field::Text("ignored".to_owned())));
    }
    carried
}

/// Where the time line begins, in days after [`BASE_MS`]: near clock changes, and near the end of Februaries with 28 and 29 days.
const ORIGINS: [i64; 8] = [0, 57, 65, 86, 296, 303, 422, 787];

/// Moves a case to where dates are of interest, and has its profiles say some.
pub fn add_dates(rng: &mut Rng, grid: Grid, events: &mut [Event]) {
    let origin = DAY_MS * rng.pick(&ORIGINS);
    let days = 30 * grid.step / DAY_MS + 2;
    for event in &mut *events {
        event.at += origin;
        if event.kind != PROFILE && rng.chance(35) {
            event.kind = PROFILE;
            event.fields = carried(rng, PROFILE);
        }
        for (name, percent) in [("birthday", 75), ("renewal", 40)] {
            if event.kind == PROFILE && rng.chance(percent) {
                // Most of the clock changes are on the day after the origin.
                let day = origin + DAY_MS * if rng.chance(25) { 1 } else { rng.range(-1, days) };
                event.fields.push((name, Field::Text(date_text(rng, BASE_MS + day))));
            }
        }
    }
}

fn date_text(rng: &mut Rng, at: i64) -> String {
    let day = time_text(at)[..10].to_owned();
    match rng.range(1, 100) {
        1..=45 => day[5..].to_owned(),
        46..=65 => format!("--{}", &day[5..]),
        66..=82 => day,
        83..=92 => "02-29".to_owned(),
        93..=94 => "2027-02-29".to_owned(),
        _ => rng.pick(&["13-01", "1-1", "soon", ""]).to_owned(),
    }
}

/// How much later it arrives than it should. Old profiles are worth more: they are never refused.
fn delay(rng: &mut Rng, grid: Grid, kind: &str) -> i64 {
    let steps = if kind == PROFILE {
        rng.weighted(&[(50, 0), (20, 3), (30, 30)])
    } else {
        rng.weighted(&[(60, 0), (22, 3), (10, 10), (8, 30)])
    };
    rng.range(0, grid.step * steps)
}

/// A copy somewhere behind the first one; at times with other content, which must not matter.
fn deliver_again(rng: &mut Rng, events: &mut Vec<Event>) {
    let first = rng.range(0, events.len() as i64 - 1);
    let mut copy = events[first as usize].clone();
    if rng.chance(25) {
        copy.kind = kind(rng);
        copy.fields = carried(rng, copy.kind);
    }
    let to = rng.range(first + 1, events.len() as i64);
    events.insert(to as usize, copy);
}
