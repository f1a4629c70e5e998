//! A worker is killed while it carries out a request, any kind of request: what was answered is there afterwards, and
//! what was not is there whole or not at all.
//!
//! A cluster keeps in its three topics which connectors there are, what they shall be doing, where they stand and which
//! topics they use. A standalone worker keeps where its sources stand; its connectors are those of its files.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use transom_tests::worker::rest::{Answer, Rest};
use transom_tests::{Record, Worker, guests, kafka, unique, until};

const NAMES: [&str; 4] = ["a", "b-0", "c/d", "é"];

/// The mark of the connectors that a standalone worker is started with.
const FILE: &str = "of the file";

/// What is kept of a name.
#[derive(Debug, Clone, PartialEq, Default)]
struct State {
    /// What its configuration is marked with, and what it shall be doing.
    connector: Option<(String, String)>,
    /// Where its source stands, whether there is a connector or not.
    position: Option<u64>,
    /// Whether it uses its topic.
    uses: bool,
}

type States = BTreeMap<String, State>;

fn states_of(state: impl Fn(&str) -> State) -> States {
    NAMES.iter().map(|name| ((*name).to_owned(), state(name))).collect()
}

/// A request, and what its connector is once it was carried out.
#[derive(Debug)]
struct Asked {
    kind: &'static str,
    method: &'static str,
    path: String,
    body: Option<Value>,
    after: State,
}

/// Numbers that look random and are the same in every run.
fn dice(kill: usize, what: usize, sides: usize) -> usize {
    let mut mixed = (kill * 8 + what + 1) as u64;
    for factor in [0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB] {
        mixed = mixed.wrapping_mul(factor);
        mixed ^= mixed >> 29;
    }
    mixed as usize % sides
}

fn config(mark: &str) -> Value {
    json!({ "connector.class": "FileStreamSource", "file": "/none", "topic": "t", "mark": mark })
}

fn path_of(name: &str) -> String {
    format!("/connectors/{}", name.replace('/', "%2F").replace('é', "%C3%A9"))
}

/// What may be asked of a connector that shall be doing this.
fn kinds(target: Option<&str>) -> &'static [&'static str] {
    match target {
        None => &["create", "create paused", "create stopped", "put"],
        Some("STARTED") => {
            &["put", "patch", "delete", "pause", "stop", "stop", "restart", "topics", "logger", "restart"]
        }
        Some("PAUSED") => &["put", "patch", "delete", "resume", "stop", "restart", "topics", "logger"],
        Some(_) => {
            &["patch", "alter", "reset", "alter", "delete", "reset", "resume", "alter", "topics", "put"]
        }
    }
}

fn request(kill: usize, name: &str, before: &State) -> Asked {
    let (path, mark) = (path_of(name), format!("mark {kill}"));
    let target = before.connector.as_ref().map(|(_, target)| target.as_str());
    let kinds = kinds(target);
    let kind = kinds[dice(kill, 1, kinds.len())];
    let to = |mark: &str, target: &str| Some((mark.to_owned(), target.to_owned()));
    let told = before.connector.as_ref().map_or("", |(mark, _)| mark);
    let mut after = before.clone();
    let mut create = |initial: &str, target: &str| {
        after.connector = to(&mark, target);
        let body = json!({ "name": name, "config": config(&mark), "initial_state": initial });
        ("POST", "/connectors".to_owned(), Some(body))
    };
    let (method, path, body) = match kind {
        "create" => create("RUNNING", "STARTED"),
        "create paused" => create("PAUSED", "PAUSED"),
        "create stopped" => create("STOPPED", "STOPPED"),
        "put" | "patch" => {
            after.connector = to(&mark, target.unwrap_or("STARTED"));
            let (method, body) =
                if kind == "put" { ("PUT", config(&mark)) } else { ("PATCH", json!({ "mark": mark })) };
            (method, format!("{path}/config"), Some(body))
        }
        "delete" => {
            (after.connector, after.uses) = (None, false);
            ("DELETE", path, None)
        }
        "pause" | "stop" | "resume" => {
            let state = [("pause", "PAUSED"), ("stop", "STOPPED"), ("resume", "STARTED")];
            after.connector = to(told, state.iter().find(|(verb, _)| *verb == kind).unwrap().1);
            ("PUT", format!("{path}/{kind}"), None)
        }
        "alter" => {
            let position = kill as u64 + 1;
            after.position = Some(position);
            let offset = json!({ "partition": partition(), "offset": { "position": position } });
            ("PATCH", format!("{path}/offsets"), Some(json!({ "offsets": [offset] })))
        }
        "reset" => {
            after.position = None;
            ("DELETE", format!("{path}/offsets"), None)
        }
        "topics" => {
            after.uses = false;
            ("PUT", format!("{path}/topics/reset"), None)
        }
        "restart" => ("POST", format!("{path}/restart?includeTasks=true"), None),
        _ => ("PUT", "/admin/loggers/transom::rest".to_owned(), Some(json!({ "level": "DEBUG" }))),
    };
    Asked { kind, method, path, body, after }
}

