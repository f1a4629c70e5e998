//! Addresses of HTTP: no more than a client needs.

use std::fmt::{self, Write as _};

/// The address of a resource: `https://host:port/path?query`.
///
/// A query may hold a secret, so `Debug` leaves it out, as do all errors of this module.
///
/// ```
/// use transom_sdk::http::Url;
///
/// let url = Url::parse("https://api.example.com/items").unwrap().with_query("after", "a b");
/// assert_eq!(url.to_string(), "https://api.example.com/items?after=a%20b");
/// assert_eq!(url.join("/other").unwrap().to_string(), "https://api.example.com/other");
/// assert_eq!(url.without_query(), "https://api.example.com/items");
/// assert!(Url::parse("ftp://example.com").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    secure: bool,
    /// Host, and port where it is not the scheme's own.
    authority: String,
    /// Path and query; begins with `/`.
    path: String,
}

impl Url {
    /// Reads an absolute address. What follows a `#` is left out.
    ///
    /// # Errors
    /// What is wrong with it, without the address itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) =
            text.split_once("://").ok_or("it has no scheme; write https://host:port/path")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("its scheme must be https or http".into()),
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("what is no letter, digit or sign of ASCII must be written as %XX".into());
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("a user and password do not belong into it".into());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let authority = authority_of(authority, secure)?;
        Ok(Self { secure, authority, path })
    }

    /// What `reference` means in an answer that came from here, as a link or a redirect does.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn join(&self, reference: &str) -> Result<Self, String> {
        let scheme = self.scheme();
        let path = self.path.split('?').next().unwrap_or_default();
        let folder = &path[..=path.rfind('/').unwrap_or(0)];
        let authority = &self.authority;
        // A colon before any slash ends a scheme.
        let first = reference.split(['/', '?']).next().unwrap_or_default();
        if first.contains(':') {
            Self::parse(reference)
        } else if reference.starts_with("//") {
            Self::parse(&format!("{scheme}:{reference}"))
        } else if reference.starts_with('/') {
            Self::parse(&format!("{scheme}://{authority}{reference}"))
        } else if reference.starts_with('?') {
            Self::parse(&format!("{scheme}://{authority}{path}{reference}"))
        } else {
            Self::parse(&format!("{scheme}://{authority}{folder}{reference}"))
        }
    }

    /// With one more parameter, in place of those of its name.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        let name = escape(name);
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let named = |part: &&str| part.split('=').next() != Some(&name) && !part.is_empty();
        let others: Vec<_> = query.split('&').filter(named).collect();
        let mut whole = format!("{path}?");
        for other in others {
            let _ = write!(whole, "{other}&");
        }
        let _ = write!(whole, "{name}={}", escape(value));
        self.path = whole;
        self
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The host and, where it is not the scheme's own, the port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    pub fn path_and_query(&self) -> &str {
        &self.path
    }

    /// `scheme://host:port`, as a grant is written.
    pub fn origin(&self) -> String {
        let scheme = self.scheme();
        let bare = self.authority.rsplit(']').next().unwrap_or_default();
        let port = match (bare.contains(':'), self.secure) {
            (true, _) => "",
            (false, true) => ":443",
            (false, false) => ":80",
        };
        format!("{scheme}://{}{port}", self.authority)
    }

    /// For messages: a query may hold what nobody should read.
    pub fn without_query(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{}://{}{path}", self.scheme(), self.authority)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.path)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_query())
    }
}

/// Host and port in one form, so that equal ones are equal.
fn authority_of(text: &str, secure: bool) -> Result<String, String> {
    let end = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match text[end..].rfind(':') {
        Some(colon) => (&text[..end + colon], Some(&text[end + colon + 1..])),
        None => (text, None),
    };
    if host.is_empty() {
        return Err("it has no host; write https://host:port/path".into());
    }
    let own = if secure { 443 } else { 80 };
    let host = host.to_ascii_lowercase();
    match port.filter(|port| !port.is_empty()) {
        None => Ok(host),
        Some(port) => match port.parse::<u16>() {
            Ok(0) | Err(_) => Err(format!("{port} is no port")),
            Ok(port) if port == own => Ok(host),
            Ok(port) => Ok(format!("{host}:{port}")),
        },
    }
}

/// A text as a part of a query, or of a form.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn an_address_is_taken_apart() {
        let parsed = url("HTTPS://Example.COM:443?a=1#there");
        assert_eq!(parsed.to_string(), "https://example.com/?a=1");
        assert_eq!(parsed.origin(), "https://example.com:443");
        assert_eq!(url("http://[::1]:8080/x").origin(), "http://[::1]:8080");
        assert_eq!(url("http://[::1]/x").origin(), "http://[::1]:80");
        assert_eq!(format!("{:?}", url("http://h/p?key=secret")), "http://h/p");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("example.com/a", "no scheme"),
            ("ftp://example.com", "https or http"),
            ("https://user:password@example.com", "user and password"),
            ("https:///path", "no host"),
            ("https://example.com:0/", "no port"),
            ("https://example.com/a b", "%XX"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn references_are_those_of_links() {
        let base = url("https://h:1/a/b?c=d");
        let joined = |reference: &str| base.join(reference).unwrap().to_string();
        assert_eq!(joined("http://other/x"), "http://other/x");
        assert_eq!(joined("//other/x"), "https://other/x");
        assert_eq!(joined("/x?next=http://y"), "https://h:1/x?next=http://y");
        assert_eq!(joined("?e=f"), "https://h:1/a/b?e=f");
        assert_eq!(joined("c"), "https://h:1/a/c");
    }

    #[test]
    fn a_parameter_takes_the_place_of_its_predecessor() {
        let next = url("http://h/?page=1&q=x").with_query("page", "2");
        assert_eq!(next.to_string(), "http://h/?q=x&page=2");
        assert_eq!(next.with_query("ä", "=&").to_string(), "http://h/?q=x&page=2&%C3%A4=%3D%26");
    }
}
