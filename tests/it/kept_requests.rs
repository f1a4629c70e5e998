//! A worker is killed while it carries out a request, any kind of request: what was answered is there afterwards, and
//! what was not is there whole or not at all.
//!
//! In a cluster that is asked of its three topics: which connectors there are and what they shall be doing, where they
//! stand, and which topics they use. A standalone worker keeps no more than where its sources stand; its connectors
//! are those of its files again.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use transom_tests::worker::rest::{Answer, Rest};
use transom_tests::{Record, Worker, guests, kafka, unique, until};

const NAMES: [&str; 4] = ["a", "b-0", "c/d", "é"];

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
    let mixed = (kill as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17 * what as u32 + 5);
    (mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33) as usize % sides
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
            &["put", "patch", "delete", "pause", "stop", "stop", "restart", "topics", "logger", "stop"]
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
            after.connector = None;
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
    let [configs, offsets, statuses] = ["config", "offset", "status"].map(|of| latest(&format!("{group}-{of}")));
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
    NAMES.iter().map(|name| ((*name).to_owned(), state(name))).collect()
}

/// The key that says that a connector uses its topic.
fn used(name: &str) -> String {
    format!("status-topic-t:connector-{name}")
}

/// A worker, and what it keeps.
struct Kept {
    worker: Worker,
    /// `None`: it is standalone.
    group: Option<String>,
}

impl Kept {
    fn new(group: Option<String>) -> Self {
        let mut worker = match &group {
            Some(group) => Worker::distributed(kafka(), group),
            None => Worker::new(kafka()),
        };
        worker.install(&guests::FILE_SOURCE);
        match &group {
            // One partition, so that what the test writes stands behind what the worker wrote.
            Some(_) => drop(
                worker
                    .set("session.timeout.ms", "1000")
                    .set("heartbeat.interval.ms", "200")
                    .set("status.storage.partitions", "1"),
            ),
            None => NAMES.iter().for_each(|name| {
                let config = config("of the file");
                let config = config.as_object().unwrap().iter();
                let config: Vec<_> = config.map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect();
                worker.connector(name, &config);
            }),
        }
        Self { worker, group }
    }

    /// Starts it, and waits until every connector is what it shall be. What is kept then.
    fn start(&mut self, model: &States) -> States {
        if let Some(group) = &self.group {
            let topic = json!({ "topic": { "name": "t", "connector": "", "task": 0, "discoverTimestamp": 1 } });
            let record = |name: &String| Record::keyed(used(name), topic.to_string());
            let there = model.iter().filter(|(_, state)| state.connector.is_some());
            kafka().produce(&format!("{group}-status"), there.map(|(name, _)| record(name)));
        }
        self.worker.start();
        let rest = self.worker.rest();
        until("changes to be taken", || match rest.put("/connectors/nobody/pause", None).status {
            404 => Ok(()),
            status => Err(status.to_string()),
        });
        self.states()
    }

    /// What is kept, as far as the worker runs or can be seen without it.
    fn states(&self) -> States {
        match &self.group {
            Some(group) => in_topics(group),
            None => NAMES.iter().map(|name| ((*name).to_owned(), self.in_file(name))).collect(),
        }
    }

    /// What a standalone worker, which runs, says of a connector.
    fn in_file(&self, name: &str) -> State {
        let path = path_of(name);
        let told = until("the connector to be shown", || self.worker.rest().try_get(&format!("{path}/offsets")));
        let stands = told["offsets"].as_array().unwrap().first().cloned();
        let mark = self.worker.rest().get(&format!("{path}/config")).expect(200)["mark"].clone();
        State {
            connector: Some((mark.as_str().unwrap().to_owned(), "STARTED".to_owned())),
            position: stands.map(|at| at["offset"]["position"].as_u64().unwrap()),
            uses: false,
        }
    }

