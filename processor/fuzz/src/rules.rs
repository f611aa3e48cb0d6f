//! Rule files: read, or refused line by line; and what was read can be judged by.

use std::sync::{Arc, LazyLock};

use tocsin::backtest::{self, Settings};
use tocsin::codec::schemas::Schemas;
use tocsin::rules::{self, Limits, LoadedRules, Source};

use crate::Target;
use crate::seeds;

pub const RULES: Target = Target { name: "rules", run: |bytes| drop(load(bytes)), seeds: seeds::rules, short: 30_000 };
pub const JUDGE: Target = Target { name: "judge", run: judge, seeds: seeds::rules, short: 20_000 };

static SCHEMAS: LazyLock<Arc<Schemas>> = LazyLock::new(|| Arc::new(Schemas::shipped()));
static EVENTS: LazyLock<Vec<u8>> = LazyLock::new(seeds::history);

/// What is refused has places within the file and reasons of one line each.
fn load(bytes: &[u8]) -> Option<LoadedRules> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    // To YAML a carriage return ends a line by itself; the end of the file may be told as the line behind it.
    let lines = text.split(['\n', '\r']).count();
    let source = Source { name: "r.yaml".to_owned(), text };
    match rules::load(&[source], SCHEMAS.catalog(), &Limits::default()) {
        Ok(loaded) => Some(loaded),
        Err(errors) => {
            assert!(!errors.problems.is_empty());
            for problem in errors.problems {
                assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
                assert!(problem.line <= lines + 1, "{problem}");
                assert!(!problem.to_string().contains('\n'), "{problem}");
            }
            None
        }
    }
}

/// A second run gives the same records.
fn judge(bytes: &[u8]) {
    let Some(loaded) = load(bytes) else { return };
    let set = Arc::new(loaded.set);
    let run = || {
        let mut records = Vec::new();
        let settings = Settings { until: Some(seeds::UNTIL), ..Settings::default() };
        let input = EVENTS.as_slice();
        backtest::run(set.clone(), &SCHEMAS, &settings, input, &mut records, &mut |_| ()).unwrap();
        records
    };
    assert_eq!(run(), run());
}
