//! Records on their way to the events topic, and a producer that holds transactions open.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::stage::Stage;

/// A record to be written, as `produce.py` takes it.
#[derive(Clone, Debug)]
pub struct Written(pub Value);

impl Written {
    pub fn new(key: &str, value: &[u8], timestamp: i64) -> Self {
        Self(json!({"key": key, "value": readable(value), "timestamp": timestamp}))
    }

    /// Places it in a partition, whatever its key.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }
}

/// Bytes as the Python tools write them: as text, or in base64 where they are no UTF-8.
pub fn readable(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| json!({"base64": base64(bytes)}), Value::from)
}

/// The bytes that [`readable`] shows.
pub fn bytes(shown: &Value) -> Vec<u8> {
    let Some(text) = shown["base64"].as_str() else { return shown.as_str().unwrap().as_bytes().to_vec() };
    let digit = |byte: u8| DIGITS.iter().position(|digit| *digit == byte);
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let bits = four.iter().fold(0, |bits, byte| bits << 6 | digit(*byte).unwrap_or(0) as u32);
        let count = four.iter().filter(|byte| **byte != b'=').count() - 1;
        bytes.extend(&bits.to_be_bytes()[1..=count]);
    }
    bytes
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, place| bits << 8 | u32::from(three.get(place).copied().unwrap_or(0)));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// A transactional producer that does as it is told.
#[derive(Debug)]
pub struct Upstream {
    child: Child,
    lines: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Upstream {
    pub fn start(stage: &Stage) -> Self {
        let mut command = stage.tool("produce.py", "events");
        command.args(["--transactional-id", &stage.topic("upstream")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (lines, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, lines, answers }
    }

    pub fn write(&mut self, record: &Written) {
        writeln!(self.lines, "{}", record.0).unwrap();
    }

    /// Returns when it is done.
    pub fn tell(&mut self, command: &str) {
        writeln!(self.lines, "{}", json!({"do": command})).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), format!("{command} done"));
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
