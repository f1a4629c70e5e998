//! A page that was got: its items, and how far they were sent.

use std::ops::Range;

use serde_json::value::RawValue;
use transom_sdk::http::{Response, Url};
use transom_sdk::{Error, Records, log};

use crate::config::Settings;
use crate::items::{Digest, items, pointed};
use crate::pages::{Offset, Place, text_of};

/// See the module. The text is kept once, however many items it has.
pub(crate) struct Page {
    body: String,
    items: Vec<Range<usize>>,
    /// The first item that is new.
    pub(crate) at: usize,
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
        let header = |name| response.headers.get(name).map(str::to_owned);
        let (etag, modified) = (header("etag"), header("last-modified"));
        let whole = String::from_utf8(response.body);
        let body = whole.map_err(|_| Error::retriable(said(url, "it is no UTF-8")))?;
        // Without content there is nothing, not even JSON.
        let root: Option<&RawValue> = match body.trim() {
            "" => None,
            text => Some(serde_json::from_str(text).map_err(|wrong| {
                Error::retriable(said(url, &format!("it is no JSON, or not all of it: {wrong}")))
            })?),
        };
        let found = root.map_or(Some(Vec::new()), |root| items(&body, root, &settings.items));
        let items = found.ok_or_else(|| {
            Error::fatal(said(url, &format!("it has nothing at items.path={}", settings.items)))
        })?;
        let next = settings.paging.next((url, &offset.place), root, (&response.headers, items.len()))?;
        let mut page = Self { body, items, at: 0, digest: Digest::new(), next, etag, modified };
        page.skip(url, offset);
        Ok(page)
    }

    /// Steps over what was sent, if the page still begins with it.
    fn skip(&mut self, url: &Url, offset: &Offset) {
        let Some(sent) = self.items.get(..offset.sent) else {
            return log::info!("{}: the page is another one now and is sent anew", url.without_query());
        };
        let mut digest = Digest::new();
        sent.iter().for_each(|item| digest.add(&self.body[item.clone()]));
        if offset.sent == 0 || offset.digest.as_ref() == Some(&digest.text()) {
            self.at = offset.sent;
            self.digest = digest;
        } else {
            log::info!("{}: the page is another one now and is sent anew", url.without_query());
        }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether all of it was sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.at >= self.items.len()
    }

    /// Adds items until the batch is full, or there are no more.
    pub(crate) fn send(&mut self, key: Option<&str>, records: &mut Records) -> Result<(), Error> {
        while let Some(range) = self.items.get(self.at)
            && !records.is_full()
        {
            let text = &self.body[range.clone()];
            let item: &RawValue = serde_json::from_str(text)?;
            let key = key.and_then(|path| pointed(item, path)).and_then(key_of);
            match &key {
                Some(key) => records.key_string(key).json(item)?,
                None => records.json(item)?,
            };
            self.digest.add(text);
            self.at += 1;
        }
        Ok(())
    }

    /// Where the source stands in it.
    pub(crate) fn offset(&self, place: &Place) -> Offset {
        let last = self.is_sent() && self.next.is_none();
        Offset {
            place: place.clone(),
            sent: self.at,
            digest: (self.at > 0).then(|| self.digest.text()),
            etag: self.etag.clone().filter(|_| last),
            modified: self.modified.clone().filter(|_| last),
        }
    }
}

/// A text as it is, anything else as its JSON; nothing where there is nothing.
fn key_of(value: &RawValue) -> Option<String> {
    match value.get() {
        "null" => None,
        json if json.starts_with('"') => text_of(value).or_else(|| Some(String::new())),
        json => Some(json.to_owned()),
    }
}

fn said(url: &Url, what: &str) -> String {
    format!("the answer of {}: {what}", url.without_query())
}
