//! AWS Signature Version 4: a request shows that its sender knows the secret key, without the key in it.
//!
//! The signature covers method, path, query, the headers that matter and a digest of the body. It is a pure
//! function of those, the time and the credentials, and is checked against the examples that AWS publishes.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// In place of the body's digest where TLS already protects the body.
pub(crate) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// SHA-256 works on blocks of so many bytes.
const BLOCK: usize = 64;

/// Who signs, and for where. Not `Debug`: it is secret.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) access: String,
    pub(crate) secret: String,
    pub(crate) region: String,
    pub(crate) service: &'static str,
}

/// What is signed.
pub(crate) struct Signed<'r> {
    pub(crate) method: &'r str,
    /// Every byte escaped that is no letter, digit or one of `-._~/`.
    pub(crate) path: &'r str,
    /// Names and values, escaped, in the order of the names.
    pub(crate) query: &'r str,
    /// Names in lower case, in their order, and values; `host` and `x-amz-date` among them.
    pub(crate) headers: &'r [(String, String)],
    /// The body's digest, or [`UNSIGNED`].
    pub(crate) digest: &'r str,
    /// As in `x-amz-date`: `20130524T000000Z`.
    pub(crate) time: &'r str,
}

impl Signer {
    /// The value of the header `authorization`.
    pub(crate) fn authorization(&self, request: &Signed<'_>) -> String {
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let day = request.time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let digest = digest(canonical(request, &names).as_bytes());
        let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{digest}", request.time);
        let mut key = hmac(format!("AWS4{}", self.secret).as_bytes(), day.as_bytes());
        for part in [self.region.as_str(), self.service, "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = hex(&hmac(&key, text.as_bytes()));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
            self.access
        )
    }
}

/// The request in the one form that both sides make of it.
fn canonical(request: &Signed<'_>, names: &str) -> String {
    let Signed { method, path, query, headers, digest, .. } = request;
    let mut text = format!("{method}\n{path}\n{query}\n");
    for (name, value) in *headers {
        let _ = writeln!(text, "{name}:{}", value.trim());
    }
    let _ = write!(text, "\n{names}\n{digest}");
    text
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// Of the S3 documentation, "Examples: Signature Calculations".
    fn example(method: &str, path: &str, query: &str, digest: &str, more: &[(&str, &str)]) -> String {
        let signer = Signer {
            access: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            region: "us-east-1".into(),
            service: "s3",
        };
        let time = "20130524T000000Z";
        let host = ("host", "examplebucket.s3.amazonaws.com");
        let own = [host, ("x-amz-content-sha256", digest), ("x-amz-date", time)];
        let all = own.iter().chain(more);
        let mut headers: Vec<_> =
            all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        headers.sort();
        let signed = Signed { method, path, query, headers: &headers, digest, time };
        signer.authorization(&signed).split_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn signatures_are_those_of_the_published_examples() {
        assert_eq!(
            example("GET", "/test.txt", "", EMPTY, &[("range", "bytes=0-9")]),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let body = digest(b"Welcome to Amazon S3.");
        assert_eq!(body, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
        let more = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        assert_eq!(
            example("PUT", "/test%24file.text", "", &body, &more),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        assert_eq!(
            example("GET", "/", "lifecycle=", EMPTY, &[]),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        assert_eq!(
            example("GET", "/", "max-keys=2&prefix=J", EMPTY, &[]),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn the_code_is_that_of_rfc_4231() {
        let code = hex(&hmac(b"Jefe", b"what do ya want for nothing?"));
        assert_eq!(code, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = hex(&hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"));
        assert_eq!(long, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }
}
