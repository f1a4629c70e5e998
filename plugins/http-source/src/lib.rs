//! Polls a JSON API: see `README.md`.
//!
//! The source is a small machine. It is due to ask at some time; it waits for an answer (a token's or a page's), also
//! over several calls of `poll`, so that a slow server holds up nothing; and it sends the items of the page it got.
//! While they are sent, the next page is asked for already.

mod config;
mod items;
mod login;
mod page;
mod pages;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde::Serialize;
use transom_sdk::http::{Pending, Request, Response};
use transom_sdk::{
    Error, Kind, Manifest, OffsetChange, Problems, Records, Source, SourceContext, log, should_stop, wait,
};

use config::{Config, Settings};
use login::Login;
use page::Page;
use pages::Offset;

/// How long the server may have the source wait: a number that is meant as a date must not end everything.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// How long a check of the connection may take: somebody waits for it.
const CHECK: Duration = Duration::from_secs(10);

/// The source partition.
#[derive(Serialize)]
struct Partition {
    url: String,
}

/// What the source does next.
enum Step {
    /// Asks, when it is time.
    Due(Instant),
    /// Waits for a token.
    Login(Pending),
    /// Waits for a page.
    Page(Pending),
}

/// A task: there is only one. Not `Debug`: some of it is secret.
struct HttpSource {
    settings: Settings,
    login: Login,
    partition: Partition,
    /// Where the source stands, behind what was sent.
    offset: Offset,
    /// Whether `offset` was told the worker.
    told: bool,
    /// The page that is being sent.
    page: Option<Page>,
    step: Step,
    /// Failures since the last success.
    failures: u32,
    /// Whether the token is new because the server refused the one before.
    renewed: bool,
}

impl Source for HttpSource {
    type Config = Config;

    fn manifest() -> Manifest {
        config::manifest()
    }

    fn validate(config: &Config, problems: &mut Problems) {
        match config.read() {
            Err(found) => found.iter().for_each(|(key, message)| problems.add(key, message)),
            Ok((settings, mut login)) if config.validate_connection => {
                if let Err(tried) = check(&settings, &mut login) {
                    problems.invalid(
                        tried.key,
                        tried.address,
                        format!("the connection was tried: {}", tried.error),
                    );
                }
            }
            Ok(_) => {}
        }
    }

    fn alter_offsets(_: &Config, changes: &[OffsetChange]) -> Result<bool, Error> {
        for OffsetChange { partition, offset } in changes {
            if !partition["url"].is_string() {
                return Err(Error::config(format!("the partition {partition} needs the key 'url'")));
            }
            if let Some(offset) = offset {
                Offset::check(offset).map_err(|wrong| {
                    Error::config(format!(
                        "{offset} is no offset, such as {{\"cursor\": \"c\"}} is one: {wrong}"
                    ))
                })?;
            }
        }
        Ok(true)
    }

    fn open(config: Config, context: &SourceContext) -> Result<Self, Error> {
        let (settings, login) = config.read()?;
        let partition = Partition { url: settings.name.clone() };
        let mut offset = context.offset::<Offset>(&partition)?.unwrap_or_default();
        if !settings.paging.knows(&offset.place) {
            log::warn!("pagination was another one when the source stopped: it begins with the first page");
            offset = Offset::default();
        }
        Ok(Self {
            settings,
            login,
            partition,
            offset,
            told: true,
            page: None,
            step: Step::Due(Instant::now()),
            failures: 0,
            renewed: false,
        })
    }

    fn poll(&mut self, records: &mut Records) -> Result<(), Error> {
        let start = Instant::now();
        records.topic(&self.settings.topic);
        loop {
            self.send(records)?;
            if !self.told {
                records.position(&self.partition, &self.offset)?;
                self.told = true;
                return Ok(());
            }
            let left = records.max_wait().saturating_sub(start.elapsed());
            if !self.advance(left)? && (left.is_zero() || should_stop()) {
                return Ok(());
            }
        }
    }
}

impl HttpSource {
    /// Adds what there is of the page, and moves the offset.
    fn send(&mut self, records: &mut Records) -> Result<(), Error> {
        let Some(page) = &mut self.page else { return Ok(()) };
        page.send(&self.offset.place, &self.settings, records)?;
        let mut offset = page.offset(&self.offset.place);
        if page.is_sent() {
            // A page with nothing in it may have a successor, but an API that is asked so has no more for now.
            let at_once = page.next.is_some() && !page.is_empty();
            if let Some(next) = page.next.take() {
                offset = Offset::of(next);
            }
            self.page = None;
            let pause = if at_once { Duration::ZERO } else { self.settings.interval };
            self.step = Step::Due(Instant::now() + pause);
        }
        self.told &= offset == self.offset;
        self.offset = offset;
        if matches!(self.step, Step::Due(at) if self.page.is_none() && at <= Instant::now()) {
            // Sent while Kafka gets what was added. Why it could not be is told when there is nothing to lose.
            let _ = self.ask();
        }
        Ok(())
    }

