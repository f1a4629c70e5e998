//! What a server may do that means no good, or is of no use.

use super::*;

/// How a source before a server that always answers so fails.
fn told(settings: &[(&str, &str)], answer: &Response) -> Error {
    let answer = answer.clone();
    let (mut test, _) = source(settings, move |_| answer.clone());
    failure(&mut test)
}

#[test]
fn an_answer_that_cannot_be_used_is_not_taken_for_the_end() {
    let zipped = ok("[1]").with_header("content-encoding", "gzip");
    let more = ok(r#"{"items":[1],"meta":{"next":true}}"#);
    let long = ok(&format!(r#"{{"items":[1],"meta":{{"next":"{}"}}}}"#, "c".repeat(9_000)));
    let link = ok("[1]").with_header("link", &format!("</{}>; rel=next", "l".repeat(9_000)));
    let pages = [("pagination", "page"), ("page.size", "2")];
    for (settings, answer, words) in [
        (&[][..], zipped, "compressed"),
        (&CURSOR[..], more, "neither a text nor a number at cursor.path=/meta/next, but true"),
        (&CURSOR[..], long, "9000 bytes, more than the 8192"),
        (&[("pagination", "link")][..], link, "more than the 8192"),
        (&pages[..], ok("[1,2,3]"), "page 1 has 3 items, more than page.size=2"),
        (&[("response.max.bytes", "4")][..], ok("[1,2]"), "longer than the 4 bytes"),
        (
            &[][..],
            Response::new(302).with_header("location", "https://elsewhere/"),
            "redirects are not followed",
        ),
        (&[][..], ok("[1]").with_header("content-length", "99999999999"), "longer than the 16777216 bytes"),
    ] {
        let error = told(settings, &answer);
        assert!(error.kind() == Kind::Fatal && error.message().contains(words), "{words}: {error}");
    }
}

#[test]
fn a_validator_that_is_too_long_is_not_kept() {
    let tag = format!("\"{}\"", "t".repeat(2_000));
    let (mut test, asked) = source(&[], move |_| ok("[1]").with_header("etag", &tag));
    assert_eq!(last(&poll(&mut test, 1)).get("etag"), None);
    nothing(&mut test, &asked, 2);
    assert_eq!(asked.borrow().last().unwrap().headers().get("if-none-match"), None);
}

#[test]
fn a_page_number_has_an_end() {
    let mut test = Test::new(config(&[("pagination", "page"), ("page.size", "1")]));
    test.store(json!({ "url": URL }), json!({ "page": u64::MAX }));
    let asked = serve(|_| ok("[7]"));
    test.reopen().unwrap();
    assert_eq!(poll(&mut test, 1).values(), ["7"]);
    nothing(&mut test, &asked, 2);
}

#[test]
fn a_token_that_no_header_can_carry_is_refused_and_not_told() {
    let token = format!("{{\"access_token\":\"{CANARY}\\r\\nx: y\"}}");
    let (mut test, asked) = source(&OAUTH2, move |_| ok(&token));
    let error = failure(&mut test);
    assert!(
        error.kind() == Kind::Fatal && error.message().contains("signs that no header may have"),
        "{error}"
    );
    assert!(!error.to_string().contains(CANARY), "{error}");
    assert_eq!(asked.borrow().len(), 1);
}

#[test]
fn a_million_items_and_a_deep_one_need_no_more_than_their_text() {
    let many = format!("[{}0]", "0,".repeat(999_999));
    let (mut test, _) = source(&[], move |_| ok(&many));
    assert_eq!(poll(&mut test, 1_000_000).records.len(), 1_000_000);
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    let served = deep.clone();
    let (mut test, _) = source(&[("key.path", "/0/0")], move |_| ok(&served));
    assert_eq!(poll(&mut test, 1).values(), [&deep[1..deep.len() - 1]]);
}

#[test]
fn an_address_with_a_password_is_refused_and_not_told() {
    let url = format!("https://me:{CANARY}@api/items");
    let test = Test::new(config(&[("url", &url), ("headers.Accept-Encoding", "gzip")]));
    let problems = test.validate();
    assert!(
        problems.contains("user and password") && problems.contains("headers.Accept-Encoding"),
        "{problems}"
    );
    assert!(!problems.contains(CANARY), "{problems}");
}
