//! What the user typed: settings from the file, the environment and the flags, each with where it came from.
//!
//! Names are checked here, values are not. A later layer replaces what an earlier one gave, key by key; within one
//! layer a key given twice is a mistake (but for a repeated `--set`, where the last counts as with other programs).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::keys::{self, KEYS, PROPERTIES};
use super::problem::{Origin, Problem};
use super::{ENVIRONMENT_PREFIX, FILE_VARIABLE, yaml};

/// The text of a setting, or its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    List(Vec<String>),
}

/// One setting as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub key: String,
    pub value: Value,
    pub origin: Origin,
}

/// A setting from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `--set KEY=VALUE`: its argument.
    Set(String),
    /// A flag of its own, such as `--bootstrap`.
    Named { flag: &'static str, key: &'static str, value: String },
}

/// Where settings are looked for.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// All variables of the process; those that do not start with `TOCSIN_` are left alone.
    pub environment: Vec<(OsString, OsString)>,
    pub flags: Vec<Flag>,
}

/// All that was given, later layers over earlier ones.
#[derive(Debug, Default)]
pub struct Given {
    settings: BTreeMap<String, Setting>,
    problems: Vec<Problem>,
    /// The file could not be read, so that nothing can be said about what is missing.
    unreadable: bool,
}

impl Given {
    /// Reads file, environment and flags, in rising precedence. Problems are kept for [`Given::config`].
    #[must_use]
    pub fn read(sources: &Sources) -> Self {
        let mut given = Self::default();
        if let Some(path) = &sources.file {
            match read_file(path) {
                Ok(settings) => given.layer(settings),
                Err(problem) => {
                    given.problems.push(problem);
                    given.unreadable = true;
                }
            }
        }
        let mut variables = Vec::new();
        for (name, value) in &sources.environment {
            match from_variable(name, value) {
                Ok(setting) => variables.extend(setting),
                Err(problem) => given.problems.push(problem),
            }
        }
        given.layer(variables);
        given.flags(&sources.flags);
        given
    }

    /// The setting called `key`, unless nobody gave it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    /// The librdkafka settings, by their own names.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.settings.iter().filter_map(|(key, setting)| Some((property(key)?, setting)))
    }

    /// What was wrong so far, names above all.
    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    fn flags(&mut self, flags: &[Flag]) {
        let mut set = BTreeMap::new();
        let mut named = Vec::new();
        for flag in flags {
            match flag {
                Flag::Named { flag, key, value } => {
                    let origin = Origin::Flag((*flag).to_owned());
                    named.push(Setting { key: (*key).to_owned(), value: Value::Text(value.clone()), origin });
                }
                Flag::Set(text) => match from_set(text) {
                    Ok(setting) => _ = set.insert(setting.key.clone(), setting),
                    Err(problem) => self.problems.push(problem),
                },
            }
        }
        self.layer(set.into_values().chain(named).collect());
    }

    fn layer(&mut self, settings: Vec<Setting>) {
        let mut layer = BTreeMap::<String, Setting>::new();
        for setting in settings {
            if let Err(problem) = check_name(&setting) {
                self.problems.push(problem);
            } else if let Some(first) = layer.get(&setting.key) {
                self.problems.push(Problem {
                    what: format!("given twice, first by {}", first.origin),
                    next: "keep one of them".to_owned(),
                    key: Some(setting.key),
                    origin: setting.origin,
                });
            } else {
                layer.insert(setting.key.clone(), setting);
            }
        }
        self.settings.append(&mut layer);
    }
}

/// The librdkafka name in `kafka.properties.NAME`.
fn property(key: &str) -> Option<&str> {
    key.strip_prefix(PROPERTIES)?.strip_prefix('.').filter(|name| !name.is_empty())
}

fn read_file(path: &Path) -> Result<Vec<Setting>, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| Problem {
        origin: Origin::Default,
        key: None,
        what: format!("{}: cannot be read: {error}", path.display()),
        next: format!("check --config and {FILE_VARIABLE}"),
    })?;
    yaml::settings(path, &text)
}

/// The setting in a variable; `None` if the variable is none of ours.
fn from_variable(name: &OsString, value: &OsString) -> Result<Option<Setting>, Problem> {
    let Some(name) = name.to_str().filter(|name| *name != FILE_VARIABLE) else { return Ok(None) };
    let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else { return Ok(None) };
    let key = rest.to_lowercase().replace("__", ".");
    if !is_known(&key) && is_service_link(name) {
        return Ok(None);
    }
    let origin = Origin::Environment(name.to_owned());
    match value.to_str() {
        Some(text) => Ok(Some(Setting { key, value: Value::Text(text.to_owned()), origin })),
        None => Err(Problem {
            origin,
            key: Some(key),
            what: "the value is not UTF-8".to_owned(),
            next: "set it anew; all settings are UTF-8 text".to_owned(),
        }),
    }
}

/// Whether Kubernetes made this variable for a service called `tocsin` or `tocsin-...` beside the pod:
/// `TOCSIN_SERVICE_HOST`, `TOCSIN_METRICS_PORT_9464_TCP_ADDR`. Such a service must not stop the program.
fn is_service_link(name: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"].iter().any(|end| name.ends_with(end))
        || name.contains("_SERVICE_PORT_")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
            name.split_once(protocol).is_some_and(|(port, rest)| {
                let number = port.rsplit_once("_PORT_").map_or("", |(_, number)| number);
                !number.is_empty()
                    && number.bytes().all(|byte| byte.is_ascii_digit())
                    && ["", "_PROTO", "_PORT", "_ADDR"].contains(&rest)
            })
        })
}

fn from_set(text: &str) -> Result<Setting, Problem> {
    let (key, value) = text.split_once('=').ok_or_else(|| Problem {
        origin: Origin::Flag(format!("--set {text}")),
        key: None,
        what: "no `=` in it".to_owned(),
        next: "write --set KEY=VALUE, such as --set workers=2".to_owned(),
    })?;
    let key = key.trim();
    let origin = Origin::Flag(format!("--set {key}"));
    Ok(Setting { key: key.to_owned(), value: Value::Text(value.to_owned()), origin })
}

fn is_known(key: &str) -> bool {
    property(key).is_some() || key != PROPERTIES && keys::find(key).is_some()
}

fn check_name(setting: &Setting) -> Result<(), Problem> {
    let name = setting.key.as_str();
    if is_known(name) {
        return Ok(());
    }
    let typed = |key: &str| match &setting.origin {
        Origin::Environment(_) => keys::variable(key),
        Origin::Flag(_) => keys::flag(key),
        Origin::File { .. } | Origin::Default => key.to_owned(),
    };
    let inside = |section: &str, key: &str| key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
    let (what, next) = if name == PROPERTIES {
        let example = format!("{PROPERTIES}.security.protocol");
        ("takes names and values".to_owned(), format!("give them one by one, such as {}", typed(&example)))
    } else if let Some(key) = KEYS.iter().find(|key| inside(name, key.name)) {
        ("is a section, not a setting".to_owned(), format!("give its settings, such as {}", typed(key.name)))
    } else if let Some(key) = KEYS.iter().find(|key| inside(key.name, name)) {
        (
            format!("there is no such setting: `{}` has no parts", key.name),
            format!("give {} one value", typed(key.name)),
        )
    } else {
        let next = match keys::nearest(name) {
            Some(key) => format!("did you mean {}?", typed(key.name)),
            None => "tocsin run --print-config lists all settings".to_owned(),
        };
        ("there is no such setting".to_owned(), next)
    };
    Err(Problem { origin: setting.origin.clone(), key: Some(name.to_owned()), what, next })
}