fn partition() -> Value {
    json!({ "filename": "/none" })
}

/// The last value of every key of a topic.
fn latest(topic: &str) -> BTreeMap<String, Option<Value>> {
    let value = |record: &Record| record.value.as_ref().map(|_| serde_json::from_str(record.text()).unwrap());
    kafka().read_all(topic).iter().map(|record| (record.key_text().to_owned(), value(record))).collect()
}

/// What the topics of a cluster say of each name.
fn in_topics(group: &str) -> States {
    let [configs, offsets, statuses] = thread::scope(|scope| {
        let read = |of| scope.spawn(move || latest(&format!("{group}-{of}")));
        ["config", "offset", "status"].map(read).map(|reading| reading.join().unwrap())
    });
    let state = |name: &str| {
        let config = configs.get(&format!("connector-{name}")).cloned().flatten();
        let target = configs.get(&format!("target-state-{name}")).cloned().flatten();
        let connector = config.map(|config| {
            let target = target.as_ref().map_or("STARTED", |target| target["state.v2"].as_str().unwrap());
            (config["properties"]["mark"].as_str().unwrap().to_owned(), target.to_owned())
        });
        assert!(connector.is_some() || target.is_none(), "{name} is gone, and shall be doing {target:?}");
        let stands = offsets.get(&json!([name, partition()]).to_string()).cloned().flatten();
        let uses = statuses.get(&used(name)).is_some_and(Option::is_some) && connector.is_some();
        State { connector, position: stands.map(|at| at["position"].as_u64().unwrap()), uses }
    };
    states_of(state)
}

/// The key that says that a connector uses its topic.
fn used(name: &str) -> String {
    format!("status-topic-t:connector-{name}")
}

/// A worker, and what it keeps.
struct Kept {
    worker: Worker,
    runs: bool,
    /// `None`: it is standalone.
    group: Option<String>,
}

impl Kept {
    fn in_cluster() -> Self {
        let group = unique("requests");
        let mut worker = Worker::distributed(kafka(), &group);
        worker.install(&guests::FILE_SOURCE);
        // One partition, so that what the test writes stands behind what the worker wrote.
        worker.set("status.storage.partitions", "1");
        worker.set("session.timeout.ms", "1000").set("heartbeat.interval.ms", "200");
        Self { worker, runs: false, group: Some(group) }
    }

    fn standalone() -> Self {
        let mut worker = Worker::new(kafka());
        worker.install(&guests::FILE_SOURCE);
        let config = config(FILE);
        let config = config.as_object().unwrap().iter();
        let config: Vec<_> = config.map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect();
        for name in NAMES {
            worker.connector(name, &config);
        }
        Self { worker, runs: false, group: None }
    }

