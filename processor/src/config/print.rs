//! The resolved configuration as a commented YAML file: what `--print-config` shows. It reads back as the same
//! configuration, but for the secrets.

use std::fmt::Write;

use super::given::{Given, Value};
use super::keys::{Initial, KEYS, Key, PROPERTIES};
use super::problem::Origin;
use super::properties::{MASK, is_secret};
use super::read::resolve;

impl Given {
    /// Every setting with its meaning, its value, and where that came from. Values need not be usable.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut out = String::from("# Tocsin's configuration. Durations: ms s m h d w, such as 1d12h.\n");
        let mut section = "";
        for key in KEYS {
            let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
            if of != section {
                section = of;
                _ = write!(out, "\n{section}:\n");
            } else if of.is_empty() {
                out.push('\n');
            }
            let indent = if of.is_empty() { "" } else { "  " };
            for line in key.doc.lines() {
                _ = writeln!(out, "{indent}# {line}");
            }
            if key.name == PROPERTIES {
                self.write_properties(&mut out);
            } else {
                _ = writeln!(out, "{indent}{}", self.line(key, name));
            }
        }
        out
    }

    fn line(&self, key: &Key, name: &str) -> String {
        match resolve(self, key.name) {
            Ok(Some((Value::Text(text), origin))) => format!("{name}: {}{}", quoted(text.trim()), remark(&origin)),
            Ok(Some((Value::List(items), origin))) => {
                let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
                format!("{name}: [{}]{}", items.join(", "), remark(&origin))
            }
            Ok(None) => format!("# {name}:"),
            Err(_) if key.initial == Initial::Required => format!("# {name}:  # has to be given"),
            Err(refusal) => format!("# {name}:  # {}", refusal.what),
        }
    }

    fn write_properties(&self, out: &mut String) {
        let mut properties = self.properties().peekable();
        if properties.peek().is_none() {
            out.push_str("  # properties: {}\n");
            return;
        }
        out.push_str("  properties:\n");
        for (name, setting) in properties {
            let text = match &setting.value {
                Value::Text(_) if is_secret(name) => MASK.to_owned(),
                Value::Text(text) => text.trim().to_owned(),
                Value::List(items) => items.join(","),
            };
            _ = writeln!(out, "    {}: {}{}", quoted(name), quoted(&text), remark(&setting.origin));
        }
    }
}

fn remark(origin: &Origin) -> String {
    if *origin == Origin::Default { String::new() } else { format!("  # from {origin}") }
}

/// A YAML scalar that reads back as `text`, plain where nobody could take it for anything else.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:,=+".contains(&byte);
    let starts_plain =
        text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'.');
    let ends_plain = !text.ends_with(':');
    let is_null = text.eq_ignore_ascii_case("null");
    if starts_plain && ends_plain && !is_null && text.bytes().all(plain) && !text.contains(',') {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => _ = write!(out, "\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
