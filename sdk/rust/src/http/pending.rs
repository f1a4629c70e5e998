//! Answers that are under way.

use std::time::{Duration, Instant};

use super::raw::{self, Exchange};
use super::{Headers, Piece, Request, Response};
use crate::host::STEP;
use crate::{Error, should_stop};

/// What is read at once.
const CHUNK: usize = 256 << 10;

/// An answer that is under way.
///
/// When it is dropped the request is given up.
#[derive(Debug)]
pub struct Pending {
    exchange: Exchange,
    label: String,
    deadline: Instant,
    timeout: Duration,
    limit: usize,
    /// Status and headers, once they are there.
    head: Option<(u16, Headers)>,
    body: Vec<u8>,
}

/// An answer whose body is read in pieces.
#[derive(Debug)]
pub struct Streamed {
    /// The status, such as 200.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    rest: Pending,
}

impl Pending {
    pub(super) fn start(request: Request) -> Result<Self, Error> {
        let label = request.label();
        let (timeout, limit) = (request.timeout, request.limit);
        let deadline = Instant::now() + timeout;
        let exchange = Exchange::start(request).map_err(|error| error.context(&label))?;
        Ok(Self { exchange, label, deadline, timeout, limit, head: None, body: Vec::new() })
    }

    /// The whole answer, if it is there. Waits for nothing.
    ///
    /// # Errors
    /// See the [module](super). There is no answer any more.
    pub fn poll(&mut self) -> Result<Option<Response>, Error> {
        let whole = self.advance().map_err(|error| error.context(&self.label))?;
        Ok(whole.then(|| {
            let (status, headers) = self.head.take().unwrap_or_default();
            Response { status, headers, body: std::mem::take(&mut self.body), label: self.label.clone() }
        }))
    }

    /// The whole answer; waits for it so long at most, and not when the worker wants the call back.
    ///
    /// # Errors
    /// As for [`poll`](Self::poll).
    pub fn wait_for(&mut self, most: Duration) -> Result<Option<Response>, Error> {
        let start = Instant::now();
        loop {
            let answer = self.poll()?;
            let left = most.saturating_sub(start.elapsed());
            if answer.is_some() || left.is_zero() || should_stop() {
                return Ok(answer);
            }
            raw::pause(&[&self.exchange], left.min(STEP));
        }
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    /// As for [`poll`](Self::poll); and a retriable one when the worker wants the call back.
    pub fn wait(mut self) -> Result<Response, Error> {
        // What is left of the time-out is told by `poll`.
        match self.wait_for(self.timeout + STEP)? {
            Some(response) => Ok(response),
            None => Err(self.asked_to_stop()),
        }
    }

    /// Waits for status and headers; the body is read in pieces then.
    ///
    /// # Errors
    /// As for [`wait`](Self::wait).
    pub fn stream(mut self) -> Result<Streamed, Error> {
        while self.head.is_none() {
            self.head = self.exchange.head().map_err(|error| error.context(&self.label))?;
            if self.head.is_none() {
                self.pause()?;
            }
        }
        let (status, headers) = self.head.take().unwrap_or_default();
        Ok(Streamed { status, headers, rest: self })
    }

    /// Takes what has come. True: that was all.
    fn advance(&mut self) -> Result<bool, Error> {
        if self.head.is_none() {
            self.head = self.exchange.head()?;
        }
        let Some((_, headers)) = &self.head else { return self.in_time().map(|()| false) };
        let said = headers.get("content-length").and_then(|text| text.parse::<usize>().ok());
        if self.body.is_empty() && said.is_some_and(|bytes| bytes > self.limit) {
            return Err(self.too_long());
        }
        loop {
            match self.exchange.read(CHUNK)? {
                Piece::Bytes(bytes) if bytes.len() > self.limit - self.body.len() => {
                    return Err(self.too_long());
                }
                Piece::Bytes(bytes) if self.body.is_empty() => self.body = bytes,
                Piece::Bytes(bytes) => self.body.extend_from_slice(&bytes),
                Piece::End => return Ok(true),
                Piece::NotYet => return self.in_time().map(|()| false),
            }
        }
    }

    fn in_time(&self) -> Result<(), Error> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(Error::retriable(format!("no whole answer within {} ms", self.timeout.as_millis())))
    }

