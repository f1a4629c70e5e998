//! A worker of a cluster is killed while it carries out a request: what was answered is there afterwards, and what was
//! not is there whole or not at all.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use transom_tests::worker::rest::{Answer, Rest};
use transom_tests::{Worker, guests, kafka, unique, until};

/// What a connector is: what its configuration is marked with, and what it shall be doing.
type State = Option<(String, String)>;

const NAMES: [&str; 4] = ["a", "b-0", "c/d", "é"];

/// Numbers that look random and are the same in every run.
fn dice(kill: usize, what: usize, sides: usize) -> usize {
    let mixed = (kill as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17 * what as u32 + 5);
    (mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33) as usize % sides
}

fn config(mark: &str) -> Value {
    json!({ "connector.class": "FileStreamSource", "file": "/none", "topic": "t", "mark": mark })
}

/// A request, and what the connector is when it was carried out; `None`: it cannot be.
fn request(
    kill: usize,
    name: &str,
    before: &State,
) -> (impl FnOnce(&Rest) -> Result<Answer, String> + use<>, State) {
    let path = format!("/connectors/{}", name.replace('/', "%2F").replace('é', "%C3%A9"));
    let mark = format!("mark {kill}");
    let running = || "STARTED".to_owned();
    let (method, path, body, after) = match (before, dice(kill, 1, 5)) {
        (None, way) => {
            let (first, state) =
                [("RUNNING", "STARTED"), ("PAUSED", "PAUSED"), ("STOPPED", "STOPPED")][way % 3];
            let body = json!({ "name": name, "config": config(&mark), "initial_state": first });
            ("POST", "/connectors".to_owned(), Some(body), Some((mark, state.to_owned())))
        }
        (Some((_, target)), 0 | 1) => {
            ("PUT", format!("{path}/config"), Some(config(&mark)), Some((mark, target.clone())))
        }
        (Some((mark, target)), 2) if target == "STARTED" => {
            ("PUT", format!("{path}/stop"), None, Some((mark.clone(), "STOPPED".to_owned())))
        }
        (Some((mark, target)), 3) if target == "STARTED" => {
            ("PUT", format!("{path}/pause"), None, Some((mark.clone(), "PAUSED".to_owned())))
        }
        (Some((mark, target)), 2 | 3) if target != "STARTED" => {
            ("PUT", format!("{path}/resume"), None, Some((mark.clone(), running())))
        }
        (Some(_), _) => ("DELETE", path, None, None),
    };
    (move |rest: &Rest| rest.try_call(&method.parse().unwrap(), &path, body.as_ref()), after)
}

/// What the topic says of each connector.
fn states(topic: &str) -> BTreeMap<String, State> {
    let mut last: BTreeMap<String, Option<Value>> = BTreeMap::new();
    for record in kafka().read_all(topic) {
        let value = record.value.as_ref().map(|_| serde_json::from_str(record.text()).unwrap());
        last.insert(record.key_text().to_owned(), value);
    }
    let state = |name: &str| {
        let config = last.get(&format!("connector-{name}")).cloned().flatten();
        let target = last.get(&format!("target-state-{name}")).cloned().flatten();
        let Some(config) = config else {
            assert!(target.is_none(), "{name} is gone, and shall be doing {target:?}");
            return None;
        };
        let target =
            target.map_or("STARTED".to_owned(), |target| target["state.v2"].as_str().unwrap().to_owned());
        Some((config["properties"]["mark"].as_str().unwrap().to_owned(), target))
    };
    NAMES.iter().map(|name| ((*name).to_owned(), state(name))).collect()
}

fn kill_while_it_works(kills: usize) {
    let group = unique("requests");
    let topic = format!("{group}-config");
    let mut worker = Worker::distributed(kafka(), &group);
    worker
        .install(&guests::FILE_SOURCE)
        .set("session.timeout.ms", "1000")
        .set("heartbeat.interval.ms", "200");
    let mut model: BTreeMap<String, State> = NAMES.iter().map(|name| ((*name).to_owned(), None)).collect();
    let (mut answered, mut done, mut latency) = (0, 0, Duration::from_millis(100));
    for kill in 0..kills {
        worker.start();
        until("changes to be taken", || match worker.rest().put("/connectors/nobody/pause", None).status {
            404 => Ok(()),
            status => Err(status.to_string()),
        });
        let shown = worker.rest().get("/connectors?expand=info").expect(200);
        for (name, state) in &model {
            let mark =
                shown.get(name).map(|parts| parts["info"]["config"]["mark"].as_str().unwrap().to_owned());
            assert_eq!(mark, state.clone().map(|(mark, _)| mark), "{name} as the worker shows it");
        }
        let name = NAMES[dice(kill, 2, NAMES.len())];
        let (ask, after) = request(kill, name, &model[name]);
        let rest = worker.rest().clone();
        let asked = thread::spawn(move || ask(&rest));
        // Not a synchronisation: the instant is the test's input, spread over the time that a request may take.
        thread::sleep(latency * dice(kill, 3, 100) as u32 / 80);
        worker.kill();
        let answer = asked.join().unwrap();
        let now = states(&topic);
        for (other, state) in model.iter().filter(|(other, _)| *other != name) {
            assert_eq!(&now[other], state, "{other} was not asked for");
        }
        match answer {
            Ok(answer) => {
                assert!(answer.status < 300, "{answer:?}");
                assert_eq!(now[name], after, "kill {kill}: an answered request of {name} is lost");
                (answered, latency) = (answered + 1, latency * 3 / 4);
            }
            Err(_) => {
                let before = &model[name];
                assert!(now[name] == after || now[name] == *before, "kill {kill}: {name} is {:?}", now[name]);
                done += usize::from(now[name] == after);
                // So that about as many are answered as are not, however fast the machine is.
                latency = (latency * 5 / 4).min(Duration::from_secs(2));
            }
        }
        model = now;
    }
    eprintln!(
        "{kills} kills: {answered} requests answered, {done} carried out without an answer, the rest not at all"
    );
}

#[test]
fn a_request_is_kept_whole_or_not_at_all() {
    kill_while_it_works(8);
}

#[test]
#[ignore = "a measurement"]
fn a_hundred_requests_are_kept_whole_or_not_at_all() {
    kill_while_it_works(100);
}
