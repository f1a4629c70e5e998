//! A server that does not take everything at once: before the real one stands another that answers 429 or 503 by
//! itself, to whole requests or to single documents, and hands on the rest.

use std::sync::{Arc, Mutex};

use transom_tests::https::Https;
use transom_tests::search::opensearch;

use super::*;

/// Whose requests are always put off.
const LATER: &str = "/later";
const DOCUMENTS: usize = 40;

/// What the server in front does, and has done.
#[derive(Default)]
struct Front {
    /// How whole requests are refused: the status, and `Retry-After`.
    whole: Option<(u16, Option<&'static str>)>,
    /// Which single actions are refused: those for which this is true, of the document, the record's number and how
    /// many requests were about the document before.
    single: Option<fn(&str, usize, usize) -> bool>,
    /// Whether who comes by [`LATER`] may come at once.
    now: bool,
    refused: usize,
    put_off: usize,
    /// Requests about each document so far.
    requests: BTreeMap<String, usize>,
    /// Numbers of the records of each document that were handed on, in their order.
    handed_on: BTreeMap<String, Vec<usize>>,
}

/// An action: the document, the record's number, and its lines.
struct Action {
    name: String,
    document: String,
    number: usize,
    lines: String,
}

/// The actions of a body, each with a document.
fn actions(body: &[u8]) -> Vec<Action> {
    let lines: Vec<_> = std::str::from_utf8(body).unwrap().lines().collect();
    let action = |pair: &[&str]| {
        let parsed = [pair[0], pair[1]].map(|line| serde_json::from_str::<Value>(line).unwrap());
        let (name, of) = parsed[0].as_object().unwrap().iter().next().unwrap();
        let document = if name == "update" { &parsed[1]["doc"] } else { &parsed[1] };
        let number = document["n"].as_u64().unwrap() as usize;
        let (name, document) = (name.clone(), of["_id"].as_str().unwrap().to_owned());
        Action { name, document, number, lines: format!("{}\n{}\n", pair[0], pair[1]) }
    };
    lines.chunks(2).map(action).collect()
}

impl Front {
    fn answer(&mut self, search: &Search, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        if request.uri().path().starts_with(LATER) {
            if !self.now {
                self.put_off += 1;
                return refusal(429, Some("3600"));
            }
            let mut to = request.clone();
            *to.uri_mut() = request.uri().to_string().replace(LATER, "").parse().unwrap();
            let (status, body) = hand_on(search, &to, request.body().to_vec());
            return answer(status, body);
        }
        if let Some((status, after)) = self.whole {
            self.refused += 1;
            return refusal(status, after);
        }
        self.judge(search, request)
    }