    /// Goes on with what is next, and waits so long at most. False: nothing came of it.
    fn advance(&mut self, most: Duration) -> Result<bool, Error> {
        let result = match &mut self.step {
            Step::Due(at) => {
                let early = at.saturating_duration_since(Instant::now());
                if !early.is_zero() {
                    wait(early.min(most));
                    return Ok(false);
                }
                self.ask()
            }
            Step::Login(pending) => match pending.wait_for(most) {
                Ok(None) => return Ok(false),
                Ok(Some(response)) => self.login.accept(response).and_then(|()| self.ask_for_page()),
                Err(error) => Err(error),
            },
            Step::Page(pending) => match pending.wait_for(most) {
                Ok(None) => return Ok(false),
                Ok(Some(response)) => self.take(response),
                Err(error) => Err(error),
            },
        };
        result.map(|()| true).map_err(|error| self.failed(error))
    }

    /// Asks for the next page, or for the token that it needs.
    fn ask(&mut self) -> Result<(), Error> {
        match self.login.wants(self.settings.timeout) {
            Some(request) => {
                self.step = Step::Login(request.start()?);
                Ok(())
            }
            None => self.ask_for_page(),
        }
    }

    /// Asks for the next page; with the token there is, which is good for one page even if it has expired already:
    /// it is the server that decides.
    fn ask_for_page(&mut self) -> Result<(), Error> {
        let request = self.login.sign(self.settings.request(&self.offset)?);
        self.step = Step::Page(self.settings.within_limits(request).start()?);
        Ok(())
    }

    /// The answer to a request for a page.
    fn take(&mut self, response: Response) -> Result<(), Error> {
        self.step = Step::Due(Instant::now());
        match response.status {
            304 => self.unchanged(&response)?,
            401 if !self.renewed && self.login.refused() => {
                self.renewed = true;
                return self.ask();
            }
            _ => {
                let url = self.settings.paging.address(&self.settings.url, &self.offset.place)?;
                let response = response.success()?;
                self.page = Some(Page::read(response, &url, &self.offset, &self.settings)?);
            }
        }
        (self.failures, self.renewed) = (0, false);
        Ok(())
    }

    /// The page is as it was; but a link to the next one is no part of it, and may be new.
    fn unchanged(&mut self, response: &Response) -> Result<(), Error> {
        let url = self.settings.paging.address(&self.settings.url, &self.offset.place)?;
        let next = self.settings.paging.next(&url, None, &response.headers)?;
        match next.filter(|next| *next != self.offset.place) {
            Some(next) => (self.offset, self.told) = (Offset::of(next), false),
            None => self.step = Step::Due(Instant::now() + self.settings.interval),
        }
        Ok(())
    }

    /// When to try again: when the server says so, or after a time that doubles.
    fn failed(&mut self, error: Error) -> Error {
        self.renewed = false;
        if error.kind() != Kind::Retriable {
            return error;
        }
        let Settings { backoff, backoff_max, .. } = self.settings;
        let doubled = backoff.saturating_mul(1 << self.failures.min(20)).min(backoff_max);
        let after = error.after().unwrap_or(doubled).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.step = Step::Due(Instant::now() + after);
        error.retry_after(after)
    }
}

impl Settings {
    fn within_limits(&self, request: Request) -> Request {
        request.timeout(self.timeout).limit(self.limit)
    }

    /// The request for the page where the source stands.
    fn request(&self, offset: &Offset) -> Result<Request, Error> {
        let mut request = Request::get(self.paging.address(&self.url, &offset.place)?);
        request = request.with_header("accept", "application/json");
        for (name, value) in &self.headers {
            request = request.with_header(name, value);
        }
        if let Some(etag) = &offset.etag {
            request = request.with_header("if-none-match", etag);
        }
        if let Some(modified) = &offset.modified {
            request = request.with_header("if-modified-since", modified);
        }
        Ok(request)
    }
}

/// Where the check of a connection failed.
struct Tried {
    key: &'static str,
    address: String,
    error: Error,
}

/// Asks the server once, as the source would.
fn check(settings: &Settings, login: &mut Login) -> Result<(), Box<Tried>> {
    let timeout = settings.timeout.min(CHECK);
    let offset = Offset::default();
    if let Some(request) = login.wants(timeout) {
        let address = request.url().without_query();
        let token = request.send().and_then(|response| login.accept(response));
        token.map_err(|error| Tried { key: "oauth2.token.url", address, error })?;
    }
    let asked = settings
        .request(&offset)
        .and_then(|request| settings.within_limits(login.sign(request)).timeout(timeout).send());
    let page = asked
        .and_then(Response::success)
        .and_then(|response| Page::read(response, &settings.url, &offset, settings));
    let address = settings.url.without_query();
    page.map(drop).map_err(|error| Box::new(Tried { key: "url", address, error }))
}

transom_sdk::source!(HttpSource);
