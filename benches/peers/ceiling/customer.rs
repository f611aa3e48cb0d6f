//! What the three rules need of a customer, and no more.
//!
//! It takes the liberties of who knows the rules by heart: what cannot matter any more is dropped, and an instant at which
//! nothing can change is not looked at. Amounts are taken to be never below zero.

use std::collections::VecDeque;

pub type Millis = i64;

const DAY: Millis = 24 * 3_600_000;
const BURST_OVER: Millis = 7 * DAY;
const BURST: usize = 3;
const QUIET: Millis = 60 * DAY;
const RECENT: Millis = 30 * DAY;
const BASELINE: Millis = 120 * DAY;
const BASELINE_PURCHASES: usize = 3;

pub const RULES: [&str; 3] = ["complaint-burst", "gone-quiet", "spending-halved"];

/// What an event is to these rules. Amounts are in ten-thousandths.
#[derive(Clone, Copy, Debug)]
pub enum Happened {
    Complaint,
    Purchase(i64),
    /// An interaction, or a further step of a ticket.
    Contact,
    /// Of a type that no rule is about: it moves clocks only.
    Other,
}

/// A rule that begins or ends to hold.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    pub rule: usize,
    pub at: Millis,
    pub fired_at: Millis,
    pub reason: &'static str,
}

impl Transition {
    pub fn name(&self) -> &'static str {
        if self.reason == "condition_met" { "fired" } else { "resolved" }
    }
}

#[derive(Clone, Debug)]
pub struct Customer {
    pub id: Box<str>,
    /// The one entry of the timer heap that counts.
    pub armed: Option<Millis>,
    latest: Millis,
    last_contact: Option<Millis>,
    /// Of the last 7 days.
    complaints: VecDeque<Millis>,
    /// Of the last 120 days, with their amounts; those before `split` are the baseline, the others the last 30 days.
    purchases: VecDeque<(Millis, i64)>,
    split: usize,
    baseline: i64,
    recent: i64,
    firing: [Option<Millis>; RULES.len()],
}

impl Customer {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            armed: None,
            latest: Millis::MIN,
            last_contact: None,
            complaints: VecDeque::new(),
            purchases: VecDeque::new(),
            split: 0,
            baseline: 0,
            recent: 0,
            firing: [None; RULES.len()],
        }
    }

    /// Takes in an event; the watermark is that before it.
    pub fn take(&mut self, at: Millis, happened: Happened, watermark: Millis, out: &mut Vec<Transition>) {
        let clock = self.latest.max(watermark);
        if at > clock {
            self.judge_until(at - 1, out);
            self.latest = at;
        }
        let clock = clock.max(at);
        self.slide(clock);
        self.add(at, happened, clock);
        self.judge(clock, out);
    }

    /// Judges all that is due by then.
    pub fn judge_until(&mut self, until: Millis, out: &mut Vec<Transition>) {
        while let Some(due) = self.due().filter(|due| *due <= until) {
            self.judge(due, out);
        }
    }

    /// The next instant at which a rule can begin or end to hold without an event.
    pub fn due(&self) -> Option<Millis> {
        let burst_ends = self.firing[0].map(|_| self.complaints[self.complaints.len() - BURST] + BURST_OVER);
        let quiet_begins = self.last_contact.filter(|_| self.firing[1].is_none()).map(|last| last + QUIET);
        let spending = if self.firing[2].is_some() {
            self.purchases.front().map(|(at, _)| at + BASELINE)
        } else {
            // Before the baseline has its purchases, none of them counts.
            self.purchases.get(self.split.max(BASELINE_PURCHASES - 1)).map(|(at, _)| at + RECENT)
        };
        [burst_ends, quiet_begins, spending].into_iter().flatten().min()
    }

    /// Moves what has left its window by then.
    fn slide(&mut self, to: Millis) {
        while self.complaints.front().is_some_and(|at| *at <= to - BURST_OVER) {
            self.complaints.pop_front();
        }
        while let Some((_, amount)) = self.purchases.get(self.split).filter(|(at, _)| *at <= to - RECENT) {
            self.recent -= amount;
            self.baseline += amount;
            self.split += 1;
        }
        while let Some((_, amount)) = self.purchases.front().copied().filter(|(at, _)| *at <= to - BASELINE) {
            self.purchases.pop_front();
            self.baseline -= amount;
            self.split -= 1;
        }
    }

    fn add(&mut self, at: Millis, happened: Happened, clock: Millis) {
        if !matches!(happened, Happened::Other) {
            self.last_contact = self.last_contact.max(Some(at));
        }
        match happened {
            Happened::Complaint if at > clock - BURST_OVER => {
                let place = self.complaints.iter().rposition(|other| *other <= at).map_or(0, |place| place + 1);
                self.complaints.insert(place, at);
            }
            Happened::Purchase(amount) if at > clock - BASELINE => {
                let place = self.purchases.iter().rposition(|(other, _)| *other <= at).map_or(0, |place| place + 1);
                self.purchases.insert(place, (at, amount));
                if at > clock - RECENT {
                    self.recent += amount;
                } else {
                    self.baseline += amount;
                    self.split += 1;
                }
            }
            _ => {}
        }
    }

    fn judge(&mut self, at: Millis, out: &mut Vec<Transition>) {
        self.slide(at);
        let has_baseline = self.split >= BASELINE_PURCHASES;
        let (recent, baseline) = (self.recent as f64 / 1e4, self.baseline as f64 / 1e4);
        let holds = [
            self.complaints.len() >= BURST,
            self.last_contact.is_some_and(|last| at - last >= QUIET),
            has_baseline && recent < baseline / 3.0 / 2.0,
        ];
        for (rule, holds) in holds.into_iter().enumerate() {
            match self.firing[rule] {
                None if holds => {
                    self.firing[rule] = Some(at);
                    out.push(Transition { rule, at, fired_at: at, reason: "condition_met" });
                }
                Some(fired_at) if !holds => {
                    self.firing[rule] = None;
                    let reason = if rule == 2 && !has_baseline { "insufficient_data" } else { "cleared" };
                    out.push(Transition { rule, at, fired_at, reason });
                }
                _ => {}
            }
        }
    }
}
