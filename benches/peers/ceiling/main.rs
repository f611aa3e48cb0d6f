//! The ceiling: the three rules in plain Rust over hash maps, from the same file, with nothing kept and nothing general.
//!
//!     ceiling EVENTS [ALERTS]
//!
//! Reads events as JSON, one a line, and judges them as one partition with a bound of a minute; with a second file, writes
//! each transition there, else only counts them. It looks for no duplicates.

mod customer;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};

use customer::{Customer, Happened, Millis, RULES, Transition};
use hashbrown::HashMap;
use serde::Deserialize;
use tocsin::codec::timestamp;

const MAX_OUT_OF_ORDERNESS: Millis = 60_000;

#[derive(Deserialize)]
struct Event<'a> {
    r#type: &'a str,
    customer_id: &'a str,
    occurred_at: &'a str,
    status: Option<&'a str>,
    amount: Option<f64>,
}

impl Event<'_> {
    fn happened(&self) -> Happened {
        match (self.r#type, self.status) {
            ("complaint", Some("opened")) => Happened::Complaint,
            ("purchase", _) => Happened::Purchase((self.amount.unwrap_or(0.0) * 1e4).round() as i64),
            ("interaction" | "complaint", _) => Happened::Contact,
            _ => Happened::Other,
        }
    }
}

struct Run<W> {
    places: HashMap<Box<str>, u32>,
    customers: Vec<Customer>,
    timers: BinaryHeap<Reverse<(Millis, u32)>>,
    watermark: Millis,
    found: Vec<Transition>,
    counts: [[u64; 2]; RULES.len()],
    output: Option<W>,
}

impl<W: Write> Run<W> {
    fn new(output: Option<W>) -> Self {
        Self {
            places: HashMap::new(),
            customers: Vec::new(),
            timers: BinaryHeap::new(),
            watermark: Millis::MIN / 2,
            found: Vec::new(),
            counts: [[0; 2]; RULES.len()],
            output,
        }
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), Box<dyn Error>> {
        let at = timestamp::parse(event.occurred_at).ok_or("a time that is none")?;
        let place = if let Some(place) = self.places.get(event.customer_id) {
            *place
        } else {
            let place = u32::try_from(self.customers.len())?;
            self.places.insert(event.customer_id.into(), place);
            self.customers.push(Customer::new(event.customer_id));
            place
        };
        self.customers[place as usize].take(at, event.happened(), self.watermark, &mut self.found);
        self.settle(place)?;
        self.watermark = self.watermark.max(at - MAX_OUT_OF_ORDERNESS);
        self.drain()
    }

    /// Judges what the watermark has reached.
    fn drain(&mut self) -> Result<(), Box<dyn Error>> {
        while let Some(Reverse((at, place))) = self.timers.peek().copied().filter(|first| first.0.0 <= self.watermark) {
            self.timers.pop();
            let customer = &mut self.customers[place as usize];
            if customer.armed != Some(at) {
                continue;
            }
            customer.armed = None;
            customer.judge_until(self.watermark, &mut self.found);
            self.settle(place)?;
        }
        Ok(())
    }

    /// Puts out what was found of a customer, and sets the timer that it lacks.
    fn settle(&mut self, place: u32) -> Result<(), Box<dyn Error>> {
        let customer = &mut self.customers[place as usize];
        for transition in self.found.drain(..) {
            self.counts[transition.rule][usize::from(transition.name() == "resolved")] += 1;
            if let Some(output) = &mut self.output {
                write(output, &customer.id, &transition)?;
            }
        }
        if let Some(due) = customer.due().filter(|due| customer.armed.is_none_or(|armed| armed > *due)) {
            customer.armed = Some(due);
            self.timers.push(Reverse((due, place)));
        }
        Ok(())
    }
}

/// The fields of an alert record that say which transition it is.
fn write(output: &mut impl Write, customer_id: &str, transition: &Transition) -> Result<(), Box<dyn Error>> {
    let text = |at| {
        let mut out = Vec::with_capacity(24);
        timestamp::write(&mut out, at);
        String::from_utf8(out)
    };
    writeln!(
        output,
        r#"{{"rule_id":"{}","customer_id":"{customer_id}","transition":"{}","reason":"{}","occurred_at":"{}","fired_at":"{}"}}"#,
        RULES[transition.rule],
        transition.name(),
        transition.reason,
        text(transition.at)?,
        text(transition.fired_at)?
    )?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let events = arguments.next().ok_or("usage: ceiling EVENTS [ALERTS]")?;
    let output = arguments.next().map(File::create).transpose()?.map(|file| BufWriter::with_capacity(1 << 18, file));
    let mut input = BufReader::with_capacity(1 << 18, File::open(events)?);
    let (mut run, mut line, mut count) = (Run::new(output), Vec::new(), 0_u64);
    while input.read_until(b'\n', &mut line)? > 0 {
        run.take(&serde_json::from_slice(&line)?)?;
        line.clear();
        count += 1;
    }
    if let Some(mut output) = run.output {
        output.flush()?;
    }
    println!("{count} events of {} customers", run.customers.len());
    for (rule, [fired, resolved]) in RULES.into_iter().zip(run.counts) {
        println!("{rule}: fired {fired}, resolved {resolved}");
    }
    Ok(())
}
