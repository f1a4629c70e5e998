//! The settings: as a user writes them, and as the source wants them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use transom_sdk::http::Url;
use transom_sdk::{ConfigKey, Manifest, Problems};

use crate::items::Pointer;
use crate::login::{Login, OAuth2};
use crate::pages::Paging;

/// What the connection or this plugin sets itself.
const OWN_HEADERS: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The keys. Not `Debug`: some are secret.
#[derive(Deserialize)]
pub(crate) struct Config {
    url: String,
    topic: String,
    #[serde(rename = "interval.ms")]
    interval: u64,
    #[serde(rename = "items.path")]
    items_path: String,
    #[serde(rename = "key.path")]
    key_path: Option<String>,
    pagination: String,
    #[serde(rename = "cursor.path")]
    cursor_path: Option<String>,
    #[serde(rename = "cursor.param")]
    cursor_param: Option<String>,
    #[serde(rename = "page.param")]
    page_param: String,
    #[serde(rename = "page.start")]
    page_start: u64,
    #[serde(rename = "page.size")]
    page_size: Option<u64>,
    #[serde(rename = "page.size.param")]
    page_size_param: Option<String>,
    #[serde(rename = "basic.user")]
    basic_user: Option<String>,
    #[serde(rename = "basic.password")]
    basic_password: Option<String>,
    #[serde(rename = "oauth2.token.url")]
    oauth2_url: Option<String>,
    #[serde(rename = "oauth2.client.id")]
    oauth2_id: Option<String>,
    #[serde(rename = "oauth2.client.secret")]
    oauth2_secret: Option<String>,
    #[serde(rename = "oauth2.scope")]
    oauth2_scope: Option<String>,
    #[serde(rename = "oauth2.client.auth")]
    oauth2_auth: String,
    #[serde(rename = "request.timeout.ms")]
    timeout: u64,
    #[serde(rename = "response.max.bytes")]
    limit: usize,
    #[serde(rename = "backoff.ms")]
    backoff: u64,
    #[serde(rename = "backoff.max.ms")]
    backoff_max: u64,
    #[serde(rename = "validate.connection")]
    pub(crate) validate_connection: bool,
    /// Among them `headers.*`.
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

/// What the source works by. Not `Debug`: some of it is secret.
pub(crate) struct Settings {
    pub(crate) url: Url,
    /// As it was written: the source partition.
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) interval: Duration,
    pub(crate) items: Pointer,
    pub(crate) key: Option<Pointer>,
    pub(crate) paging: Paging,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout: Duration,
    pub(crate) limit: usize,
    pub(crate) backoff: Duration,
    pub(crate) backoff_max: Duration,
}

pub(crate) fn manifest() -> Manifest {
    let milliseconds = |name, default: u64| ConfigKey::long(name).default(default).min(1).max(86_400_000);
    let manifest = Manifest::new("transom.HttpSource")
        .alias("HttpSource")
        .doc("Polls a JSON API over HTTP, a record an item. Headers are set with headers.<name>.")
        .capability("net")
        .config(ConfigKey::string("url").non_empty().doc("The address to poll."))
        .config(ConfigKey::string("topic").non_empty().doc("The topic to write."))
        .config(milliseconds("interval.ms", 10_000).doc("How long to wait when there is nothing new."))
        .config(ConfigKey::string("items.path").default("").medium().doc(
            "JSON pointer to the items in the answer, as /data/items; empty: the answer itself. An array has an item \
             an element, anything else is one item.",
        ))
        .config(ConfigKey::string("key.path").optional().medium().doc(
            "JSON pointer to the record's key in an item. Without it, or where there is nothing: no key.",
        ));
    limits(login(paging(manifest)), milliseconds)
}

fn paging(manifest: Manifest) -> Manifest {
    let key = |key: ConfigKey| key.group("Pages").medium();
    manifest
        .config(
            key(ConfigKey::string("pagination"))
                .default("none")
                .one_of(["none", "cursor", "page", "link"])
                .dependents(["cursor.path", "cursor.param", "page.size"])
                .doc(
                    "How the API divides its items: not at all, by cursors, by numbers, or by Link headers.",
                ),
        )
        .config(
            key(ConfigKey::string("cursor.path")).optional().doc("JSON pointer to the next page's cursor."),
        )
        .config(key(ConfigKey::string("cursor.param")).optional().doc("The parameter that takes a cursor."))
        .config(
            key(ConfigKey::string("page.param")).default("page").doc("The parameter that takes a number."),
        )
        .config(key(ConfigKey::long("page.start")).default(1).min(0).doc("The number of the first page."))
        .config(key(ConfigKey::long("page.size")).optional().min(1).doc(
            "Items of a full page: what the server really gives. A page with fewer is the last one so far.",
        ))
        .config(
            key(ConfigKey::string("page.size.param")).optional().doc("The parameter that takes the size."),
        )
}

fn login(manifest: Manifest) -> Manifest {
    let key = |key: ConfigKey| key.group("Login").medium();
    manifest
        .config(
            key(ConfigKey::string("basic.user")).optional().doc("The user's name for basic authentication."),
        )
        .config(key(ConfigKey::password("basic.password")).optional().doc("The user's password."))
        .config(
            key(ConfigKey::string("oauth2.token.url"))
                .optional()
                .doc("Where a token is got with client credentials."),
        )
        .config(key(ConfigKey::string("oauth2.client.id")).optional().doc("The client."))
        .config(key(ConfigKey::password("oauth2.client.secret")).optional().doc("The client's secret."))
        .config(key(ConfigKey::string("oauth2.scope")).optional().doc("What the token shall be good for."))
        .config(
            key(ConfigKey::string("oauth2.client.auth"))
                .default("header")
                .one_of(["header", "body"])
                .doc("Where the server wants the client's secret."),
        )
}

