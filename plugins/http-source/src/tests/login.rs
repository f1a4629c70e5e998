use super::*;

/// An API for which every token is good so often.
fn guarded(good_for: usize) -> impl FnMut(&Request) -> Response {
    let (mut tokens, mut left, mut item) = (0, 0, 0);
    move |request| {
        if request.url().authority() == "login" {
            (tokens, left) = (tokens + 1, good_for);
            let token = format!("{CANARY}-{tokens}");
            return ok(
                &json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }).to_string()
            );
        }
        let token = format!("Bearer {CANARY}-{tokens}");
        if left == 0 || request.headers().get("authorization") != Some(&token) {
            return Response::new(401);
        }
        (left, item) = (left - 1, item + 1);
        ok(&format!("{{\"item\":{item}}}"))
    }
}

#[test]
fn a_token_is_kept_until_the_server_refuses_it() {
    let (mut test, asked) = source(&OAUTH2, guarded(3));
    assert_eq!(poll(&mut test, 7).records.len(), 7);
    let asked = asked.borrow();
    let tokens: Vec<_> = asked.iter().filter(|request| request.url().authority() == "login").collect();
    assert_eq!(tokens.len(), 3);
    assert_eq!(tokens[0].body(), b"grant_type=client_credentials&scope=read%20all");
    // me%3A%26:canary-7f3a
    assert_eq!(tokens[0].headers().get("authorization"), Some("Basic bWUlM0ElMjY6Y2FuYXJ5LTdmM2E="));
    assert_eq!(tokens[0].headers().get("content-type"), Some("application/x-www-form-urlencoded"));
}

#[test]
fn a_client_may_be_named_in_the_body() {
    let settings = [&OAUTH2[..], &[("oauth2.client.auth", "body")]].concat();
    let (mut test, asked) = source(&settings, guarded(3));
    poll(&mut test, 1);
    let expected =
        format!("grant_type=client_credentials&scope=read%20all&client_id=me%3A%26&client_secret={CANARY}");
    assert_eq!(asked.borrow()[0].body(), expected.as_bytes());
    assert_eq!(asked.borrow()[0].headers().get("authorization"), None);
}

#[test]
fn a_token_that_expires_at_once_is_got_anew() {
    let (mut test, asked) = source(&OAUTH2, |request| match request.url().authority() {
        "login" => ok(r#"{"access_token":"t","expires_in":"0"}"#),
        _ => ok("[]"),
    });
    nothing(&mut test, &asked, 6);
    let tokens = asked.borrow().iter().filter(|request| request.url().authority() == "login").count();
    assert!(tokens >= 3, "{tokens}");
}

#[test]
fn a_new_token_that_is_refused_too_fails() {
    let (mut test, asked) = source(&OAUTH2, guarded(0));
    let error = failure(&mut test);
    assert_eq!((error.kind(), asked.borrow().len()), (Kind::Fatal, 4));
    assert!(error.message().contains("401"), "{error}");
}

#[test]
fn a_user_has_a_name_and_a_password() {
    let settings = [("basic.user", "me"), ("basic.password", "it"), ("headers.X-Team", "t, u")];
    let (mut test, asked) = source(&settings, |_| ok("[1]"));
    poll(&mut test, 1);
    assert_eq!(asked.borrow()[0].headers().get("authorization"), Some("Basic bWU6aXQ="));
    assert_eq!(asked.borrow()[0].headers().get("x-team"), Some("t, u"));
}

#[test]
fn no_secret_is_in_an_error_or_a_log() {
    let url = format!("https://api/items?key={CANARY}");
    let header = format!("token {CANARY}");
    let secret = [("url", url.as_str()), ("headers.X-Key", &header), ("items.path", "/x")];
    let settings = [&OAUTH2[..], &secret].concat();
    let mut said = Vec::new();
    for (status, of_login) in
        [(401, true), (503, true), (401, false), (403, false), (302, false), (200, false)]
    {
        let echo = format!("{{\"error\":\"invalid_client\",\"description\":\"{CANARY}\"}}");
        let (mut test, _) = source(&settings, move |request| match request.url().authority() == "login" {
            true if !of_login => ok(&format!("{{\"access_token\":\"{CANARY}\"}}")),
            _ => Response::new(status).with_header("location", CANARY).with_body(echo.clone()),
        });
        let error = failure(&mut test);
        said.extend(testing::logs().into_iter().map(|(_, line)| line));
        said.push(error.to_string());
    }
    assert!(said.iter().any(|line| line.contains("no token: invalid_client")), "{said:#?}");
    for (key, value) in [("url", "ftp://a/"), ("headers.Host", ""), ("headers.A B", ""), ("headers.X", "\n")]
    {
        let value = format!("{value}{CANARY}");
        let test = Test::new(config(&[&settings[..], &[(key, &value)]].concat()));
        let problems = test.validate();
        assert!(problems.contains(&format!("configuration {key}:")), "{problems}");
        said.push(problems);
    }
    assert!(said.iter().all(|line| !line.contains(CANARY)), "{said:#?}");
}
