//! What the demonstration shows: a coloured table on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;

use serde_json::Value;

/// Standard output as people see it.
#[derive(Debug)]
pub struct Screen {
    is_coloured: bool,
    language: &'static str,
}

const RESET: &str = "\u{1b}[0m";
const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";

impl Screen {
    pub fn new() -> Self {
        let is_coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let speaks = |name| std::env::var(name).is_ok_and(|value: String| value.starts_with("zh"));
        let language = if speaks("LC_ALL") || speaks("LANG") { "zh" } else { "en" };
        Self { is_coloured, language }
    }

    /// What is about to happen.
    pub fn open(&self, bootstrap: &str, http: SocketAddr, speed: u64, events: usize, made_up: usize) {
        print(&format!(
            "Tocsin over {events} events, {speed} times as fast as they happened.\n\
             For trying out: the broker is a mock in this process ({bootstrap}), state is in memory, and all of it is \
             forgotten at the end.\n\
             Metrics while it runs: http://{http}/metrics"
        ));
        if made_up > 0 {
            print(&format!(
                "Purchases and interactions are real (The Complete Journey 2.0, see deploy/demo/README.md); {made_up} \
                 complaints are synthetic."
            ));
        }
        print("");
        let row = format!("{:<16}  {:<8}  {:<9}  {:<16}  {}", "time", "severity", "customer", "rule", "what happened");
        print(&self.styled(BOLD, &row));
    }

    /// One row.
    pub fn alert(&self, alert: &Value) {
        let text = |name: &str| alert[name].as_str().unwrap_or_default();
        let severity = text("severity");
        let what = match (text("transition"), text("reason")) {
            ("fired", _) => self.summary(alert),
            ("severity_changed", _) => format!("{} -> {severity}: {}", text("previous_severity"), self.summary(alert)),
            (_, reason) => format!("resolved ({reason})"),
        };
        let (time, customer, rule) = (text("occurred_at"), text("customer_id"), text("rule_id"));
        let time = time.get(..16).unwrap_or(time).replace('T', " ");
        let is_over = text("transition") == "resolved";
        let style = if is_over { DIM } else { colour(severity) };
        let severity = self.styled(style, &format!("{severity:<8}"));
        let what = if is_over { self.styled(DIM, &what) } else { what };
        print(&format!("{time:<16}  {severity}  {customer:<9}  {rule:<16}  {what}"));
    }

    /// What it came to.
    pub fn close(&self, alerts: &[Value], equal: bool, interrupted: bool) {
        let mut fired: BTreeMap<&str, BTreeMap<&str, u32>> = BTreeMap::new();
        for alert in alerts.iter().filter(|alert| alert["transition"] == "fired") {
            let by_severity = fired.entry(alert["rule_id"].as_str().unwrap_or_default()).or_default();
            *by_severity.entry(alert["severity"].as_str().unwrap_or_default()).or_default() += 1;
        }
        print("");
        for (rule, by_severity) in fired {
            let counts: Vec<_> = by_severity.iter().map(|(severity, count)| format!("{count} {severity}")).collect();
            print(&format!("{rule:<16}  fired {}", counts.join(", ")));
        }
        print(&format!("{} alert records in all, changes and resolves included.", alerts.len()));
        let verdict = match (interrupted, equal) {
            (true, _) => "Interrupted, so not compared with a backtest.",
            (false, true) => "They equal those of `tocsin backtest` on the same events.",
            (false, false) => {
                "They DIFFER from those of `tocsin backtest` on the same events: this is a bug, please report it."
            }
        };
        print(&self.styled(BOLD, verdict));
    }

    /// How to look around.
    pub fn stay(bootstrap: &str, http: SocketAddr) {
        print(&format!(
            "\nStaying up until Ctrl-C. Look around:\n  kcat -b {bootstrap} -t alerts -C -e -q | head -1\n  curl http://{http}/metrics"
        ));
    }

    fn summary(&self, alert: &Value) -> String {
        let summary = &alert["summary"];
        summary[self.language].as_str().or_else(|| summary["en"].as_str()).unwrap_or("fired").to_owned()
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.is_coloured { format!("{style}{text}{RESET}") } else { text.to_owned() }
    }
}

fn print(line: &str) {
    // A reader that has gone away is no reason to stop.
    _ = writeln!(io::stdout().lock(), "{line}");
}

fn colour(severity: &str) -> &'static str {
    match severity {
        "critical" => "\u{1b}[1;35m",
        "high" => "\u{1b}[1;31m",
        "medium" => "\u{1b}[33m",
        _ => "\u{1b}[36m",
    }
}
