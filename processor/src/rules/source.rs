//! Where rule files come from: a file, or a folder of them.

use std::fs;
use std::path::{Path, PathBuf};

use super::problem::LoadError;

/// One rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user would write it; problems are reported under it, and rules are ordered by it.
    pub name: String,
    /// The YAML itself.
    pub text: String,
}

impl Source {
    /// Its name as seen from the path that [`read_sources`] was given, so that it is the same wherever that lies: for a
    /// folder the way from there, for a single file its own name.
    #[must_use]
    pub fn name_below(&self, path: &Path) -> String {
        let name = Path::new(&self.name);
        let below = name.strip_prefix(path).ok().filter(|below| !below.as_os_str().is_empty());
        let below = below.or_else(|| name.file_name().map(Path::new)).unwrap_or(name);
        below.to_string_lossy().into_owned()
    }
}

/// Folders within folders: deeper than anybody sorts rules, and an end to any surprise.
const DEEPEST: usize = 16;

/// Reads the rule file at `path`, or every `*.yaml` and `*.yml` in the folder at `path` and below it, by name.
///
/// Names that end in `.test.yaml` or `.test.yml` (tests of rules) or begin with a dot are left out of a folder. A
/// link to a file is followed, one to a folder is not, so that a mounted Kubernetes `ConfigMap` is read once.
///
/// # Errors
/// If something cannot be read, is not UTF-8, or the folder holds no rule file at all: a mistyped path must not pass
/// for a rule set without rules, which would end every alert there is.
pub fn read_sources(path: &Path) -> Result<Vec<Source>, LoadError> {
    let metadata = fs::metadata(path).map_err(|error| failed(path, &error))?;
    if !metadata.is_dir() {
        return Ok(vec![read(path)?]);
    }
    let mut files = Vec::new();
    list(path, 0, &mut files)?;
    if files.is_empty() {
        return Err(LoadError { path: path.to_owned(), reason: "there is no .yaml file in this folder".to_owned() });
    }
    let mut sources = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

fn list(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    if depth > DEEPEST {
        return Err(LoadError { path: folder.to_owned(), reason: format!("more than {DEEPEST} folders deep") });
    }
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let entry = entry.map_err(|error| failed(folder, &error))?;
        let name = entry.file_name();
        let path = entry.path();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(|error| failed(&path, &error))?;
        if kind.is_dir() {
            list(&path, depth + 1, files)?;
        } else if is_rule_file(&name.to_string_lossy()) && !path.is_dir() {
            files.push(path);
        }
    }
    Ok(())
}

fn is_rule_file(name: &str) -> bool {
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    stem.is_some_and(|stem| stem.strip_suffix(".test").is_none())
}

fn read(path: &Path) -> Result<Source, LoadError> {
    let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    Ok(Source { name: path.to_string_lossy().into_owned(), text })
}

fn failed(path: &Path, error: &std::io::Error) -> LoadError {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        std::io::ErrorKind::InvalidData => "not UTF-8 text; save the file as UTF-8".to_owned(),
        _ => error.to_string(),
    };
    LoadError { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &[u8])]) -> Self {
            let folder = std::env::temp_dir().join(format!("tocsin-rules-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            for (file, content) in files {
                let file = folder.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content).unwrap();
            }
            Self(folder)
        }

        fn read(&self, path: &str) -> Result<Vec<String>, String> {
            let names = |source: Source| Path::new(&source.name).strip_prefix(&self.0).unwrap().display().to_string();
            read_sources(&self.0.join(path))
                .map(|sources| sources.into_iter().map(names).collect())
                .map_err(|error| error.reason)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_folder_is_read_by_name_without_its_tests() {
        let files: [(&str, &[u8]); 7] = [
            ("sales.yml", b"rules: []"),
            ("care.yaml", b"rules: []"),
            ("care.test.yaml", b"tests: []"),
            ("more/b.yaml", b"rules: []"),
            ("..data/care.yaml", b"rules: []"),
            ("README.md", b"# rules"),
            ("none/README.md", b"# no rules"),
        ];
        let folder = Folder::new("order", &files);
        assert_eq!(folder.read(""), Ok(["care.yaml", "more/b.yaml", "sales.yml"].map(str::to_owned).to_vec()));
        assert_eq!(folder.read("care.test.yaml"), Ok(vec!["care.test.yaml".to_owned()]));
        assert_eq!(folder.read("none"), Err("there is no .yaml file in this folder".to_owned()));
        assert_eq!(folder.read("nowhere"), Err("there is no such file or folder".to_owned()));
    }

    #[test]
    fn a_name_does_not_depend_on_where_the_folder_lies() {
        for (path, name, expected) in [
            ("rules", "rules/care.yaml", "care.yaml"),
            ("rules/", "rules/more/b.yaml", "more/b.yaml"),
            ("/etc/tocsin/rules", "/etc/tocsin/rules/care.yaml", "care.yaml"),
            ("care.yaml", "care.yaml", "care.yaml"),
            ("rules/care.yaml", "rules/care.yaml", "care.yaml"),
            (".", "./care.yaml", "care.yaml"),
        ] {
            let source = Source { name: name.to_owned(), text: String::new() };
            assert_eq!(source.name_below(Path::new(path)), expected, "{path} {name}");
        }
    }

    #[test]
    fn a_file_that_is_not_text_is_refused() {
        let folder = Folder::new("binary", &[("a.yaml", &[0xff, 0xfe, 0x00])]);
        assert_eq!(folder.read(""), Err("not UTF-8 text; save the file as UTF-8".to_owned()));
    }
}
