//! Where lines end: at `\n`, `\r\n` or a single `\r`, as Java's FileStreamSource has it.

use std::ops::Range;

/// The part of the bytes that consists of complete lines.
///
/// A `\r` at the very end completes nothing: a `\n` that belongs to it may follow.
pub(crate) fn complete(bytes: &[u8]) -> &[u8] {
    let last = |bytes: &[u8]| memchr::memrchr2(b'\n', b'\r', bytes);
    let end = match last(bytes) {
        Some(at) if bytes[at] == b'\r' && at + 1 == bytes.len() => last(&bytes[..at]),
        other => other,
    };
    &bytes[..end.map_or(0, |at| at + 1)]
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Without its end.
    pub(crate) content: Range<usize>,
    /// Behind its end.
    pub(crate) end: usize,
}

/// The lines of bytes that are complete.
pub(crate) fn ranges(bytes: &[u8]) -> impl Iterator<Item = Line> {
    let mut start = 0;
    memchr::memchr2_iter(b'\n', b'\r', bytes).filter_map(move |at| {
        if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') {
            return None;
        }
        let crlf = bytes[at] == b'\n' && at > start && bytes[at - 1] == b'\r';
        let content = start..at - usize::from(crlf);
        start = at + 1;
        Some(Line { content, end: start })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8]) -> Vec<&[u8]> {
        ranges(complete(bytes)).map(|line| &bytes[line.content]).collect()
    }

    #[test]
    fn a_line_ends_at_newline_carriage_return_or_both() {
        assert_eq!(split(b"a\nb\r\nc\rd\n\r\n\n"), [&b"a"[..], b"b", b"c", b"d", b"", b""]);
        assert_eq!(split(b"\r\r\n\n"), [&b""[..], b"", b""]);
    }

    #[test]
    fn an_incomplete_line_is_held_back() {
        assert_eq!(split(b""), [b""; 0]);
        assert_eq!(split(b"ab"), [b""; 0]);
        assert_eq!(split(b"a\nbc"), [b"a"]);
        assert_eq!(complete(b"a\nbc\r"), b"a\n");
        assert_eq!(complete(b"a\r\r"), b"a\r");
        assert_eq!(complete(b"\r"), b"");
    }

    #[test]
    fn the_end_counts_the_line_end() {
        let ends: Vec<_> = ranges(b"ab\r\nc\rd\n").map(|line| line.end).collect();
        assert_eq!(ends, [4, 6, 8]);
    }
}
