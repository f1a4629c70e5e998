//! Where the source stands in an API's pages, and how it gets on.
//!
//! The source stands *in a page*: at a cursor, number or link, behind so many of its items. The last page so far has
//! no successor, and is asked for again until it has; so an API that only ever adds is followed without an end. What
//! was sent of a page is known by its digest: while the page still begins with just that, only what follows is new.
//! If it does not, the server has changed it, and all of it is new.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use transom_sdk::http::{Headers, Url};
use transom_sdk::{Error, Value};

use crate::items::pointed;

/// How an API divides its items.
pub(crate) enum Paging {
    None,
    Cursor { path: String, param: String },
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

    /// The page behind this one, if there is one already.
    pub(crate) fn next(
        &self,
        from: (&Url, &Place),
        body: Option<&RawValue>,
        (headers, items): (&Headers, usize),
    ) -> Result<Option<Place>, Error> {
        let (at, place) = from;
        let next = match self {
            Self::None => None,
            Self::Cursor { path, .. } => body
                .and_then(|body| pointed(body, path))
                .and_then(text_of)
                .map(|cursor| Place { cursor: Some(cursor), ..Place::default() }),
            Self::Page { start, size, .. } => (items as u64 >= *size)
                .then(|| Place { page: Some(place.page.unwrap_or(*start) + 1), ..Place::default() }),
            Self::Link => match next_link(headers) {
                Some(link) => {
                    let link = same_server(at, link)?.to_string();
                    Some(Place { link: Some(link), ..Place::default() })
                }
                None => None,
            },
        };
        // A page that follows itself is the last one, told in another way.
        Ok(next.filter(|next| next != place))
    }
}

/// A text or a number that is there.
pub(crate) fn text_of(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(value.get()).ok().filter(|text: &String| !text.is_empty()),
        Some(b'-' | b'0'..=b'9') => Some(value.get().to_owned()),
        _ => None,
    }
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
    headers.all("link").find_map(|mut rest| {
        loop {
            let (_, after) = rest.split_once('<')?;
            let (link, after) = after.split_once('>')?;
            // The parameters end where the next link begins.
            let end = after.find('<').unwrap_or(after.len());
            if after[..end].split([';', ',']).any(is_next) {
                return Some(link);
            }
            rest = &after[end..];
        }
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
        assert_eq!(next(&["rubbish", "<unclosed", ""]), None);
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
