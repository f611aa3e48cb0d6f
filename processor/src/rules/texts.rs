//! What a rule says beside its conditions: labels, summaries, recipients, a task.

use tocsin_core::alert::Severity;
use tocsin_core::rule::{Notify, Presentation, Task, Template};

use super::names::Known;
use super::problem::{Complaint, quoted};
use super::reader::{Reader, get};
use super::templates;
use super::yaml::{Entry, Node};

/// Reads labels, annotations, notify and task of a rule.
pub(super) fn read(reader: &mut Reader<'_>, entries: &[Entry], known: Known<'_>) -> Presentation {
    Presentation {
        labels: get(entries, "labels").map_or_else(Vec::new, |node| labels(reader, node)),
        summary: get(entries, "annotations").map_or_else(Vec::new, |node| annotations(reader, node, known)),
        notify: get(entries, "notify").map_or_else(Vec::new, |node| notify(reader, node)),
        task: get(entries, "task").and_then(|node| task(reader, node, known)),
    }
}

fn labels(reader: &mut Reader<'_>, node: &Node) -> Vec<(Box<str>, Box<str>)> {
    let mut labels = Vec::new();
    for entry in reader.map("labels", node, "{team: care}").unwrap_or_default() {
        if entry.key.is_empty() {
            reader.complain(entry.at, "a label without a name");
        }
        if let Some(text) = reader.text(&entry.key, &entry.value) {
            labels.push((entry.key.as_str().into(), text.text.as_str().into()));
        }
    }
    labels
}

fn annotations(reader: &mut Reader<'_>, node: &Node, known: Known<'_>) -> Vec<(Box<str>, Template)> {
    let Some(entries) = reader.map("annotations", node, "{summary: {en: ..., zh: ...}}") else { return Vec::new() };
    reader.keys("`annotations`", entries, &["summary"]);
    get(entries, "summary").map_or_else(Vec::new, |node| languages(reader, "summary", node, known))
}

/// One text in several languages.
fn languages(reader: &mut Reader<'_>, name: &str, node: &Node, known: Known<'_>) -> Vec<(Box<str>, Template)> {
    let mut texts = Vec::new();
    for entry in reader.map(name, node, "{en: ..., zh: ...}").unwrap_or_default() {
        if !is_language(&entry.key) {
            let reason = format!("{} is no language code; write en, zh, de, pt-BR", quoted(&entry.key));
            reader.complain(entry.at, reason);
        }
        let Some(text) = reader.text(&entry.key, &entry.value) else { continue };
        match templates::parse(&text.text, known, reader.catalog) {
            Ok(template) => texts.push((entry.key.as_str().into(), template)),
            Err(faults) => reader.faults(&entry.value, text, faults),
        }
    }
    texts
}

/// `en`, `zh`, `pt-BR`, `zh-Hans`: the form of BCP 47, not its registry.
fn is_language(code: &str) -> bool {
    let mut parts = code.split('-');
    let primary = parts.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|byte| byte.is_ascii_lowercase())
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn notify(reader: &mut Reader<'_>, node: &Node) -> Vec<Notify> {
    let mut all = Vec::new();
    for node in reader.list("notify", node, "[{roles: [owner], channels: [email]}]") {
        let Some(entries) = reader.map("an item of `notify`", node, "{roles: [owner], channels: [email]}") else {
            continue;
        };
        reader.keys("`notify`", entries, &["levels", "roles", "channels"]);
        let notify = Notify {
            levels: get(entries, "levels").map_or_else(Vec::new, |node| severities(reader, node)),
            roles: get(entries, "roles").map_or_else(Vec::new, |node| words(reader, "roles", node)),
            channels: get(entries, "channels").map_or_else(Vec::new, |node| words(reader, "channels", node)),
        };
        if get(entries, "roles").is_none() && get(entries, "channels").is_none() {
            reader.complain(node.at, "this names neither `roles` nor `channels`, so it tells nobody");
        }
        all.push(notify);
    }
    all
}

fn severities(reader: &mut Reader<'_>, node: &Node) -> Vec<Severity> {
    let nodes = reader.list("levels", node, "[high, critical]");
    nodes.iter().filter_map(|node| severity(reader, "levels", node)).collect()
}

/// One severity by its name.
pub(super) fn severity(reader: &mut Reader<'_>, name: &str, node: &Node) -> Option<Severity> {
    let text = reader.text(name, node)?;
    let severity = Severity::from_name(&text.text);
    if severity.is_none() {
        reader.complain(node.at, no_severity(&text.text));
    }
    severity
}

pub(super) fn no_severity(name: &str) -> Complaint {
    Complaint::unknown(format!("there is no severity {}", quoted(name)), name, Severity::ALL.map(Severity::name))
}

fn words(reader: &mut Reader<'_>, name: &str, node: &Node) -> Vec<Box<str>> {
    let nodes = reader.list(name, node, "[email, sms]");
    nodes.iter().filter_map(|node| reader.text(name, node).map(|text| text.text.as_str().into())).collect()
}

fn task(reader: &mut Reader<'_>, node: &Node, known: Known<'_>) -> Option<Task> {
    let entries = reader.map("task", node, "{title: {en: ...}, assignee: owner, due: 2d}")?;
    reader.keys("`task`", entries, &["title", "assignee", "due"]);
    let Some(title) = get(entries, "title") else {
        reader.complain(node.at, "a task needs a `title`, such as {en: Call the customer}");
        return None;
    };
    Some(Task {
        title: languages(reader, "title", title, known),
        assignee: get(entries, "assignee")
            .and_then(|node| reader.text("assignee", node))
            .map(|text| text.text.as_str().into()),
        due: get(entries, "due").and_then(|node| reader.duration("due", node)),
    })
}
