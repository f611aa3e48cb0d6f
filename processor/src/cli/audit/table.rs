//! What an audit comes to, for people.

use std::fmt::Write;

use tocsin::audit::{Compared, Counts, Finding, OutputReport, Report, Subject};

/// The lines for standard output.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    _ = write!(out, "{}, up to what was committed by {}", report.application, report.as_of);
    if let Some(from) = &report.from {
        _ = write!(out, ", from {from}");
    }
    if let Some(until) = &report.until {
        _ = write!(out, ", until {until}");
    }
    out.push_str("\n\n");
    counts(&mut out, report);
    out.push('\n');
    topic(&mut out, "alerts topic", &report.alerts_topic);
    topic(&mut out, "dead letters topic", &report.dead_letters_topic);
    if !report.hidden.is_empty() {
        out.push_str("\nnot judged\n");
        for why in &report.hidden {
            _ = writeln!(out, "  {why}");
        }
    }
    findings(&mut out, report);
    out.push('\n');
    out.push_str(match (report.equal, is_whole(report)) {
        (true, true) => "Equal.\n",
        (true, false) => "Equal, as far as it can be judged.\n",
        (false, _) => "Not equal.\n",
    });
    out
}

/// Whether all that was asked for has been judged.
fn is_whole(report: &Report) -> bool {
    let Counts { alerts, dead_letters, .. } = report.totals;
    report.hidden.is_empty()
        && alerts.hidden + dead_letters.hidden + report.alerts_topic.hidden + report.dead_letters_topic.hidden == 0
}

fn counts(out: &mut String, report: &Report) {
    let head = [
        "partition",
        "journal",
        "wrong",
        "events",
        "alerts",
        "found",
        "missing",
        "doubled",
        "different",
        "hidden",
        "letters",
        "found",
        "wrong",
        "hidden",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(report.partitions.iter().map(|of| row(&of.partition.to_string(), &of.counts)));
    rows.push(row("all", &report.totals));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}

fn row(name: &str, counts: &Counts) -> [String; 14] {
    let Counts { journal_records, journal_wrong, events, alerts, dead_letters } = counts;
    let wrong = |compared: &Compared| compared.missing + compared.doubled + compared.different;
    let numbers = [
        *journal_records,
        *journal_wrong,
        *events,
        alerts.expected,
        alerts.found(),
        alerts.missing,
        alerts.doubled,
        alerts.different,
        alerts.hidden,
        dead_letters.expected,
        dead_letters.found(),
        wrong(dead_letters),
        dead_letters.hidden,
    ];
    let mut row = [const { String::new() }; 14];
    name.clone_into(&mut row[0]);
    for (cell, number) in row[1..].iter_mut().zip(numbers) {
        *cell = number.to_string();
    }
    row
}

fn topic(out: &mut String, name: &str, topic: &OutputReport) {
    _ = write!(out, "{name:<18}  {} read, {} unexplained", topic.read, topic.unexplained);
    for (count, what) in [
        (topic.unreadable, "unreadable"),
        (topic.newer, "newer than the audited end"),
        (topic.out_of_span, "outside of --from and --until"),
        (topic.hidden, "of what cannot be judged"),
        (topic.of_others, "of other applications"),
    ] {
        if count > 0 {
            _ = write!(out, ", {count} {what}");
        }
    }
    out.push('\n');
}

fn findings(out: &mut String, report: &Report) {
    let (told, all) = (report.findings.len() as u64, report.wrong());
    if all == 0 {
        return;
    }
    let more = if told < all { format!(", the first {told} of {all}; --show N tells more") } else { String::new() };
    _ = writeln!(out, "\nfound{more}");
    for finding in &report.findings {
        one(out, finding);
    }
}

fn one(out: &mut String, finding: &Finding) {
    let subject = match finding.subject {
        Subject::Alert => "alert",
        Subject::DeadLetter => "dead letter",
        Subject::Journal => "journal record",
    };
    _ = write!(out, "  {} {subject}", finding.problem.name());
    if let Some(alert) = &finding.alert {
        let (id, sequence, transition) = (&alert.alert_id, alert.sequence, &alert.transition);
        _ = write!(out, " {id} {sequence} ({transition}), rule {}, customer {}", alert.rule_id, alert.customer_id);
        _ = write!(out, ", at {}", alert.occurred_at);
    }
    let mut places = Vec::new();
    if let (Some(partition), Some(offset)) = (finding.partition, finding.journal_offset) {
        places.push(format!("journal {partition}@{offset}"));
    }
    places.extend(finding.at.iter().map(|(partition, offset)| format!("topic {partition}@{offset}")));
    _ = write!(out, " [{}]", places.join(", "));
    if !finding.what.is_empty() {
        _ = write!(out, ": {}", finding.what);
    }
    out.push('\n');
    for difference in &finding.differences {
        let (field, expected, found) = (&difference.field, &difference.expected, &difference.found);
        _ = writeln!(out, "      {field}: expected {expected}, found {found}");
    }
}

/// A number and what it counts.
pub fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
