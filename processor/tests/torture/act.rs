//! An act: an application with topics, state and machines of its own, on which round after round goes wrong.
//!
//! Fresh topics now and then keep each look short: audit and model begin at the beginning.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tocsin::kafka::KafkaSettings;
use tocsin::kafka::topics::{self, NewTopics, TopicPolicy};

use crate::cluster::Cluster;
use crate::load::{Load, Made, Upstream};
use crate::machine::{Machine, tocsin};
use crate::model::rng::Rng;
use crate::model::rule::Rule;
use crate::place::{Clock, Disk};
use crate::rules;
use crate::s3_server::Server;
use crate::story::Story;
use crate::truth::{PARTITIONS, Truth};
use crate::witness::Witness;

/// Machines that are there all the time; one more comes and goes.
pub const MACHINES: usize = 3;
pub const SESSION: Duration = Duration::from_secs(3);
/// How long it may take until everything is done after all is well again.
pub const RECOVERY: Duration = Duration::from_mins(2);
/// So often processes may end by themselves in a round.
const FALLS: usize = 30;
/// The same for alerts that the journal speaks of.
const VISIBLE: Duration = Duration::from_secs(20);

/// Where checkpoints go.
#[derive(Clone, Debug)]
pub enum Archive {
    Nowhere,
    Directory,
    S3(Arc<Server>),
}

/// What all acts stand on.
pub struct Ground {
    pub cluster: Cluster,
    pub python: PathBuf,
    pub folder: PathBuf,
    pub story: Story,
}

pub struct Act<'g> {
    pub ground: &'g Ground,
    pub application: String,
    pub machines: Vec<Machine>,
    pub truth: Truth,
    pub made: Made,
    pub archive: Archive,
    /// The disk of the last machine, which can be filled.
    pub disk: Result<Disk, String>,
    /// The clock of the second machine, which can be set.
    pub clock: Result<Clock, String>,
    pub rules_now: usize,
    folder: PathBuf,
    config: PathBuf,
    witness: Witness,
    upstream: Option<Upstream>,
    sets: &'static [Vec<Rule>],
    /// Processes that ended by themselves and were started again.
    pub fallen: usize,
    /// Of those, in this round.
    pub fallen_now: usize,
}

fn sets() -> &'static [Vec<Rule>] {
    static SETS: OnceLock<Vec<Vec<Rule>>> = OnceLock::new();
    SETS.get_or_init(rules::sets)
}

impl<'g> Act<'g> {
    /// Sets everything up and waits until all machines work.
    pub fn open(ground: &'g Ground, number: usize, archive: Archive, settings: &Settings, rng: &mut Rng) -> Self {
        let application = format!("torture-{number}");
        let folder = ground.folder.join(&application);
        fs::create_dir_all(&folder).unwrap();
        let (made, sets) = (Made::default(), sets());
        let config = folder.join("tocsin.yaml");
        let text = config_of(&application, ground, &folder, &archive, settings);
        ground.story.tell(&format!("act {number}: {}", text.replace('\n', "; ")));
        fs::write(&config, text).unwrap();
        create_topics(&ground.cluster.bootstrap, &application);
        for (number, set) in sets.iter().enumerate() {
            fs::write(folder.join(format!("set-{number}.yaml")), rules::text_of(set)).unwrap();
        }
        let machine = |number: usize| {
            let door = (number < MACHINES).then_some(number);
            let mut machine = Machine::new(&format!("m{number}"), &folder, &config, &ground.cluster, door);
            if let Archive::S3(server) = &archive {
                server.environment().iter().for_each(|(name, value)| machine.set_environment(name, value));
            }
            machine
        };
        let mut machines: Vec<Machine> = (0..=MACHINES).map(machine).collect();
        let clock = Clock::of(&mut machines[1], &folder);
        let disk = Disk::of(&machines[2]);
        let bootstrap = &ground.cluster.bootstrap;
        let events = format!("{application}.events");
        let mut act = Self {
            truth: Truth::new(bootstrap, &application, sets, made.clone()),
            witness: Witness::new(&ground.python, bootstrap, &format!("{application}.alerts"), PARTITIONS),
            upstream: Some(Upstream::new(
                bootstrap,
                &events,
                "u",
                rng.range(0, i64::MAX - 1) as u64,
                made.clone(),
                false,
            )),
            rules_now: 0,
            fallen: 0,
            fallen_now: 0,
            ground,
            application,
            machines,
            made,
            archive,
            disk,
            clock,
            folder,
            config,
            sets,
        };
        assert!(act.apply_rules(0).wait().unwrap().success(), "the first rules are not published");
        act.machines[..MACHINES].iter_mut().for_each(Machine::start);
        act.wait("all machines to be ready", RECOVERY, Act::is_ready).unwrap_or_else(|problem| panic!("{problem}"));
        act
    }