fn limits(manifest: Manifest, milliseconds: impl Fn(&'static str, u64) -> ConfigKey) -> Manifest {
    manifest
        .config(milliseconds("request.timeout.ms", 30_000).low().doc("How long an answer may take."))
        .config(
            ConfigKey::int("response.max.bytes")
                .default(16 << 20)
                .min(1)
                .low()
                .doc("The longest answer. The task fails at a longer one."),
        )
        .config(milliseconds("backoff.ms", 1000).low().doc("The wait after a failure; it doubles with each."))
        .config(milliseconds("backoff.max.ms", 60_000).low().doc("The longest wait after a failure."))
        .config(
            ConfigKey::boolean("validate.connection")
                .default(false)
                .low()
                .doc("Whether a configuration is checked by asking the server."),
        )
}

impl Config {
    /// What the source works by, and how it logs in.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn read(&self) -> Result<(Settings, Login), Problems> {
        let mut problems = Problems::new();
        let url = address("url", &self.url, &mut problems);
        for (key, path) in [
            ("items.path", Some(self.items_path.as_str())),
            ("key.path", self.key_path.as_deref()),
            ("cursor.path", self.cursor_path.as_deref()),
        ] {
            if let Some(path) = path.filter(|path| !path.is_empty() && !path.starts_with('/')) {
                problems.invalid(key, path, "a JSON pointer begins with /, as in /data/items");
            }
        }
        let paging = self.paging(&mut problems);
        let login = self.login(&mut problems);
        let headers = self.headers(!matches!(login, Login::None), &mut problems);
        let (Some(url), true) = (url, problems.is_empty()) else { return Err(problems) };
        let settings = Settings {
            url,
            name: self.url.clone(),
            topic: self.topic.clone(),
            interval: Duration::from_millis(self.interval),
            items: Pointer::new(&self.items_path),
            key: self.key_path.as_deref().map(Pointer::new),
            paging,
            headers,
            timeout: Duration::from_millis(self.timeout),
            limit: self.limit,
            backoff: Duration::from_millis(self.backoff),
            backoff_max: Duration::from_millis(self.backoff_max),
        };
        Ok((settings, login))
    }

    fn paging(&self, problems: &mut Problems) -> Paging {
        let mode = format!("pagination={}", self.pagination);
        match self.pagination.as_str() {
            "cursor" => Paging::Cursor {
                path: Pointer::new(&needed("cursor.path", self.cursor_path.as_deref(), &mode, problems)),
                param: needed("cursor.param", self.cursor_param.as_deref(), &mode, problems),
            },
            "page" => Paging::Page {
                param: needed("page.param", Some(&self.page_param), &mode, problems),
                start: self.page_start,
                size: self.page_size.unwrap_or_else(|| {
                    let _ = needed("page.size", None, &mode, problems);
                    1
                }),
                size_param: self.page_size_param.clone(),
            },
            "link" => Paging::Link,
            _ => Paging::None,
        }
    }

    fn login(&self, problems: &mut Problems) -> Login {
        let basic = self.basic_user.is_some() || self.basic_password.is_some();
        let oauth2 = [&self.oauth2_url, &self.oauth2_id, &self.oauth2_secret, &self.oauth2_scope];
        match (basic, oauth2.iter().any(|key| key.is_some())) {
            (false, false) => Login::None,
            (true, false) => Login::Basic {
                user: needed("basic.user", self.basic_user.as_deref(), "basic.password", problems),
                password: needed("basic.password", self.basic_password.as_deref(), "basic.user", problems),
            },
            (true, true) => {
                problems.add("basic.user", "There can be one login: set either basic.* or oauth2.*");
                Login::None
            }
            (false, true) => {
                let url = needed("oauth2.token.url", self.oauth2_url.as_deref(), "oauth2.*", problems);
                let url = if url.is_empty() { None } else { address("oauth2.token.url", &url, problems) };
                let id = needed("oauth2.client.id", self.oauth2_id.as_deref(), "oauth2.*", problems);
                let secret =
                    needed("oauth2.client.secret", self.oauth2_secret.as_deref(), "oauth2.*", problems);
                let in_body = self.oauth2_auth == "body";
                url.map_or(Login::None, |url| {
                    Login::OAuth2(OAuth2::new(url, (id, secret), self.oauth2_scope.clone(), in_body))
                })
            }
        }
    }

    fn headers(&self, login: bool, problems: &mut Problems) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for (key, value) in &self.others {
            let Some(name) = key.strip_prefix("headers.") else { continue };
            let name_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let wrong = if name.is_empty() || !name.bytes().all(name_sign) {
                "no header has such a name"
            } else if OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                "it is set by itself"
            } else if login && name.eq_ignore_ascii_case("authorization") {
                "basic.* and oauth2.* set it"
            } else if value.chars().any(char::is_control) {
                "its value has a control character"
            } else {
                headers.push((name.to_owned(), value.clone()));
                continue;
            };
            problems.invalid(key, "[hidden]", wrong);
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
            headers.push(("user-agent".into(), agent.into()));
        }
        headers
    }
}

/// An address. It is not repeated where it is wrong: a password may be in it.
fn address(key: &str, text: &str, problems: &mut Problems) -> Option<Url> {
    Url::parse(text).map_err(|wrong| problems.invalid(key, "[hidden]", wrong)).ok()
}

/// The value of a key that another one makes necessary.
fn needed(key: &str, value: Option<&str>, by: &str, problems: &mut Problems) -> String {
    match value {
        Some(value) if !value.is_empty() => value.to_owned(),
        _ => {
            problems.add(key, format!("Missing configuration \"{key}\", which {by} needs"));
            String::new()
        }
    }
}
