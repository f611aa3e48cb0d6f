//! What comes in: customers' events, late ones, duplicates, bursts at one instant, records that are no events; some in
//! transactions of their producers, which stay open for a while and may be aborted.

use tocsin::task::world::{PartitionId, Source};
use tocsin_core::time::{HOUR, MINUTE, Millis, SECOND};

use crate::broker::Place;
use crate::broker::log::Data;
use crate::rng::Rng;
use crate::sim::Sim;

#[derive(Debug, Default)]
pub struct Upstream {
    sent: i64,
    /// Numbers of open transactions.
    open: Vec<i64>,
    transactions: i64,
}

impl Upstream {
    pub fn turn(&mut self, sim: &Sim) {
        if !self.open.is_empty() && sim.chance(20) {
            self.end(sim);
        }
        if self.sent >= sim.plan.events || !sim.chance(60) {
            return;
        }
        let tx = sim.chance(sim.plan.upstream_transactions).then(|| {
            self.transactions += 1;
            self.open.push(self.transactions);
            sim.count("upstream transactions");
            self.transactions
        });
        for _ in 0..sim.pick(&[1, 1, 2, 5, 12]) {
            self.send(sim, tx);
        }
        if tx.is_some() && sim.chance(60) {
            self.end(sim);
        }
    }

    /// Ends all that is open.
    pub fn finish(&mut self, sim: &Sim) {
        while !self.open.is_empty() {
            self.end(sim);
        }
    }

    fn end(&mut self, sim: &Sim) {
        let number = self.open.remove(0);
        let commit = sim.chance(70);
        let id = format!("upstream-{number}");
        let ended = sim.broker.borrow_mut().end_transaction(&id, 0, commit, &mut sim.rng.borrow_mut());
        assert_eq!(ended, Ok(()), "an upstream producer is no business of ours");
    }

    fn send(&mut self, sim: &Sim, tx: Option<i64>) {
        self.sent += 1;
        let rng = &mut *sim.rng.borrow_mut();
        let mut broker = sim.broker.borrow_mut();
        let now = broker.now;
        let partition = rng.range(0, i64::from(sim.plan.partitions) - 1) as PartitionId;
        let customer = format!("c{partition}-{}", rng.range(1, rng.clone().pick(&[1, 3, 12])));
        // Times of whole minutes, so that much is due at one instant.
        let behind = rng.weighted(&[(60, 0), (25, MINUTE), (10, 40 * MINUTE), (4, 5 * HOUR), (1, 40 * HOUR)]);
        let ahead = rng.weighted(&[(90, 0), (8, 3 * MINUTE), (2, 20 * MINUTE)]);
        let at = (now - behind + ahead) / MINUTE * MINUTE;
        let number = if rng.chance(6) { (self.sent - rng.range(0, 5)).max(1) } else { self.sent };
        let mut payload = payload(rng, number, &customer, at);
        let mut key = Some(customer.into_bytes());
        if rng.chance(sim.plan.bad_records) {
            match rng.range(0, 3) {
                0 => payload.truncate(9),
                1 => key = Some(b"c0-elsewhere".to_vec()),
                2 => key = None,
                _ => payload.clear(),
            }
        }
        let payload = Some(payload.into_bytes()).filter(|payload| !payload.is_empty());
        let data = Data { key, payload, headers: Vec::new() };
        let topic = rng.range(0, sim.plan.topics as i64 - 1) as usize;
        let place = Place::Events(Source { topic, partition });
        let timestamp = now - rng.pick(&[0, 0, 5, SECOND]);
        match tx {
            None => broker.append(place, data, timestamp, None),
            Some(number) => {
                let sent = broker.produce(&format!("upstream-{number}"), 0, None, place, data, timestamp);
                assert!(sent.is_ok());
            }
        }
    }
}

fn time(at: Millis) -> String {
    chrono::DateTime::from_timestamp_millis(at).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn payload(rng: &mut Rng, number: i64, customer: &str, at: Millis) -> String {
    let (kind, rest) = match rng.range(0, 9) {
        0..=3 => ("purchase", format!(",\"amount\":{}", rng.pick(&["10", "20.5", "-10", "7.25", "100"]))),
        4 | 5 => ("complaint", format!(",\"status\":\"{}\"", rng.pick(&["opened", "opened", "resolved"]))),
        6 => ("interaction", String::new()),
        7 => ("feedback", ",\"score\":3".into()),
        _ => {
            let status = rng.pick(&["open", "open", "closed"]);
            let tier = rng.pick(&["gold", "gold", "silver"]);
            let birthday = rng.pick(&["01-01", "2026-01-01", "01-02", "12-31"]);
            let said = [("tier", tier), ("status", status), ("birthday", birthday)];
            let (name, value) = rng.pick(&said);
            ("profile", format!(",\"{name}\":\"{value}\""))
        }
    };
    let at = time(at);
    format!(r#"{{"id":"e{number}","type":"{kind}","customer_id":"{customer}","occurred_at":"{at}"{rest}}}"#)
}
