//! What a server says besides the items: validators, when to come again, and where the next page is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use transom_tests::https::Https;
use transom_tests::until;

use super::cursors::{CURSORS, page};
use super::{Reader, header, items, parameters, status};

/// Items a page where the API divides them.
const PAGE: usize = 40;

type Answer = Response<Full<Bytes>>;

/// A server that shows so many items by this function.
fn serve(show: fn(&Request<Bytes>, usize) -> Answer) -> (Https, Arc<AtomicUsize>) {
    let total = Arc::new(AtomicUsize::new(0));
    let served = Arc::clone(&total);
    let api = Https::start(&["h2", "http/1.1"], move |request| show(request, served.load(Ordering::Relaxed)));
    (api, total)
}

/// Waits until the server was asked so often again.
#[track_caller]
fn await_requests(reader: &Reader, more: usize) {
    let wanted = reader.api.requests() + more;
    until("the server to be asked", || {
        let now = reader.api.requests();
        if now >= wanted { Ok(()) } else { Err(format!("{now} of {wanted} requests")) }
    });
}

#[test]
fn what_is_unchanged_is_not_sent_again_by_the_server_either() {
    // How many answers had a body, by the number of items they had.
    let whole = Arc::<Mutex<Vec<usize>>>::default();
    let (total, shown) = (Arc::new(AtomicUsize::new(100)), Arc::clone(&whole));
    let served = Arc::clone(&total);
    let api = Https::start(&["h2", "http/1.1"], move |request| {
        let total = served.load(Ordering::Relaxed);
        let tag = format!("W/\"{total}\"");
        if header(request, "if-none-match") == Some(&tag) {
            return status(304);
        }
        shown.lock().unwrap().push(total);
        Response::builder().header("etag", tag).body(Full::from(items(0..total))).unwrap()
    });
    let mut reader = Reader::new(api, &[]);
    reader.worker.start();
    assert_eq!(reader.check(100), 0, "no item came twice");
    await_requests(&reader, 5);
    total.store(150, Ordering::Relaxed);
    assert_eq!(reader.check(150), 0, "no item came twice");
    await_requests(&reader, 5);
    // The validator is in the offset: a new start, in good order or not, asks by it.
    assert!(reader.worker.terminate().success());
    reader.worker.start();
    await_requests(&reader, 5);
    reader.worker.kill();
    reader.worker.start();
    await_requests(&reader, 5);
    assert_eq!(*whole.lock().unwrap(), [100, 150]);
    total.store(170, Ordering::Relaxed);
    assert_eq!(reader.check(170), 0, "no item came twice");
    assert_eq!(*whole.lock().unwrap(), [100, 150, 170]);
}

/// When a server that had enough wants to be asked again.
struct Break {
    told: SystemTime,
    /// When it was asked again.
    asked: Option<SystemTime>,
}

#[test]
fn a_server_that_had_enough_is_left_alone_as_long_as_it_says() {
    const ITEMS: usize = 1_200;
    let breaks = Arc::<Mutex<Vec<Break>>>::default();
    let (kept, count) = (Arc::clone(&breaks), AtomicUsize::new(0));
    let api = Https::start(&["h2", "http/1.1"], move |request| {
        let mut breaks = kept.lock().unwrap();
        let now = SystemTime::now();
        if let Some(last) = breaks.last_mut() {
            last.asked.get_or_insert(now);
        }
        // In the midst of the pages, and in every way that there is.
        let (code, date) = match count.fetch_add(1, Ordering::Relaxed) {
            2 => (429, false),
            5 => (503, true),
            8 => (429, true),
            9 => (503, false),
            _ => return page(request, ITEMS),
        };
        // A date has no fractions of a second.
        let (told, text) = if date {
            let text = httpdate::fmt_http_date(now + Duration::from_millis(2_500));
            (httpdate::parse_http_date(&text).unwrap(), text)
        } else {
            (now + Duration::from_secs(1), "1".to_owned())
        };
        breaks.push(Break { told, asked: None });
        Response::builder().status(code).header("retry-after", text).body(Full::default()).unwrap()
    });
    // Its own wait would be over at once.
    let mut reader =
        Reader::new(api, &[&CURSORS[..], &[("backoff.ms", "1"), ("backoff.max.ms", "1")]].concat());
    reader.worker.start();
    assert_eq!(reader.check(ITEMS), 0, "no item came twice");
    let breaks = breaks.lock().unwrap();
    assert_eq!(breaks.len(), 4);
    for Break { told, asked } in &*breaks {
        let late = asked.unwrap().duration_since(*told).expect("not asked before the time");
        assert!(late < Duration::from_secs(20), "{late:?}: not the time that was told");
    }
}

/// A page by its number, from 1 on.
fn numbered(request: &Request<Bytes>, total: usize) -> Answer {
    let parameters = parameters(request);
    let number = |name| parameters.get(name).map_or(1, |text: &&str| text.parse::<usize>().unwrap());
    let (number, size) = (number("page"), number("size"));
    assert_eq!(size, PAGE);
    let from = ((number - 1) * size).min(total);
    Response::new(Full::from(items(from..(from + size).min(total))))
}

#[test]
fn pages_are_read_by_their_numbers() {
    let (api, total) = serve(numbered);
    let size = PAGE.to_string();
    let mut reader =
        Reader::new(api, &[("pagination", "page"), ("page.size", &size), ("page.size.param", "size")]);
    // A page that is full, one that is not, and one that becomes full.
    follow(&mut reader, &total, &[PAGE * 3, PAGE * 3 + 7, PAGE * 4, PAGE * 10 - 1]);
}

/// A page that names the next one in a header, if there is one; its validator does not cover that.
fn linked(request: &Request<Bytes>, total: usize) -> Answer {
    let from: usize = parameters(request).get("from").map_or(0, |text| text.parse().unwrap());
    let to = (from + PAGE).min(total);
    let tag = format!("\"{from}-{to}\"");
    let mut response = Response::builder().header("etag", &tag);
    if to < total {
        let link = format!("</items>; rel=\"first\"; title=\"a <b>; c\", </items?from={to}>; rel=\"next\"");
        response = response.header("link", link);
    }
    if header(request, "if-none-match") == Some(&tag) {
        return response.status(304).body(Full::default()).unwrap();
    }
    response.body(Full::from(items(from..to))).unwrap()
}

#[test]
fn pages_are_read_by_the_links_between_them() {
    let (api, total) = serve(linked);
    let mut reader = Reader::new(api, &[("pagination", "link")]);
    // The last page is full, and gets a successor without a change of its own.
    follow(&mut reader, &total, &[PAGE * 3, PAGE * 3 + 7, PAGE * 4, PAGE * 10 - 1]);
}

/// Reads an API that grows to each of these numbers of items, across a new start of the worker too.
#[track_caller]
fn follow(reader: &mut Reader, total: &AtomicUsize, steps: &[usize]) {
    reader.worker.start();
    for (round, &items) in steps.iter().enumerate() {
        total.store(items, Ordering::Relaxed);
        assert_eq!(reader.check(items), 0, "no item came twice");
        await_requests(reader, 3);
        if round == 1 {
            assert!(reader.worker.terminate().success());
            reader.worker.start();
        }
    }
    assert_eq!(reader.check(steps[steps.len() - 1]), 0, "no item came twice");
}