    pub fn tell(&self, text: &str) {
        self.ground.story.tell(text);
    }

    /// Sets out to publish a rule set.
    pub fn apply_rules(&mut self, set: usize) -> Child {
        let mut command = tocsin();
        command.args(["rules", "apply"]).arg(self.folder.join(format!("set-{set}.yaml")));
        command.arg("--config").arg(&self.config).arg("--bootstrap").arg(&self.ground.cluster.bootstrap);
        self.rules_now = set;
        let log = File::options().create(true).append(true).open(self.folder.join("rules-apply.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    pub fn number_of_sets(&self) -> usize {
        self.sets.len()
    }

    pub fn start_load(&mut self, rate: f64) -> Load {
        Load::start(self.upstream.take().expect("one load at a time"), rate)
    }

    pub fn stop_load(&mut self, load: Load) {
        let upstream = load.stop();
        upstream.flush();
        self.upstream = Some(upstream);
    }

    /// Starts again what has ended by itself.
    pub fn tend(&mut self) {
        for machine in &mut self.machines {
            if let Some(told) = machine.tend() {
                self.fallen += 1;
                self.fallen_now += 1;
                assert!(self.fallen_now < FALLS, "again and again: {told}");
                self.ground.story.tell(&told);
                assert!(!told.contains("panicked"), "{told}");
            }
        }
    }

    pub fn is_ready(&mut self) -> bool {
        self.machines[..MACHINES].iter_mut().all(Machine::is_ready)
    }

    pub fn wait(
        &mut self,
        what: &str,
        patience: Duration,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), String> {
        let started = Instant::now();
        while !is_so(self) {
            if started.elapsed() > patience {
                return Err(format!("waited {patience:?} in vain for {what}; {}", self.state()));
            }
            self.tend();
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// What the machines say of themselves.
    fn state(&mut self) -> String {
        let mut text = String::new();
        for machine in &mut self.machines {
            let assigned = machine.metric("tocsin_partitions_assigned");
            let ready = machine.is_ready();
            _ = write!(
                text,
                "{}: running {}, ready {ready}, partitions {assigned:?}; ",
                machine.name,
                machine.is_running()
            );
        }
        _ = write!(text, "events made {}, seen {}; ", self.made.lock().len(), self.truth.events_seen());
        text + "behind: " + &self.truth.behind()
    }

    /// Waits until everything is done, then holds it against the model, the independent client and the audit.
    pub fn verify(&mut self) -> Result<(), String> {
        let started = Instant::now();
        let mut problem = None;
        // A transaction's end is told of before it is seen.
        self.wait("all events to be there", VISIBLE, |act| {
            problem = act.truth.read_events().err();
            problem.is_some() || act.made.lock().len() == act.truth.events_seen()
        })?;
        problem.take().map_or(Ok(()), Err)?;
        self.wait("all events to be judged", RECOVERY, |act| {
            problem = act.truth.follow_journal().err();
            problem.is_some() || act.truth.is_caught_up()
        })?;
        problem.map_or(Ok(()), Err)?;
        self.wait("all machines to be ready", RECOVERY, Act::is_ready)?;
        let judged = started.elapsed();
        self.compare()?;
        let compared = started.elapsed().saturating_sub(judged);
        self.audit()?;
        let audited = started.elapsed().saturating_sub(judged).saturating_sub(compared);
        self.tell(&format!(
            "well: {} events, {} alerts, {} ticks; judged after {judged:.1?}, compared {compared:.1?}, audited {audited:.1?}",
            self.truth.events_seen(),
            self.truth.alerts(),
            self.truth.ticks,
        ));
        Ok(())
    }

    /// Each customer's alerts are those of the model: all that the journal knew of before the alerts were read, and nothing
    /// that it does not know of after.
    fn compare(&mut self) -> Result<(), String> {
        self.truth.follow_journal()?;
        let least = self.truth.expected();
        let started = Instant::now();
        loop {
            let alerts = self.witness.look()?;
            self.truth.found(alerts)?;
            match self.truth.missing(&least) {
                None => break,
                // A drain that was cut, or a marker on its way.
                Some(_) if started.elapsed() < VISIBLE => thread::sleep(Duration::from_millis(200)),
                Some(missing) => return Err(format!("lost: {missing}")),
            }
        }
        self.truth.follow_journal()?;
        self.truth.difference().map_or(Ok(()), Err)
    }

    fn audit(&mut self) -> Result<(), String> {
        let mut command = tocsin();
        command.arg("audit").arg("--json").arg("--config").arg(&self.config);
        command.arg("--bootstrap").arg(&self.ground.cluster.bootstrap).arg("--scratch").arg(&self.folder);
        let done = command.stdin(Stdio::null()).output().unwrap();
        let (text, told) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let report: Value = serde_json::from_str(&text).unwrap_or_default();
        let count = |path: &str| report.pointer(path).and_then(Value::as_u64);
        let is_clean = ["/totals/alerts/missing", "/totals/alerts/doubled", "/alerts_topic/unexplained"]
            .iter()
            .all(|path| count(path) == Some(0));
        let is_whole = count("/totals/alerts/equal") >= Some(self.truth.alerts() as u64);
        if done.status.success() && report["equal"] == true && is_clean && is_whole {
            return Ok(());
        }
        Err(format!("the audit: {} {report:#} {told}", done.status))
    }

    /// The end: everybody stops cleanly, and all alerts are read once more from the beginning.
    pub fn close(mut self) -> Result<usize, String> {
        for machine in &mut self.machines {
            if let Some(told) = machine.stop() {
                self.ground.story.tell(&format!("{}: {told}", machine.name));
            }
        }
        self.compare()?;
        let again = self.witness.look_again()?;
        if again != self.truth.alerts() {
            return Err(format!("{again} alerts at the last look, {} before", self.truth.alerts()));
        }
        self.audit()?;
        drop(std::mem::replace(&mut self.disk, Err(String::new())));
        delete_topics(&self.ground.cluster.bootstrap, &self.application);
        for machine in &self.machines {
            drop(fs::remove_dir_all(&machine.state));
        }
        Ok(again)
    }
}

/// What differs from act to act.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub workers: i64,
    pub is_static: bool,
    pub transaction_ms: i64,
    pub max_batch: i64,
    pub write_behind_ms: i64,
}

impl Settings {
    pub fn draw(rng: &mut Rng) -> Self {
        Self {
            workers: rng.range(1, 2),
            is_static: rng.chance(60),
            transaction_ms: rng.pick(&[2_000, 5_000]),
            max_batch: rng.pick(&[10, 200, 10_000]),
            write_behind_ms: rng.pick(&[100, 1_000, 3_000]),
        }
    }
}

fn config_of(application: &str, ground: &Ground, folder: &Path, archive: &Archive, settings: &Settings) -> String {
    let Settings { workers, is_static, transaction_ms, max_batch, write_behind_ms } = settings;
    let topic = |role: &str| format!("{application}.{role}");
    let checkpoints = match archive {
        Archive::Nowhere => String::new(),
        Archive::Directory => {
            format!("checkpoint: {{url: 'file://{}', interval: 5s}}\n", folder.join("checkpoints").display())
        }
        Archive::S3(server) => {
            server.bucket(application);
            format!("checkpoint: {{url: 's3://{application}/torture', interval: 15s}}\n")
        }
    };
    let filter = std::env::var("TOCSIN_TORTURE_LOG").unwrap_or_else(|_| "info".to_owned());
    format!(
        "application: {application}\nworkers: {workers}\nmemory_budget: 200MB\n\
         kafka: {{bootstrap: '{}', session_timeout: {}ms, transaction_timeout: {transaction_ms}ms, static_membership: {is_static}}}\n\
         topics: {{events: {}, alerts: {}, dead_letters: {}, journal: {}, rules: {}}}\n\
         time: {{max_out_of_orderness: 1s, history: 1h, idle_after: 1s}}\n\
         commit: {{max_batch: {max_batch}, write_behind: {write_behind_ms}ms}}\n{checkpoints}\
         http: {{listen: '127.0.0.1:0'}}\nlog: {{format: json, filter: '{filter}'}}\n",
        ground.cluster.bootstrap,
        SESSION.as_millis(),
        topic("events"),
        topic("alerts"),
        topic("dead-letters"),
        topic("journal"),
        topic("rules"),
    )
}

fn create_topics(bootstrap: &str, application: &str) {
    let mut settings = KafkaSettings::new(bootstrap, application, "harness", 0);
    settings.events_topic = format!("{application}.events");
    settings.alerts_topic = format!("{application}.alerts");
    settings.dead_letters_topic = format!("{application}.dead-letters");
    let create = Some(NewTopics { partitions: PARTITIONS as i32, replication: None });
    let policy = TopicPolicy { create, max_future_skew: Duration::from_mins(5) };
    topics::check(&settings, &policy).unwrap_or_else(|error| panic!("the topics: {error}"));
}

fn delete_topics(bootstrap: &str, application: &str) {
    use rdkafka::admin::{AdminClient, AdminOptions};
    use rdkafka::client::DefaultClientContext;
    let mut config = rdkafka::config::ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> = config.set("bootstrap.servers", bootstrap).create().unwrap();
    let names = ["events", "alerts", "dead-letters", "journal", "rules"].map(|role| format!("{application}.{role}"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Tidiness: what stays only takes room.
    drop(runtime.block_on(admin.delete_topics(&names, &AdminOptions::new())));
}