    /// What there is before the first start.
    fn first(&self) -> States {
        let connector = self.group.is_none().then(|| (FILE.to_owned(), "STARTED".to_owned()));
        states_of(|_| State { connector: connector.clone(), ..State::default() })
    }

    /// Starts it, each connector with its topic in use, and waits until it takes changes.
    fn start(&mut self, model: &mut States) {
        if let Some(group) = &self.group {
            let topic =
                json!({ "topic": { "name": "t", "connector": "", "task": 0, "discoverTimestamp": 1 } });
            let there = model.iter_mut().filter(|(_, state)| state.connector.is_some());
            let records = there.map(|(name, state)| {
                state.uses = true;
                Record::keyed(used(name), topic.to_string())
            });
            kafka().produce(&format!("{group}-status"), records);
        }
        if !self.runs {
            self.worker.start();
            self.worker.await_plugins(1);
            self.runs = true;
        }
        // Those of its files it makes after it has begun to answer.
        let count = if self.group.is_none() { NAMES.len() } else { 0 };
        until("the connectors of its files", || {
            let names = self.worker.rest().try_get("/connectors")?;
            if names.as_array().is_some_and(|names| names.len() >= count) {
                Ok(())
            } else {
                Err(names.to_string())
            }
        });
        until("changes to be taken", || {
            match self.worker.rest().put("/connectors/nobody/pause", None).status {
                404 => Ok(()),
                status => Err(status.to_string()),
            }
        });
    }

    /// What is kept now that it was killed.
    fn states(&mut self) -> States {
        if let Some(group) = &self.group {
            return in_topics(group);
        }
        // Only the worker can tell: its file is its own.
        self.start(&mut States::new());
        states_of(|name| self.shown(name))
    }

    /// What a standalone worker says of a connector.
    fn shown(&self, name: &str) -> State {
        let path = path_of(name);
        let offsets = || self.worker.rest().try_get(&format!("{path}/offsets"));
        let stands =
            until("the offsets of a connector", offsets)["offsets"][0]["offset"]["position"].as_u64();
        let config = self.worker.rest().get(&format!("{path}/config")).expect(200);
        let connector = (config["mark"].as_str().unwrap().to_owned(), "STARTED".to_owned());
        State { connector: Some(connector), position: stands, uses: false }
    }

    /// Checks that the worker shows what is kept.
    fn check(&self, model: &States) {
        let shown = self.worker.rest().get("/connectors?expand=info").expect(200);
        for (name, state) in model {
            let mark =
                shown.get(name).map(|parts| parts["info"]["config"]["mark"].as_str().unwrap().to_owned());
            assert_eq!(mark, state.connector.clone().map(|(mark, _)| mark), "{name} as the worker shows it");
        }
    }

    /// Has a connector settle, stopped if it is one of a standalone worker that shall be asked for what that needs.
    fn settle(&self, name: &str, kill: usize, state: &mut State) {
        let path = path_of(name);
        let Some((_, target)) = &mut state.connector else { return };
        if self.group.is_none() && dice(kill, 4, 3) > 0 {
            self.worker.rest().put(&format!("{path}/stop"), None).expect(204);
            "STOPPED".clone_into(target);
        }
        if target == "STOPPED" {
            self.worker.await_status(path.trim_start_matches("/connectors/"), |status| {
                status["connector"]["state"] == "STOPPED" && status["tasks"] == json!([])
            });
        }
    }

    /// Kills it at an instant of this request. What was answered.
    fn kill_at(&mut self, asked: &Asked, delay: Duration) -> Result<Answer, String> {
        let rest: Rest = self.worker.rest().clone();
        let (method, path, body) = (asked.method.parse().unwrap(), asked.path.clone(), asked.body.clone());
        let asking = thread::spawn(move || rest.try_call(&method, &path, body.as_ref()));
        // Not a synchronisation: the instant is the test's input, spread over the time that a request may take.
        thread::sleep(delay);
        self.worker.kill();
        self.runs = false;
        asking.join().unwrap()
    }
}

