//! How the REST API is served: addresses, limits, and whom browsers may let in.

use std::time::Duration;

use super::reader::Reader;

/// Host, empty for all interfaces, and port, 0 for any free one.
pub(crate) type Listener = (String, u16);

/// See the module. Its settings are explained in the table of `worker_keys`.
#[derive(Debug, Clone)]
pub(crate) struct RestConfig {
    /// Never empty.
    pub(crate) listeners: Vec<Listener>,
    /// Where the administrative endpoints are; `None`: where all the others are; empty: nowhere.
    pub(crate) admin_listeners: Option<Vec<Listener>>,
    /// Origins whose pages may ask, `*` for all; empty: none.
    pub(crate) allowed_origins: Vec<String>,
    /// What such pages may do beyond what any page may.
    pub(crate) allowed_methods: Vec<String>,
    /// The largest body that is read.
    pub(crate) body_max: usize,
    /// After which a request is answered that is not done.
    pub(crate) timeout: Duration,
}

impl RestConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let listeners = read(reader, "listeners");
        if listeners.is_empty() && reader.problems.0.iter().all(|problem| problem.key != "listeners") {
            reader.wrong("listeners", "there must be at least one, as http://:8083");
        }
        let admin_listeners = reader.is_given("admin.listeners").then(|| read(reader, "admin.listeners"));
        Self {
            listeners,
            admin_listeners,
            allowed_origins: reader.list("access.control.allow.origin"),
            allowed_methods: reader.list("access.control.allow.methods"),
            body_max: reader.size("rest.request.max.bytes"),
            timeout: reader.millis("rest.request.timeout.ms"),
        }
    }
}

fn read(reader: &mut Reader<'_>, key: &str) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for url in reader.list(key) {
        match listener(&url) {
            Ok(listener) => listeners.push(listener),
            Err(message) => reader.wrong(key, message),
        }
    }
    listeners
}

fn listener(url: &str) -> Result<Listener, String> {
    let wrong = || format!("{url} is no address like http://host:8083 or http://:8083");
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    if scheme.eq_ignore_ascii_case("https") {
        return Err("https is not there yet; use http behind a proxy that ends TLS".to_owned());
    }
    let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().map_err(|_| wrong())?;
    if !scheme.eq_ignore_ascii_case("http") || host.contains('/') {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}
