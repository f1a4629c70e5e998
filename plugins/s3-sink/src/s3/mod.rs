//! A bucket, and the few requests that the sink makes of it.
//!
//! One request at a time, each signed; nothing is retried here: an error says whether another attempt makes sense,
//! and the worker makes it by calling the sink again. What may have happened although no answer came is asked of
//! the bucket then, because every write is conditional.

mod errors;
mod requests;
mod sigv4;

use std::time::{Duration, SystemTime};

use transom_sdk::Error;
use transom_sdk::http::{Method, Request, Response, Url};

pub(crate) use requests::{Conditional, Part};
use sigv4::{Signed, Signer};

/// Where the bucket is, and who asks. Not `Debug`: some of it is secret.
pub(crate) struct Bucket {
    /// Scheme, host and port; with the bucket's name in front of the host, or not.
    pub(crate) origin: String,
    /// In front of every key: `/` or `/<bucket>/`.
    pub(crate) root: String,
    pub(crate) signer: Signer,
    pub(crate) token: Option<String>,
    /// What goes with every new object: access, encryption.
    pub(crate) object_headers: Vec<(String, String)>,
    pub(crate) timeout: Duration,
    pub(crate) backoff: Duration,
}

/// What locates and opens a bucket.
pub(crate) struct Place {
    pub(crate) bucket: String,
    pub(crate) region: String,
    /// None: AWS.
    pub(crate) store: Option<String>,
    pub(crate) path_style: bool,
    pub(crate) access: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// One request.
struct Ask<'r> {
    method: Method,
    /// None: the bucket itself.
    key: Option<&'r str>,
    /// Names, in their order, and values.
    query: &'r [(&'r str, &'r str)],
    headers: Vec<(String, String)>,
    body: &'r [u8],
}

impl Bucket {
    /// # Errors
    /// What is wrong with the address.
    pub(crate) fn new(place: Place, timeout: Duration, backoff: Duration) -> Result<Self, String> {
        let store = place.store.unwrap_or_else(|| {
            let domain = if place.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://s3.{}.{domain}", place.region)
        });
        let url = Url::parse(&store)?;
        if url.path_and_query() != "/" {
            return Err("it must be scheme, host and port, without a path".into());
        }
        let (origin, root) = if place.path_style {
            (format!("{}://{}", url.scheme(), url.authority()), format!("/{}/", place.bucket))
        } else {
            (format!("{}://{}.{}", url.scheme(), place.bucket, url.authority()), "/".to_owned())
        };
        Url::parse(&origin)?;
        let Place { access, secret, region, token, .. } = place;
        let signer = Signer { access, secret, region, service: "s3" };
        Ok(Self { origin, root, signer, token, object_headers: Vec::new(), timeout, backoff })
    }

    /// The signed request.
    fn request(&self, ask: &Ask<'_>, now: SystemTime) -> Result<Request, Error> {
        let path = match ask.key {
            Some(key) => format!("{}{}", self.root, escape_path(key)),
            // Without the slash that would be the start of a key, except where it is all there is.
            None if self.root == "/" => "/".to_owned(),
            None => self.root.trim_end_matches('/').to_owned(),
        };
        let escape = transom_sdk::http::escape;
        let query: Vec<_> =
            ask.query.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        let query = query.join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        let url = Url::parse(&format!("{}{path}{mark}{query}", self.origin)).map_err(Error::config)?;
        let digest = if url.scheme() == "https" && !ask.body.is_empty() {
            sigv4::UNSIGNED.to_owned()
        } else {
            sigv4::digest(ask.body)
        };
        let time = time_of(now);
        let mut headers = ask.headers.clone();
        headers.push(("host".into(), url.authority().to_owned()));
        headers.push(("x-amz-content-sha256".into(), digest.clone()));
        headers.push(("x-amz-date".into(), time.clone()));
        if let Some(token) = &self.token {
            headers.push(("x-amz-security-token".into(), token.clone()));
        }
        headers.sort();
        let signed = Signed {
            method: ask.method.as_str(),
            path: &path,
            query: &query,
            headers: &headers,
            digest: &digest,
            time: &time,
        };
        let authorization = self.signer.authorization(&signed);
        let mut request = Request::new(ask.method, url).timeout(self.timeout).with_body(ask.body);
        // `host` is set by the connection, which knows it from the address.
        for (name, value) in headers.iter().filter(|(name, _)| name != "host") {
            request = request.with_header(name, value);
        }
        Ok(request.with_header("authorization", &authorization))
    }

    fn send(&self, ask: &Ask<'_>) -> Result<Response, Error> {
        self.request(ask, SystemTime::now())?.send()
    }

