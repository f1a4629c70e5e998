use super::*;

#[test]
fn cursors_are_followed_to_the_end_and_beyond_it_when_there_is_more() {
    let total = Rc::new(Cell::new(7));
    let (mut test, asked) = source(&CURSOR, by_cursor(&total));
    let polled = poll(&mut test, 7);
    assert_eq!(polled.values(), ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(polled.positions[0].1.offset, json!({ "cursor": "3", "sent": 0 }));
    assert_eq!((&last(&polled)["cursor"], &last(&polled)["sent"]), (&json!("6"), &json!(1)));
    nothing(&mut test, &asked, 2);
    total.set(12);
    assert_eq!(poll(&mut test, 5).values(), ["7", "8", "9", "10", "11"]);
    assert!(asked.borrow().iter().all(|request| parameter(request, "type").as_deref() == Some("a")));
}

#[test]
fn an_api_that_always_has_a_cursor_is_not_asked_without_a_pause() {
    let settings = [&CURSOR[..], &[("interval.ms", "3600000")]].concat();
    let (mut test, asked) = source(&settings, |request| {
        let from: usize = parameter(request, "after").map_or(0, |text| text.parse().unwrap());
        let items: &[usize] = if from < 2 { &[from] } else { &[] };
        ok(&json!({ "items": items, "meta": { "next": from + 1 } }).to_string())
    });
    let polled = test.poll_all().unwrap();
    assert_eq!(polled.values(), ["0", "1"]);
    assert_eq!(last(&polled), &json!({ "cursor": "3", "sent": 0 }), "the position moves without a record");
    assert_eq!(asked.borrow().len(), 3);
    assert_eq!(test.poll().unwrap(), Polled::default());
}

#[test]
fn pages_are_counted_and_the_last_one_may_grow() {
    let total = Rc::new(Cell::new(5));
    let served = Rc::clone(&total);
    let settings = [
        ("pagination", "page"),
        ("page.param", "p"),
        ("page.start", "0"),
        ("page.size", "2"),
        ("page.size.param", "n"),
    ];
    let (mut test, asked) = source(&settings, move |request| {
        let [page, size] = ["p", "n"].map(|name| parameter(request, name).unwrap().parse::<usize>().unwrap());
        let to = ((page + 1) * size).min(served.get());
        ok(&json!((page * size..to).collect::<Vec<_>>()).to_string())
    });
    let polled = poll(&mut test, 5);
    assert_eq!(polled.values(), ["0", "1", "2", "3", "4"]);
    assert_eq!((&last(&polled)["page"], &last(&polled)["sent"]), (&json!(2), &json!(1)));
    nothing(&mut test, &asked, 2);
    total.set(6);
    assert_eq!(poll(&mut test, 1).values(), ["5"]);
    nothing(&mut test, &asked, 2);
    total.set(7);
    assert_eq!(poll(&mut test, 1).values(), ["6"]);
}

#[test]
fn links_are_followed() {
    let (mut test, asked) = source(&[("pagination", "link")], |request| {
        let page: usize = parameter(request, "page").map_or(1, |text| text.parse().unwrap());
        let response = ok(&format!("[{page}]"));
        match page {
            3 => response.with_header("Link", "</items>; rel=\"first\""),
            _ => response.with_header("link", &format!("</items?page={}>; rel=\"next\"", page + 1)),
        }
    });
    let polled = poll(&mut test, 3);
    assert_eq!(polled.values(), ["1", "2", "3"]);
    assert_eq!(last(&polled)["link"], "https://api/items?page=3");
    nothing(&mut test, &asked, 2);
    serve(|_| ok("[4]").with_header("link", "<https://elsewhere/>; rel=next"));
    let error = failure(&mut test);
    assert!(error.kind() == Kind::Fatal && error.message().contains("https://elsewhere:443"), "{error}");
}

#[test]
fn what_the_server_knows_to_be_unchanged_is_not_even_read() {
    let (mut test, asked) = source(&[], |request| {
        match (request.headers().get("if-none-match"), request.headers().get("if-modified-since")) {
            (Some("\"v1\""), Some("yesterday")) => Response::new(304),
            _ => ok("[1,2]").with_header("ETag", "\"v1\"").with_header("Last-Modified", "yesterday"),
        }
    });
    test.limit(1, 1 << 20, Duration::ZERO);
    let first = poll(&mut test, 1);
    assert_eq!(last(&first).get("etag"), None, "or the rest would never be seen");
    test.commit().unwrap();
    test.reopen().unwrap();
    let second = poll(&mut test, 1);
    assert_eq!(second.values(), ["2"]);
    assert_eq!((&last(&second)["etag"], &last(&second)["modified"]), (&json!("\"v1\""), &json!("yesterday")));
    test.commit().unwrap();
    nothing(&mut test, &asked, 2);
    test.reopen().unwrap();
    nothing(&mut test, &asked, 2);
    assert_eq!(asked.borrow().last().unwrap().headers().get("if-none-match"), Some("\"v1\""));
}

#[test]
fn a_new_start_goes_on_in_the_middle_of_a_page() {
    let total = Rc::new(Cell::new(8));
    let (mut test, _) = source(&CURSOR, by_cursor(&total));
    test.limit(1, 1 << 20, Duration::ZERO);
    let mut seen = Vec::new();
    while seen.len() < 8 {
        let polled = test.poll().unwrap();
        seen.extend(polled.values().into_iter().map(str::to_owned));
        test.commit().unwrap();
        // What was polled and is not durable comes again.
        test.poll().unwrap();
        test.reopen().unwrap();
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn a_page_that_changed_is_sent_anew_rather_than_lost() {
    let (mut test, _) = source(&[], |_| ok("[1,2,3]"));
    test.limit(2, 1 << 20, Duration::ZERO);
    assert_eq!(poll(&mut test, 2).values(), ["1", "2"]);
    test.commit().unwrap();
    serve(|_| ok("[0,1,2,3]"));
    test.reopen().unwrap();
    assert_eq!(poll(&mut test, 4).values(), ["0", "1", "2", "3"]);
    assert!(testing::logs().iter().any(|(_, line)| line.contains("sent anew")));
}