    /// Checks that the worker shows what is kept, and has a connector do what it shall do.
    fn check(&self, model: &States, name: &str) {
        let shown = self.worker.rest().get("/connectors?expand=info").expect(200);
        for (name, state) in model {
            let mark =
                shown.get(name).map(|parts| parts["info"]["config"]["mark"].as_str().unwrap().to_owned());
            assert_eq!(mark, state.connector.clone().map(|(mark, _)| mark), "{name} as the worker shows it");
        }
        if model[name].connector.as_ref().is_some_and(|(_, target)| target == "STOPPED") {
            self.worker.await_status(&path_of(name)["/connectors/".len()..], |status| {
                status["connector"]["state"] == "STOPPED" && status["tasks"] == json!([])
            });
        }
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

/// Kills it once at an instant of this request; what was kept then, and what was answered.
fn kill_at(kept: &mut Kept, asked: &Asked, delay: Duration) -> Result<Answer, String> {
    let rest: Rest = kept.worker.rest().clone();
    let (method, path, body) = (asked.method.parse().unwrap(), asked.path.clone(), asked.body.clone());
    let asking = thread::spawn(move || rest.try_call(&method, &path, body.as_ref()));
    // Not a synchronisation: the instant is the test's input, spread over the time that a request may take.
    thread::sleep(delay);
    kept.worker.kill();
    asking.join().unwrap()
}

fn kill_while_it_works(mut kept: Kept, kills: usize) {
    let mut model: States = NAMES.iter().map(|name| ((*name).to_owned(), State::default())).collect();
    if kept.group.is_none() {
        model.values_mut().for_each(|state| state.connector = Some(("of the file".into(), "STARTED".into())));
    }
    let (mut split, mut latencies) = (BTreeMap::<_, Split>::new(), BTreeMap::new());
    let mut last: Option<(String, Asked, Option<Answer>)> = None;
    for kill in 0..=kills {
        let now = kept.start(&model);
        if let Some((name, asked, answer)) = last.take() {
            let latency = latencies.entry(asked.kind).or_insert(Duration::from_millis(20));
            let split = split.entry(asked.kind).or_default();
            let before = model.insert(name.clone(), now[&name].clone()).unwrap();
            let carried_out = judge(&kept, (&before, &now[&name]), (&asked, answer.as_ref()), split);
            *latency = if carried_out { *latency * 2 / 3 } else { (*latency * 3 / 2).min(Duration::from_secs(2)) };
        }
        for (name, state) in &mut model {
            assert_eq!(now[name].connector, state.connector, "{name} was not asked for");
            assert_eq!(now[name].position, state.position, "{name} was not asked for");
            state.uses = now[name].uses;
        }
        if kill == kills {
            break;
        }
        let name = NAMES[dice(kill, 2, NAMES.len())];
        if kept.group.is_none() && dice(kill, 4, 3) > 0 {
            // Only one that is stopped can be moved, and only for as long as the worker runs.
            kept.worker.rest().put(&format!("{}/stop", path_of(name)), None).expect(204);
            model.get_mut(name).unwrap().connector = Some(("of the file".into(), "STOPPED".into()));
        }
        kept.check(&model, name);
        let asked = request(kill, name, &model[name]);
        if kept.group.is_none() {
            model.get_mut(name).unwrap().connector = Some(("of the file".into(), "STARTED".into()));
        }
        let latency = *latencies.entry(asked.kind).or_insert(Duration::from_millis(20));
        let answer = kill_at(&mut kept, &asked, latency * dice(kill, 3, 100) as u32 / 50);
        if let Ok(answer) = &answer {
            assert!(answer.status < 300, "kill {kill}: {asked:?}: {answer:?}");
        }
        if kept.group.is_some() {
            model.iter_mut().for_each(|(_, state)| state.uses &= state.connector.is_some());
        }
        last = Some((name.to_owned(), asked, answer.ok()));
    }
    let sum = |of: fn(&Split) -> usize| split.values().map(of).sum::<usize>();
    eprintln!(
        "{kills} kills: {} requests answered, {} carried out without an answer, {} not at all, {} that leave nothing \
         behind not answered; {split:?}",
        sum(|split| split.answered),
        sum(|split| split.done),
        sum(|split| split.undone),
        sum(|split| split.unknown),
    );
}