/// How many kills fell where.
#[derive(Debug, Default)]
struct Split {
    answered: usize,
    /// Carried out, and not answered.
    done: usize,
    /// Not carried out at all.
    undone: usize,
    /// Not answered, of a kind that leaves nothing behind.
    unknown: usize,
}

impl Split {
    /// Checks what a kill has left of a request, and says whether that was carried out.
    fn judge(
        &mut self,
        asked: &Asked,
        answer: &Result<Answer, String>,
        [before, now, after]: [&State; 3],
    ) -> bool {
        if let Ok(answer) = answer {
            assert!(answer.status < 300, "{asked:?}: {answer:?}");
            assert_eq!(now, after, "an answered request is lost: {asked:?}");
            self.answered += 1;
            return true;
        }
        assert!(now == after || now == before, "{before:?} has become {now:?} by {asked:?}");
        let count = match (before == after, now == after) {
            (true, _) => &mut self.unknown,
            (false, true) => &mut self.done,
            (false, false) => &mut self.undone,
        };
        *count += 1;
        before != after && now == after
    }
}

fn kill_while_it_works(mut kept: Kept, kills: usize) {
    let mut model = kept.first();
    let (mut splits, mut latencies) = (BTreeMap::<_, Split>::new(), BTreeMap::new());
    for kill in 0..kills {
        kept.start(&mut model);
        kept.check(&model);
        let name = NAMES[dice(kill, 2, NAMES.len())];
        let before = model[name].clone();
        let mut settled = before.clone();
        kept.settle(name, kill, &mut settled);
        let asked = request(kill, name, &settled);
        let mut after = asked.after.clone();
        if kept.group.is_none() {
            after.connector.clone_from(&before.connector);
        }
        let latency = latencies.entry(asked.kind).or_insert(Duration::from_millis(10));
        let answer = kept.kill_at(&asked, *latency * dice(kill, 3, 100) as u32 / 50);
        let mut now = kept.states();
        // A connector of this name was deleted a moment ago: that its topics are gone may not have been told yet.
        if before.connector.is_none() {
            now.get_mut(name).unwrap().uses = false;
        }
        for (other, state) in model.iter().filter(|(other, _)| *other != name) {
            assert_eq!(&now[other], state, "{other} was not asked for");
        }
        let split = splits.entry(asked.kind).or_default();
        // So that about as many are carried out as are not, however fast the machine is.
        *latency = if split.judge(&asked, &answer, [&before, &now[name], &after]) {
            *latency / 2
        } else {
            (*latency * 2).min(Duration::from_secs(2))
        };
        model = now;
    }
    let sum = |of: fn(&Split) -> usize| splits.values().map(of).sum::<usize>();
    eprintln!(
        "{kills} kills: {} requests answered, {} carried out without an answer, {} not carried out, {} without an \
         answer of a kind that leaves nothing behind\n{splits:?}",
        sum(|split| split.answered),
        sum(|split| split.done),
        sum(|split| split.undone),
        sum(|split| split.unknown),
    );
}

#[test]
fn a_request_to_a_cluster_is_kept_whole_or_not_at_all() {
    kill_while_it_works(Kept::in_cluster(), 8);
}

#[test]
fn a_request_to_a_standalone_worker_is_kept_whole_or_not_at_all() {
    kill_while_it_works(Kept::standalone(), 20);
}

#[test]
#[ignore = "a measurement"]
fn a_hundred_requests_to_a_cluster_are_kept_whole_or_not_at_all() {
    kill_while_it_works(Kept::in_cluster(), 100);
}

#[test]
#[ignore = "a measurement"]
fn a_hundred_requests_to_a_standalone_worker_are_kept_whole_or_not_at_all() {
    kill_while_it_works(Kept::standalone(), 100);
}
