//! A page that was got: its items, and how far they were sent.

use std::borrow::Cow;

use serde_json::value::RawValue;
use transom_sdk::http::{Response, Url};
use transom_sdk::{Error, Records, log};

use crate::config::Settings;
use crate::items::{Digest, Items, Pointer, locate};
use crate::pages::{Offset, Place, text_of, validator};

/// See the module. It keeps the text and nothing for each item.
pub(crate) struct Page {
    body: String,
    /// The items that are new.
    left: Items,
    /// How many came before them.
    sent: usize,
    /// Of these.
    digest: Digest,
    /// The page behind this one.
    pub(crate) next: Option<Place>,
    etag: Option<String>,
    modified: Option<String>,
}

impl Page {
    /// Reads an answer, of which what the offset says was sent already.
    ///
    /// # Errors
    /// It is no JSON, or has no items where they should be.
    pub(crate) fn read(
        response: Response,
        url: &Url,
        offset: &Offset,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let coded = response.headers.get("content-encoding").filter(|coding| *coding != "identity");
        if coded.is_some() {
            return Err(Error::fatal(said(url, "it is compressed, which nobody asked for")));
        }
        let (etag, modified) =
            (validator(&response.headers, "etag"), validator(&response.headers, "last-modified"));
        let whole = String::from_utf8(response.body);
        let body = whole.map_err(|_| Error::retriable(said(url, "it is no UTF-8")))?;
        // Without content there is nothing, not even JSON.
        let [found, cursor] = match body.trim_start_matches('\u{feff}') {
            text if text.trim().is_empty() => [None, None],
            text => locate(text, [Some(&settings.items), settings.paging.cursor()]).map_err(|wrong| {
                Error::retriable(said(url, &format!("it is no JSON, or not all of it: {wrong}")))
            })?,
        };
        let left = match found {
            Some(found) => Items::of(&body, found),
            None if body.trim().is_empty() => Items::NONE,
            None => {
                let what = format!("it has nothing at items.path={}", settings.items);
                return Err(Error::fatal(said(url, &what)));
            }
        };
        let next = settings.paging.next(url, cursor, &response.headers)?;
        let next = next.filter(|next| *next != offset.place);
        let mut page = Self { body, left, sent: 0, digest: Digest::new(), next, etag, modified };
        page.skip(url, offset);
        Ok(page)
    }

    /// Steps over what was sent, if the page still begins with it.
    fn skip(&mut self, url: &Url, offset: &Offset) {
        let (first, mut digest) = (self.left, Digest::new());
        for _ in 0..offset.sent {
            let Some((item, left)) = self.left.next(&self.body) else { break };
            digest.add(item.get());
            self.left = left;
            self.sent += 1;
        }
        if self.sent == 0 && offset.sent == 0 {
            return;
        }
        if self.sent == offset.sent && offset.digest.as_ref() == Some(&digest.text()) {
            self.digest = digest;
        } else {
            (self.left, self.sent) = (first, 0);
            log::info!("{}: the page is another one now and is sent anew", url.without_query());
        }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.sent == 0 && self.left.is_empty()
    }

    /// Whether all of it was sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.left.is_empty()
    }

    /// Adds items until the batch is full, or there are no more.
    pub(crate) fn send(
        &mut self,
        place: &Place,
        settings: &Settings,
        records: &mut Records,
    ) -> Result<(), Error> {
        while !records.is_full()
            && let Some((item, left)) = self.left.next(&self.body)
        {
            match settings.key.as_ref().and_then(|path| key_of(path, item)) {
                Some(key) => records.key_string(&key).json(item)?,
                None => records.json(item)?,
            };
            self.digest.add(item.get());
            self.sent += 1;
            self.left = left;
        }
        if self.is_sent() {
            let counted = settings.paging.counted(place, self.sent)?;
            self.next = self.next.take().or(counted);
        }
        Ok(())
    }

    /// Where the source stands in it.
    pub(crate) fn offset(&self, place: &Place) -> Offset {
        let last = self.is_sent() && self.next.is_none();
        Offset {
            place: place.clone(),
            sent: self.sent,
            digest: (self.sent > 0).then(|| self.digest.text()),
            etag: self.etag.clone().filter(|_| last),
            modified: self.modified.clone().filter(|_| last),
        }
    }
}

/// A text as it is, anything else as its JSON; nothing where there is nothing.
fn key_of<'i>(path: &Pointer, item: &'i RawValue) -> Option<Cow<'i, str>> {
    let value = path.find(item)?;
    match value.get() {
        "null" => None,
        json if json.starts_with('"') => Some(text_of(value).unwrap_or_default()),
        json => Some(Cow::Borrowed(json)),
    }
}

fn said(url: &Url, what: &str) -> String {
    format!("the answer of {}: {what}", url.without_query())
}
