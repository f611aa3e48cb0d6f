//! `tocsin checkpoint`, as a user types it.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::s3;
use super::stage::{APPLICATION, PREFIX, Stage, contents, fill, is_table, now, open};

struct User {
    stage: Stage,
    url: String,
    environment: Vec<(&'static str, String)>,
}

impl User {
    fn with_directory() -> Self {
        let stage = Stage::in_a_directory();
        let url = format!("file://{}/{PREFIX}", stage.kept.as_ref().unwrap().path().display());
        Self { stage, url, environment: Vec::new() }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.stage.path("tocsin.yaml");
        let url = &self.url;
        let text = format!(
            "application: {APPLICATION}\nrules: rules\nkafka: {{bootstrap: 'localhost:1'}}\ncheckpoint: {{url: '{url}'}}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tocsin"));
        command.arg("checkpoint").args(arguments).arg("--config").arg(config);
        command.env("TMPDIR", self.stage.directory.path()).envs(self.environment.iter().cloned());
        command.output().unwrap()
    }

    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32) -> (String, String) {
        let output = self.run(arguments);
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{out}{error}");
        (out, error)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.stage.path(name)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Three checkpoints, the newest of them damaged in one table. Returns that table's name.
async fn three(stage: &Stage) -> String {
    let mut store = open(&stage.path("store"));
    let mut newest = None;
    for sequence in 11..=13 {
        fill(&mut store, 0..100 * sequence as u32, sequence);
        newest = Some(stage.upload(&store, sequence, now()).await.unwrap().manifest);
    }
    let tables = newest.unwrap().files.into_iter().filter(is_table);
    let newest = tables.max_by_key(|file| file.name.clone()).unwrap();
    stage.tamper("blobs", &newest.sha256, |content| content[0] ^= 1).await;
    newest.name
}

async fn list_verify_and_restore(user: User) {
    let table = three(&user.stage).await;
    let (out, _) = user.check(&["list"], 0);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 4, "{out}");
    let words: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!((&words[..4], words.last()), (&["3", "11", "22", "1"][..], Some(&"yes")), "{out}");

    let (out, error) = user.check(&["verify"], 1);
    assert!(out.contains(&format!("partition 3, sequence 13: damaged: {table} has other content")), "{out}");
    assert!(error.contains("error: 1 of 1 checkpoints are damaged") && error.contains("hint: "), "{error}");
    let (out, _) = user.check(&["verify", "--all", "--partition", "3"], 1);
    let whole = out.lines().find(|line| line.contains("sequence 12: whole: ")).unwrap();
    assert!(whole.contains(" 1200 customers, 0 timers"), "{out}");
    let (out, _) = user.check(&["list", "--json"], 0);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    let verified: Vec<_> = rows.iter().map(|row| (row["sequence"].as_i64(), row["verified"].as_bool())).collect();
    assert_eq!(verified, [(Some(11), Some(true)), (Some(12), Some(true)), (Some(13), Some(false))]);
    assert_eq!((&rows[0]["journal_offset"], &rows[0]["topic"]), (&22.into(), &"events".into()));

    let to = user.path("restored");
    let (out, error) = user.check(&["restore", "--partition", "3", "--to", to.to_str().unwrap()], 0);
    assert!(out.contains("sequence 12, journal offset 24, rules generation 1"), "{out}");
    assert!(error.contains("sequence 13 is damaged"), "{error}");
    assert_eq!(contents(&to).customers, 1_200);
    let (_, error) = user.check(&["restore", "--partition", "3", "--to", to.to_str().unwrap()], 2);
    assert!(error.contains("restored cannot take a checkpoint") && error.contains("name a new or an empty"), "{error}");
    let eleven = user.path("eleven");
    std::fs::create_dir(&eleven).unwrap();
    user.check(&["restore", "--partition", "3", "--sequence", "11", "--to", eleven.to_str().unwrap()], 0);
    assert_eq!(contents(&eleven).customers, 1_100);
    let nowhere = user.path("nowhere");
    let (_, error) =
        user.check(&["restore", "--partition", "3", "--sequence", "9", "--to", nowhere.to_str().unwrap()], 1);
    assert!(error.contains("there is no checkpoint of sequence 9"), "{error}");
    let (_, error) = user.check(&["restore", "--partition", "4", "--to", nowhere.to_str().unwrap()], 1);
    assert!(error.contains("no checkpoint of partition 4 could be restored"), "{error}");
    assert!(!nowhere.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_directory() {
    list_verify_and_restore(User::with_directory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_s3() {
    let Some((stage, server)) = s3::stage("command") else { return };
    let environment = server.environment().to_vec();
    list_verify_and_restore(User { stage, url: format!("s3://command/{PREFIX}"), environment }).await;
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_do() {
    let mut user = User::with_directory();
    let (out, error) = user.check(&["list"], 0);
    assert!(
        out.is_empty() && error.starts_with(&format!("no checkpoints of {APPLICATION} in file://")),
        "{out}{error}"
    );
    let (_, error) = user.check(&["verify"], 1);
    assert!(error.contains("a running application takes the first after checkpoint.interval"), "{error}");
    user.url = String::from("s3://bucket");
    user.environment = vec![
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "hidden".to_owned()),
    ];
    let (_, error) = user.check(&["list"], 1);
    assert!(error.contains("error: the checkpoints in s3://bucket cannot be read"), "{error}");
    assert!(error.contains("hint: is the object store up") && !error.contains("hidden"), "{error}");
    let output = Command::new(env!("CARGO_BIN_EXE_tocsin"))
        .args(["checkpoint", "list", "--set", "rules=r", "--set", "kafka.bootstrap=b"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("set checkpoint.url in the file"), "{}", text(&output.stderr));
}