    /// Hands on those actions that are not refused, and answers as if the server had refused the others.
    fn judge(&mut self, search: &Search, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let actions = actions(request.body());
        let before = self.requests.clone();
        let refused = |action: &Action| {
            let before = before.get(&action.document).copied().unwrap_or(0);
            self.single.is_some_and(|refused| refused(&action.document, action.number, before))
        };
        let refused: Vec<_> = actions.iter().map(refused).collect();
        let mut body = String::new();
        for (action, refused) in actions.iter().zip(&refused) {
            let before = before.get(&action.document).copied().unwrap_or(0);
            self.requests.insert(action.document.clone(), before + 1);
            if !refused {
                body.push_str(&action.lines);
                self.handed_on.entry(action.document.clone()).or_default().push(action.number);
            }
        }
        let taken = if body.is_empty() {
            json!({ "errors": false, "items": [] })
        } else {
            let (status, text) = hand_on(search, request, body.into_bytes());
            assert_eq!(status, 200, "{text}");
            serde_json::from_str(&text).unwrap()
        };
        let mut items = taken["items"].as_array().unwrap().iter();
        let busy = json!({ "type": "es_rejected_execution_exception", "reason": "the queue is full" });
        let item = |(action, refused): (&Action, &bool)| {
            if *refused {
                json!({ &action.name: { "status": 429, "error": busy } })
            } else {
                items.next().unwrap().clone()
            }
        };
        let all: Vec<_> = actions.iter().zip(&refused).map(item).collect();
        let errors = taken["errors"] == true || refused.contains(&true);
        self.refused += usize::from(refused.contains(&true));
        answer(200, json!({ "errors": errors, "items": all }).to_string())
    }
}

fn refusal(status: u16, after: Option<&str>) -> Response<Full<Bytes>> {
    let mut refusal = answer(status, json!({ "error": "busy", "status": status }).to_string());
    if let Some(after) = after {
        refusal.headers_mut().insert("retry-after", after.parse().unwrap());
    }
    refusal
}

/// The server in front, and a job that goes by it.
fn job(more: &[(&str, &str)]) -> (Job, Arc<Mutex<Front>>, Https) {
    let front = Arc::<Mutex<Front>>::default();
    let kept = Arc::clone(&front);
    let https =
        Https::start(&["h2", "http/1.1"], move |request| kept.lock().unwrap().answer(opensearch(), request));
    let mut job = Job::by(opensearch(), &https.url(), 1, more);
    job.worker.set("sandbox.elasticsearch-sink.tls.ca", &https.ca().display().to_string());
    (job, front, https)
}

/// Waits until so many more were refused.
#[track_caller]
fn await_refused(front: &Mutex<Front>, more: usize) {
    let wanted = front.lock().unwrap().refused + more;
    until("refusals", || match front.lock().unwrap().refused {
        refused if refused >= wanted => Ok(()),
        refused => Err(format!("{refused} of {wanted}")),
    });
}

/// Every record was handed on once, and those of each document in their order.
#[track_caller]
fn assert_in_order(front: &Mutex<Front>, records: usize, documents: usize) {
    let handed_on = &front.lock().unwrap().handed_on;
    assert_eq!(handed_on.len(), documents);
    for (document, numbers) in handed_on {
        let first: usize = document[1..].parse().unwrap();
        assert_eq!(*numbers, (first..records).step_by(documents).collect::<Vec<_>>(), "{document}");
    }
}

#[test]
fn a_server_that_wants_fewer_requests_holds_up_the_partition_and_gets_each_record_once() {
    // Updates have no versions: what comes twice or in a wrong order is seen.
    let (mut job, front, _https) = job(&[
        ("write.method", "upsert"),
        ("batch.size", "100"),
        ("consumer.override.session.timeout.ms", "4000"),
        ("consumer.override.max.poll.interval.ms", "4000"),
    ]);
    job.add(KEYS);
    job.worker.start();
    job.await_committed(&job.connector);
    let group = format!("connect-{}", job.connector);
    let before = kafka().group(&group).unwrap();
    assert_eq!((before.state.as_str(), before.ids.len()), ("Stable", 1));
    // The first one for longer than a consumer that is not polled stays a member.
    for (status, after, times) in [(429, Some("1"), 7), (503, Some("1"), 2), (503, None, 4)] {
        let committed = job.added as i64;
        front.lock().unwrap().whole = Some((status, after));
        job.add(2_000);
        await_refused(&front, times);
        job.worker.await_running(&job.connector, 1);
        assert_eq!(kafka().committed(&group, &job.topic), [Some(committed)]);
        assert_eq!(kafka().group(&group).as_ref(), Some(&before), "nobody has left or come");
        front.lock().unwrap().whole = None;
        job.await_committed(&job.connector);
    }
    assert_eq!(kafka().group(&group).as_ref(), Some(&before), "nobody has left or come");
    let labels = [("connector", job.connector.as_str())];
    let metrics = job.worker.metrics();
    assert_eq!(metrics.sum("transom_task_partitions", &labels), Some(1.0));
    assert_eq!(metrics.sum("transom_task_restarts_total", &labels).unwrap_or(0.0), 0.0);
    assert_in_order(&front, job.added, KEYS);
    let documents = job.search.documents(&job.index);
    assert!(job.expected().iter().all(|(key, document)| documents[key].source == document.source));
}

#[test]
fn a_server_is_not_asked_before_the_time_that_it_named() {
    let (mut job, front, https) = job(&[("batch.size", "100")]);
    let patient = [("batch.size", "100"), ("max.in.flight.requests", "1")];
    let later = job.connect(&format!("{}{LATER}", https.url()), &patient);
    front.lock().unwrap().whole = Some((503, Some("1")));
    job.add(2_000);
    job.worker.start();
    until("a request that is put off", || match front.lock().unwrap().put_off {
        0 => Err(String::new()),
        _ => Ok(()),
    });
    // Who is told to wait a second comes again and again.
    await_refused(&front, 4);
    assert_eq!(front.lock().unwrap().put_off, 1, "who is told to wait an hour does");
    job.worker.await_running(&later, 1);
    {
        let mut front = front.lock().unwrap();
        (front.whole, front.now) = (None, true);
    }
    job.check();
    // That the server said so is forgotten with the task.
    job.worker.rest().post(&format!("/connectors/{later}/restart?includeTasks=true"), None);
    job.await_committed(&later);
    job.check();
}

fn few(number: usize) -> Record {
    Record::keyed(format!("k{}", number % DOCUMENTS), value(number).to_string())
}

#[test]
fn documents_that_are_refused_for_now_go_again_in_their_order() {
    let more = [("write.method", "upsert"), ("batch.size", "100"), ("retry.backoff.ms", "10")];
    let (mut job, front, _https) = job(&more);
    // As a shard does that is too busy: all of a document, two times of three.
    front.lock().unwrap().single = Some(|document, _, before| document.ends_with('7') && before % 3 != 2);
    kafka().produce(&job.topic, (0..1_200).map(few));
    job.worker.start();
    job.await_committed(&job.connector);
    assert!(job.metric("retried_requests") >= 2.0);
    assert!(front.lock().unwrap().refused >= 2);
    assert_in_order(&front, 1_200, DOCUMENTS);
    let documents = job.search.documents(&job.index);
    for number in 1_200 - DOCUMENTS..1_200 {
        assert_eq!(documents[&format!("k{}", number % DOCUMENTS)].source, value(number));
    }
}

#[test]
fn records_that_are_refused_for_now_never_take_the_place_of_later_ones() {
    let (mut job, front, _https) = job(&[("batch.size", "100"), ("retry.backoff.ms", "10")]);
    // Single records in the midst of a request, while later ones of the same document are taken.
    front.lock().unwrap().single = Some(|_, number, before| number % 7 == 0 && before % 3 != 2);
    kafka().produce(&job.topic, (0..1_200).map(few));
    job.worker.start();
    job.await_committed(&job.connector);
    assert!(front.lock().unwrap().refused >= 2);
    let last = (1_200 - DOCUMENTS..1_200).map(|number| (few(number), document(number as i64, number)));
    let expected = last.map(|(record, document)| (record.key_text().to_owned(), document)).collect();
    assert_same(&job.search.documents(&job.index), &expected);
}
