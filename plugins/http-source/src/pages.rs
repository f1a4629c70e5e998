//! Where the source stands in an API's pages, and how it gets on.
//!
//! The source stands *in a page*: at a cursor, number or link, behind so many of its items. The last page so far has
//! no successor, and is asked for again until it has; so an API that only ever adds is followed without an end. What
//! was sent of a page is known by its digest: while the page still begins with just that, only what follows is new.
//! If it does not, the server has changed it, and all of it is new.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use transom_sdk::http::{Headers, Url};
use transom_sdk::{Error, Value};

use crate::items::Pointer;

/// What a server calls a page goes into every offset, and into addresses, which servers want no longer.
const LONGEST_NAME: usize = 8 << 10;
/// The longest validator that is kept.
const LONGEST_VALIDATOR: usize = 1 << 10;

/// How an API divides its items.
pub(crate) enum Paging {
    None,
    Cursor { path: Pointer, param: String },
    Page { param: String, start: u64, size: u64, size_param: Option<String> },
    Link,
}

/// Which page: the source offset's first half. None of them: the first page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

/// The source offset: which page, what of it was sent, and what the server called it then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offset {
    #[serde(flatten)]
    pub(crate) place: Place,
    /// How many items of the page were sent.
    #[serde(default)]
    pub(crate) sent: usize,
    /// The digest of these items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// The page's validators, when all of it was sent: else the rest would never be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) modified: Option<String>,
}

impl Offset {
    /// At the beginning of a page.
    pub(crate) fn of(place: Place) -> Self {
        Self { place, ..Self::default() }
    }

    /// Whether it could be an offset.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(offset: &Value) -> Result<(), String> {
        const KEYS: [&str; 7] = ["cursor", "page", "link", "sent", "digest", "etag", "modified"];
        let unknown =
            offset.as_object().and_then(|keys| keys.keys().find(|key| !KEYS.contains(&key.as_str())));
        match unknown {
            Some(key) => Err(format!("{key} is none of {}", KEYS.join(", "))),
            None => Self::deserialize(offset).map(drop).map_err(|wrong| wrong.to_string()),
        }
    }
}

impl Paging {
    /// Whether an offset is one of this way to divide: somebody may have changed it meanwhile.
    pub(crate) fn knows(&self, place: &Place) -> bool {
        let Place { cursor, page, link } = place;
        let (cursor, page, link) = (cursor.is_some(), page.is_some(), link.is_some());
        match self {
            Self::None => !cursor && !page && !link,
            Self::Cursor { .. } => !page && !link,
            Self::Page { .. } => !cursor && !link,
            Self::Link => !cursor && !page,
        }
    }

    /// The address of a page.
    pub(crate) fn address(&self, url: &Url, place: &Place) -> Result<Url, Error> {
        let url = url.clone();
        Ok(match self {
            Self::None => url,
            Self::Cursor { param, .. } => match &place.cursor {
                Some(cursor) => url.with_query(param, cursor),
                None => url,
            },
            Self::Page { param, start, size, size_param } => {
                let url = url.with_query(param, &place.page.unwrap_or(*start).to_string());
                match size_param {
                    Some(name) => url.with_query(name, &size.to_string()),
                    None => url,
                }
            }
            Self::Link => match &place.link {
                Some(link) => same_server(&url, link)?,
                None => url,
            },
        })
    }

