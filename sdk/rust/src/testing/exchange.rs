//! The test double of HTTP: requests of the thread go to a function of the test.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use crate::Error;
use crate::http::{Headers, Piece, Request, Response};

type Server = Box<dyn FnMut(&Request) -> Option<Result<Response, Error>>>;

thread_local!(static SERVER: RefCell<Option<Server>> = RefCell::default());

/// What answers the plugin's requests from now on, until the next driver is made. An error stands for one of the
/// network or the sandbox.
pub fn http(mut answer: impl FnMut(&Request) -> Result<Response, Error> + 'static) {
    serve(Some(Box::new(move |request| Some(answer(request)))));
}

/// The plugin's requests are sent and never answered from now on.
pub fn http_silence() {
    serve(Some(Box::new(|_| None)));
}

pub(super) fn reset() {
    serve(None);
}

fn serve(server: Option<Server>) {
    SERVER.with_borrow_mut(|known| *known = server);
}

/// One request and its answer, which is there at once or never.
pub(crate) struct Exchange(Option<Result<Response, Error>>);

impl Exchange {
    pub(crate) fn start(request: Request) -> Result<Self, Error> {
        // Taken out while it answers: it may ask something of this module.
        let Some(mut server) = SERVER.take() else {
            return Err(Error::config("there is no server in this test: see `testing::http`"));
        };
        let answer = server(&request);
        serve(Some(server));
        Ok(Self(answer))
    }

    pub(crate) fn head(&mut self) -> Result<Option<(u16, Headers)>, Error> {
        match &self.0 {
            None => Ok(None),
            Some(Ok(response)) => Ok(Some((response.status, response.headers.clone()))),
            Some(Err(error)) => Err(error.clone()),
        }
    }

    pub(crate) fn read(&mut self, _: usize) -> Result<Piece, Error> {
        match &mut self.0 {
            Some(Ok(response)) if !response.body.is_empty() => {
                Ok(Piece::Bytes(std::mem::take(&mut response.body)))
            }
            Some(Ok(_)) => Ok(Piece::End),
            Some(Err(error)) => Err(error.clone()),
            None => Ok(Piece::NotYet),
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exchange").field(&self.0.is_some()).finish()
    }
}

/// Whether something has come.
pub(crate) fn pause(exchanges: &[&Exchange], most: Duration) -> bool {
    let come = exchanges.iter().any(|exchange| exchange.0.is_some());
    if !come {
        std::thread::sleep(most);
    }
    come
}
