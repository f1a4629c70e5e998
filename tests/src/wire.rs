//! HTTP/1.1 as it is on the wire: requests that no client library would send, and answers with nothing left out.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take: longer than any server lets a request take.
const LIMIT: Duration = Duration::from_secs(120);

/// A request, written as it stands.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method; servers may not know it.
    pub method: String,
    /// What stands in the first line between the method and the version.
    pub target: String,
    /// Besides `Host`, `Connection` and `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// `None`: no body, and no length either.
    pub body: Option<Vec<u8>>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// By their names in lower case; of a name that stands twice, all values with commas between.
    pub headers: BTreeMap<String, String>,
    /// The body, whole.
    pub body: String,
}

/// Sends a request to a port of 127.0.0.1 and reads the answer, on a connection of its own.
///
/// # Errors
/// There is no answer, or none in HTTP.
pub fn send(port: u16, request: &Request) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    head.push_str(&format!("Host: 127.0.0.1:{port}\r\nConnection: close\r\n"));
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = request.body.as_deref().unwrap_or_default();
    if request.body.is_some() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    // A server that has seen enough may answer and close before it was told all.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    match parse(&bytes, request.method == "HEAD") {
        Some(answer) => Ok(answer),
        None => {
            Err(read.err().unwrap_or_else(|| io::Error::other(String::from_utf8_lossy(&bytes).into_owned())))
        }
    }
}

fn parse(bytes: &[u8], head_only: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = (String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 4..]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return parse(rest, head_only);
    }
    let mut headers = BTreeMap::<String, String>::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        headers
            .entry(name.trim().to_ascii_lowercase())
            .and_modify(|there| there.push_str(&format!(", {value}")))
            .or_insert_with(|| value.to_owned());
    }
    let chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    let body = if head_only || !chunked { rest.to_vec() } else { unchunked(rest)? };
    Some(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let size =
            usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?.split(';').next()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(end + 2..end + 2 + size)?);
        bytes = bytes.get(end + 2 + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_their_headers_and_in_chunks() {
        let text = b"HTTP/1.1 200 OK\r\nAllow: GET\r\nallow: PUT\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n";
        let answer = parse(text, false).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "abcde"));
        assert_eq!(answer.headers["allow"], "GET, PUT");
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Le", false), None);
    }
}