    /// Where the next page's cursor is.
    pub(crate) fn cursor(&self) -> Option<&Pointer> {
        match self {
            Self::Cursor { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The page behind this one, if the answer names one.
    pub(crate) fn next(
        &self,
        at: &Url,
        cursor: Option<&RawValue>,
        headers: &Headers,
    ) -> Result<Option<Place>, Error> {
        let next = match self {
            Self::Cursor { path, .. } => {
                let cursor = cursor.map(|found| cursor_of(found, path)).transpose()?.flatten();
                cursor.map(|cursor| Place { cursor: Some(cursor), ..Place::default() })
            }
            Self::Link => {
                let link = next_link(headers).map(|link| same_server(at, link)).transpose()?;
                link.map(|link| Place { link: Some(link.to_string()), ..Place::default() })
            }
            Self::None | Self::Page { .. } => None,
        };
        let name = next.iter().flat_map(|place| [&place.cursor, &place.link]).flatten().next();
        match name.map(String::len).filter(|length| *length > LONGEST_NAME) {
            Some(length) => Err(Error::fatal(format!(
                "the server names the next page in {length} bytes, more than the {LONGEST_NAME} that it may"
            ))),
            None => Ok(next),
        }
    }

    /// The page behind one that had so many items, where they tell.
    pub(crate) fn counted(&self, place: &Place, items: usize) -> Result<Option<Place>, Error> {
        let Self::Page { start, size, .. } = self else { return Ok(None) };
        let (items, number) = (items as u64, place.page.unwrap_or(*start));
        if items > *size {
            // Were the next one asked for, what is added to this one would be lost.
            return Err(Error::fatal(format!(
                "page {number} has {items} items, more than page.size={size}: set it to what the server gives"
            )));
        }
        let next = number.checked_add(1).filter(|_| items == *size);
        Ok(next.map(|next| Place { page: Some(next), ..Place::default() }))
    }
}

/// A text or a number that is there.
pub(crate) fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get().as_bytes().first() {
        Some(b'"') => {
            let plain = value.get().trim_matches('"');
            // Without escapes it is what it says.
            let text = if value.get().contains('\\') {
                Cow::Owned(serde_json::from_str(value.get()).ok()?)
            } else {
                Cow::Borrowed(plain)
            };
            Some(text).filter(|text| !text.is_empty())
        }
        Some(b'-' | b'0'..=b'9') => Some(Cow::Borrowed(value.get())),
        _ => None,
    }
}

/// The cursor, if there is one.
fn cursor_of(value: &RawValue, path: &Pointer) -> Result<Option<String>, Error> {
    match value.get().as_bytes().first() {
        // What only says that there is more does not say where: to stop here would be to lose it.
        Some(b'{' | b'[' | b't') => Err(Error::fatal(format!(
            "the answer has neither a text nor a number at cursor.path={path}, but {}",
            if value.get().starts_with('t') { "true" } else { "an object or array" }
        ))),
        _ => Ok(text_of(value).map(Cow::into_owned)),
    }
}

/// What tells whether a page has changed, unless it is too long to be carried along.
pub(crate) fn validator(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).filter(|value| value.len() <= LONGEST_VALIDATOR).map(str::to_owned)
}

/// A link is followed to the same server only: the login goes with the request.
fn same_server(base: &Url, link: &str) -> Result<Url, Error> {
    let url = base.join(link).map_err(|wrong| Error::fatal(format!("the link to the next page: {wrong}")))?;
    if url.origin() == base.origin() {
        return Ok(url);
    }
    Err(Error::fatal(format!(
        "the link to the next page leads from {} to {}, which must not get the login: set url to the latter",
        base.origin(),
        url.origin()
    )))
}

/// What `Link: <…>; rel="next"` says.
fn next_link(headers: &Headers) -> Option<&str> {
    headers.all("link").find_map(|value| {
        let mut link = None;
        unquoted_parts(value).find_map(|(comma, part)| {
            let part = part.trim();
            if comma {
                link = None;
            }
            match part.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
                Some(target) => {
                    link = Some(target);
                    None
                }
                None => link.filter(|_| is_next(part)),
            }
        })
    })
}

/// The parts between commas and semicolons, those within quotes and angle brackets not counted; and whether a comma is
/// before each.
fn unquoted_parts(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let (mut rest, mut comma) = (Some(text), true);
    std::iter::from_fn(move || {
        let part = rest?;
        let (mut close, mut escaped) = (None, false);
        let end = part.find(|sign| {
            match (close, sign) {
                _ if escaped => escaped = false,
                (Some('"'), '\\') => escaped = true,
                (Some(end), _) if end == sign => close = None,
                (None, '"') => close = Some('"'),
                (None, '<') => close = Some('>'),
                (None, ',' | ';') => return true,
                _ => {}
            }
            false
        });
        let found = (comma, &part[..end.unwrap_or(part.len())]);
        comma = end.is_some_and(|end| part[end..].starts_with(','));
        rest = end.map(|end| &part[end + 1..]);
        Some(found)
    })
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("rel")
        && value.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_among_others() {
        let next = |values: &[&str]| {
            let mut headers = Headers::default();
            values.iter().for_each(|value| headers.add("Link", *value));
            next_link(&headers).map(str::to_owned)
        };
        assert_eq!(
            next(&[r#"</a>; rel="prev", </b?x=1,2>; title="t"; rel="next""#]).as_deref(),
            Some("/b?x=1,2")
        );
        assert_eq!(next(&["</a>; rel=last", "</b>; REL=\"first Next\""]).as_deref(), Some("/b"));
        assert_eq!(next(&[r#"</next>; rel="last""#]), None);
        assert_eq!(next(&["rubbish", "<unclosed", "", ">;<", "\"", "</a>; title=\"\\"]), None);
        // What is quoted is no parameter, and no link.
        assert_eq!(
            next(&[r#"</a>; title="; rel=next", </b>; title="a\", <c>; \" <d>"; rel=next"#]).as_deref(),
            Some("/b")
        );
        assert_eq!(next(&[r#"</a>; rel=prev, </b>, rel=next"#]), None);
    }

    #[test]
    fn a_link_to_another_server_is_not_followed() {
        let url = Url::parse("https://a/x").unwrap();
        assert!(same_server(&url, "https://a:443/y").is_ok());
        for link in ["https://b/y", "http://a/y", "//b"] {
            assert!(same_server(&url, link).unwrap_err().message().contains("must not get the login"));
        }
    }
}
