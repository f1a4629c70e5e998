//! References in a value: `${provider:path:key}` and `${provider:key}`, wherever in it and however many.
//!
//! They are found as Kafka Connect finds them: the provider ends at the first colon, the path at the next one
//! if there is another, the key at the first closing brace. What has no colon (`${topic}`) is text.

/// A piece of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// It stands for itself.
    Text(&'a str),
    /// It stands for what a provider has.
    Reference(Reference<'a>),
}

/// One reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// All of it, as the user wrote it.
    pub(super) written: &'a str,
    pub(super) provider: &'a str,
    /// Empty where there is none.
    pub(super) path: &'a str,
    pub(super) key: &'a str,
}

/// A value in pieces, in their order.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut text_from, mut look_from) = (0, 0);
    while let Some(start) = text[look_from..].find("${").map(|at| look_from + at) {
        let Some(end) = text[start..].find('}').map(|at| start + at + 1) else { break };
        match reference(&text[start..end]) {
            Some(reference) => {
                if text_from < start {
                    pieces.push(Piece::Text(&text[text_from..start]));
                }
                pieces.push(Piece::Reference(reference));
                (text_from, look_from) = (end, end);
            }
            None => look_from = end,
        }
    }
    if text_from < text.len() {
        pieces.push(Piece::Text(&text[text_from..]));
    }
    pieces
}

fn reference(written: &str) -> Option<Reference<'_>> {
    let (provider, rest) = written.strip_prefix("${")?.strip_suffix('}')?.split_once(':')?;
    let (path, key) = rest.split_once(':').unwrap_or(("", rest));
    Some(Reference { written, provider, path, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text as it is, references as `<provider|path|key>`.
    fn shown(text: &str) -> String {
        let shown = pieces(text).into_iter().map(|piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Reference(Reference { provider, path, key, .. }) => format!("<{provider}|{path}|{key}>"),
        });
        shown.collect()
    }

    #[test]
    fn references_are_found_where_kafka_connect_finds_them() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${file:/a/b:key}", "<file|/a/b|key>"),
            ("${env:NAME}", "<env||NAME>"),
            ("${env::NAME}", "<env||NAME>"),
            ("Bearer ${env:A}, ${dir:/d:f}.", "Bearer <env||A>, <dir|/d|f>."),
            ("${a:b}${c:d}", "<a||b><c||d>"),
            ("${file:/p:a:b}", "<file|/p|a:b>"),
            ("$${env:A}", "$<env||A>"),
            ("${:x}", "<||x>"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_stands_for_itself() {
        for text in ["${topic}", "${", "${a:b", "$ {a:b}", "{a:b}", "${}", "a}b${c"] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown("${topic}-${env:A}"), "${topic}-<env||A>");
    }
}
