//! Certificates and keys in one line.
//!
//! Java takes them so, as a properties file has them easiest; OpenSSL wants lines of at most 64 characters.

/// The same blocks in lines. Text that has lines already, or no blocks, stays as it is.
pub(super) fn in_lines(text: &str) -> String {
    let text = text.trim();
    if text.contains('\n') {
        return text.to_owned();
    }
    let mut lines = String::with_capacity(text.len() + text.len() / 64 + 8);
    let mut rest = text;
    while let Some((label, body, after)) = block(rest) {
        lines.push_str(&format!("-----BEGIN {label}-----\n"));
        let body: Vec<char> = body.chars().filter(|c| !c.is_whitespace()).collect();
        for line in body.chunks(64) {
            lines.extend(line);
            lines.push('\n');
        }
        lines.push_str(&format!("-----END {label}-----\n"));
        rest = after;
    }
    if lines.is_empty() { text.to_owned() } else { lines }
}

/// The label and the body of the next block, and what follows it.
fn block(text: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, rest) = rest.split_once("-----END ")?;
    let (_, rest) = rest.split_once("-----")?;
    Some((label.trim(), body, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_becomes_lines() {
        let body = "A".repeat(70);
        let (first, second) = body.split_at(64);
        let block = format!("-----BEGIN CERTIFICATE-----\n{first}\n{second}\n-----END CERTIFICATE-----\n");
        let one = format!("-----BEGIN CERTIFICATE----- {body} -----END CERTIFICATE-----");
        assert_eq!(in_lines(&one), block);
        assert_eq!(in_lines(&format!("{one} {one}")), format!("{block}{block}"));
    }

    #[test]
    fn what_has_lines_or_no_blocks_stays() {
        for text in ["-----BEGIN X-----\nAB\n-----END X-----", "nonsense", "-----BEGIN X-----"] {
            assert_eq!(in_lines(text), text);
        }
    }
}