    /// Waits for a moment.
    fn pause(&self) -> Result<(), Error> {
        self.in_time().map_err(|error| error.context(&self.label))?;
        if should_stop() {
            return Err(self.asked_to_stop());
        }
        raw::pause(&[&self.exchange], STEP);
        Ok(())
    }

    fn too_long(&self) -> Error {
        Error::fatal(format!("the answer is longer than the {} bytes it may have", self.limit))
    }

    fn asked_to_stop(&self) -> Error {
        Error::retriable("asked to stop while waiting for the answer").context(&self.label)
    }
}

impl Streamed {
    /// The next piece of the body; none: that was all. Waits for it as long as the request's time-out, from now.
    ///
    /// # Errors
    /// As for [`Pending::wait`].
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let rest = &mut self.rest;
        rest.deadline = Instant::now() + rest.timeout;
        loop {
            match rest.exchange.read(CHUNK).map_err(|error| error.context(&rest.label))? {
                Piece::Bytes(bytes) => return Ok(Some(bytes)),
                Piece::End => return Ok(None),
                Piece::NotYet => rest.pause()?,
            }
        }
    }
}

/// Waits until something has come of one of these answers, so long at most, and not when the worker wants the call
/// back. Which one: [`Pending::poll`] tells.
pub fn wait(pending: &[&Pending], most: Duration) {
    let start = Instant::now();
    let exchanges: Vec<_> = pending.iter().map(|pending| &pending.exchange).collect();
    let in_time = pending.iter().map(|pending| pending.deadline.saturating_duration_since(start)).min();
    let most = in_time.map_or(most, |in_time| in_time.min(most));
    while !should_stop() {
        let left = most.saturating_sub(start.elapsed());
        if left.is_zero() || raw::pause(&exchanges, left.min(STEP)) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::http::Url;
    use crate::{Kind, testing};

    fn request() -> Request {
        Request::get(Url::parse("https://h/p?key=canary").unwrap())
    }

    #[test]
    fn several_requests_are_in_flight() {
        testing::reset();
        let seen = Rc::new(RefCell::new(0));
        let count = Rc::clone(&seen);
        testing::http(move |_| {
            *count.borrow_mut() += 1;
            Ok(Response::new(200).with_body(count.borrow().to_string()))
        });
        let mut pending = [request().start().unwrap(), request().start().unwrap()];
        assert_eq!(*seen.borrow(), 2, "both were sent before one was waited for");
        wait(&pending.each_ref(), Duration::from_secs(3600));
        let bodies = pending.each_mut().map(|pending| pending.poll().unwrap().unwrap().body);
        assert_eq!(bodies, [b"1", b"2"]);
    }

    #[test]
    fn an_answer_that_is_too_long_is_an_error_and_can_be_read_in_pieces() {
        testing::reset();
        testing::http(|_| Ok(Response::new(200).with_body("12345")));
        assert_eq!(request().limit(5).send().unwrap().body, b"12345");
        let error = request().limit(4).send().unwrap_err();
        assert_eq!(error, Error::fatal("GET https://h/p: the answer is longer than the 4 bytes it may have"));
        let mut streamed = request().limit(4).start().unwrap().stream().unwrap();
        assert_eq!(streamed.status, 200);
        let pieces = [streamed.read().unwrap(), streamed.read().unwrap()];
        assert_eq!(pieces, [Some(b"12345".to_vec()), None]);
    }

    #[test]
    fn who_is_asked_to_stop_does_not_wait() {
        testing::reset();
        testing::http_silence();
        testing::set_should_stop(true);
        let error = request().send().unwrap_err();
        assert_eq!(error.kind(), Kind::Retriable);
        assert!(error.message().contains("asked to stop"), "{error}");
        assert!(request().start().unwrap().stream().is_err());
        wait(&[&request().start().unwrap()], Duration::from_secs(3600));
    }

    #[test]
    fn who_is_not_answered_in_time_tries_again() {
        testing::reset();
        testing::http_silence();
        let error = request().timeout(Duration::from_millis(1)).send().unwrap_err();
        assert_eq!(error, Error::retriable("GET https://h/p: no whole answer within 1 ms"));
    }

    #[test]
    fn a_failure_keeps_its_kind_and_says_what_was_asked() {
        testing::reset();
        testing::http(|_| Err(Error::config("refused")));
        assert_eq!(request().send().unwrap_err(), Error::config("GET https://h/p: refused"));
    }
}