    /// The error that an answer is.
    fn error(&self, response: &Response) -> Error {
        errors::error_of(response, self.backoff)
    }
}

/// A key of the bucket as a path: `/` stays.
fn escape_path(key: &str) -> String {
    key.split('/').map(transom_sdk::http::escape).collect::<Vec<_>>().join("/")
}

/// As S3 writes it: `20130524T000000Z`.
fn time_of(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let at = jiff::Timestamp::from_second(since.as_secs() as i64).unwrap_or_default();
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(path_style: bool, store: Option<&str>) -> Result<Bucket, String> {
        let place = Place {
            bucket: "b".into(),
            region: "eu-west-1".into(),
            store: store.map(str::to_owned),
            path_style,
            access: "A".into(),
            secret: "canary".into(),
            token: Some("T".into()),
        };
        Bucket::new(place, Duration::from_secs(1), Duration::from_secs(1))
    }

    fn url(bucket: &Bucket, key: Option<&str>) -> (String, Request) {
        let ask = Ask {
            method: Method::Put,
            key,
            query: &[("partNumber", "1"), ("uploadId", "a/b")],
            headers: Vec::new(),
            body: b"x",
        };
        let request = bucket.request(&ask, SystemTime::UNIX_EPOCH).unwrap();
        (request.url().to_string(), request)
    }

    #[test]
    fn a_path_keeps_its_slashes() {
        assert_eq!(escape_path("a b/c=1+2/ä"), "a%20b/c%3D1%2B2/%C3%A4");
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let (path, request) = url(&bucket(true, Some("http://127.0.0.1:7070")).unwrap(), Some("a=1/b+2"));
        assert_eq!(path, "http://127.0.0.1:7070/b/a%3D1/b%2B2?partNumber=1&uploadId=a%2Fb");
        let header = |name| request.headers().get(name);
        assert_eq!(header("x-amz-security-token"), Some("T"));
        assert_eq!(header("x-amz-date"), Some("19700101T000000Z"));
        assert!(header("authorization").unwrap().contains("x-amz-security-token,Signature="));
        assert!(!format!("{request:?}").contains("canary"));
        let aws = bucket(false, None).unwrap();
        assert_eq!(
            url(&aws, Some("k")).0,
            "https://b.s3.eu-west-1.amazonaws.com/k?partNumber=1&uploadId=a%2Fb"
        );
        assert_eq!(url(&aws, Some("k")).1.headers().get("x-amz-content-sha256"), Some(sigv4::UNSIGNED));
        assert!(url(&bucket(true, Some("http://h")).unwrap(), None).0.starts_with("http://h/b?"));
        assert!(bucket(true, Some("http://h/path")).is_err());
    }

    /// The requests of AWS's documentation, "Examples: Signature Calculations", whose bucket is in the host.
    #[test]
    fn requests_to_a_bucket_in_the_host_are_signed_as_in_the_published_examples() {
        let bucket = |store: &str| {
            let place = Place {
                bucket: "examplebucket".into(),
                region: "us-east-1".into(),
                store: Some(store.into()),
                path_style: false,
                access: "AKIAIOSFODNN7EXAMPLE".into(),
                secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
                token: None,
            };
            Bucket::new(place, Duration::from_secs(1), Duration::from_secs(1)).unwrap()
        };
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let check = |store: &str, ask: &Ask<'_>, wanted: (&str, &str)| {
            let request = bucket(store).request(ask, then).unwrap();
            assert_eq!(request.url().to_string(), wanted.0);
            let authorization = request.headers().get("authorization").unwrap();
            assert!(authorization.ends_with(&format!("Signature={}", wanted.1)), "{authorization}");
        };
        let headers = |all: &[(&str, &str)]| {
            all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let (method, body) = (Method::Get, &[][..]);
        let (range, query) = (headers(&[("range", "bytes=0-9")]), &[][..]);
        check(
            "https://s3.amazonaws.com",
            &Ask { method, key: Some("test.txt"), query, headers: range, body },
            (
                "https://examplebucket.s3.amazonaws.com/test.txt",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
        );
        let headers = headers(&[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ]);
        let put = Ask {
            method: Method::Put,
            key: Some("test$file.text"),
            query,
            headers,
            body: b"Welcome to Amazon S3.",
        };
        check(
            "http://s3.amazonaws.com",
            &put,
            (
                "http://examplebucket.s3.amazonaws.com/test%24file.text",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
        );
        let query = &[("max-keys", "2"), ("prefix", "J")][..];
        check(
            "https://s3.amazonaws.com",
            &Ask { method, key: None, query, headers: Vec::new(), body },
            (
                "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        );
    }
}
