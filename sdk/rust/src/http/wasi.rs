//! One request over `wasi:http`, step by step and without waiting.
//!
//! A resource of `wasi:http` must not go before those that were made from it; the fields below stand in the order in
//! which they may be dropped.

use std::fmt;
use std::time::Duration;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingResponse,
    Method as WasiMethod, OutgoingBody, OutgoingRequest, Scheme, http_error_code,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::{Headers, Method, Piece, Request};
use crate::Error;

/// A request that is under way, and its answer.
pub(crate) struct Exchange {
    sending: Option<Sending>,
    receiving: Option<Receiving>,
    answer: FutureIncomingResponse,
    /// `scheme://host:port`, as a grant is written.
    origin: String,
}

/// The rest of a body that goes out.
struct Sending {
    stream: OutputStream,
    body: OutgoingBody,
    bytes: Vec<u8>,
    sent: usize,
}

/// A body that comes in; the stream is gone at its end.
struct Receiving {
    stream: Option<InputStream>,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl Exchange {
    pub(crate) fn start(request: Request) -> Result<Self, Error> {
        let url = request.url();
        let origin = url.origin();
        let outgoing = OutgoingRequest::new(fields(&request)?);
        let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
        let set = outgoing
            .set_method(&method(request.method()))
            .and_then(|()| outgoing.set_scheme(Some(&scheme)))
            .and_then(|()| outgoing.set_authority(Some(url.authority())))
            .and_then(|()| outgoing.set_path_with_query(Some(url.path_and_query())));
        set.map_err(|()| Error::config(format!("no request can be made of {}", url.without_query())))?;
        let opened = outgoing.body().and_then(|body| body.write().map(|stream| (stream, body)));
        let (stream, body) = opened.map_err(|()| Error::fatal("the host takes no body"))?;
        let sending = Some(Sending { stream, body, bytes: request.into_body(), sent: 0 });
        // Without options: Wasmtime 48 never gives their place in its table of resources back, which would end an
        // instance after as many requests as the table has places. The time-out is kept by `Pending`, and the
        // operator's by the host.
        let answer = outgoing_handler::handle(outgoing, None).map_err(|code| explain(&origin, &code))?;
        let mut exchange = Self { sending, receiving: None, answer, origin };
        exchange.push()?;
        Ok(exchange)
    }

    /// Status and headers, if they are there.
    pub(crate) fn head(&mut self) -> Result<Option<(u16, Headers)>, Error> {
        self.push()?;
        // An answer is only there once its event was looked at: who never waits would never see it.
        if !self.answer.subscribe().ready() {
            return Ok(None);
        }
        let Some(answer) = self.answer.get() else { return Ok(None) };
        let response = answer
            .map_err(|()| Error::fatal("the answer was taken already"))?
            .map_err(|code| explain(&self.origin, &code))?;
        let mut headers = Headers::default();
        for (name, value) in response.headers().entries() {
            headers.add(name, String::from_utf8_lossy(&value));
        }
        let status = response.status();
        let opened = response.consume().and_then(|body| body.stream().map(|stream| (stream, body)));
        let (stream, body) = opened.map_err(|()| Error::fatal("the host gives no body"))?;
        self.receiving = Some(Receiving { stream: Some(stream), _body: body, _response: response });
        Ok(Some((status, headers)))
    }

    /// What there is of the body.
    pub(crate) fn read(&mut self, most: usize) -> Result<Piece, Error> {
        self.push()?;
        let Some(receiving) = &mut self.receiving else { return Ok(Piece::NotYet) };
        let Some(stream) = &receiving.stream else { return Ok(Piece::End) };
        match stream.read(most as u64) {
            Ok(bytes) if bytes.is_empty() => Ok(Piece::NotYet),
            Ok(bytes) => Ok(Piece::Bytes(bytes)),
            Err(StreamError::Closed) => {
                receiving.stream = None;
                Ok(Piece::End)
            }
            Err(StreamError::LastOperationFailed(error)) => Err(match http_error_code(&error) {
                Some(code) => explain(&self.origin, &code),
                None => Error::retriable("the answer broke off"),
            }),
        }
    }

    /// Sends what can be sent now.
    fn push(&mut self) -> Result<(), Error> {
        while let Some(sending) = &mut self.sending {
            let rest = &sending.bytes[sending.sent..];
            let room = if rest.is_empty() { Ok(0) } else { sending.stream.check_write() };
            match room {
                Ok(0) if !rest.is_empty() => return Ok(()),
                Ok(room) if !rest.is_empty() => {
                    let part = rest.len().min(usize::try_from(room).unwrap_or(usize::MAX));
                    // That the other side wants no more is no failure: it has answered.
                    let written = sending.stream.write(&rest[..part]);
                    sending.sent = if written.is_ok() { sending.sent + part } else { sending.bytes.len() };
                }
                _ => self.finish(),
            }
        }
        Ok(())
    }

    /// The body is sent, or nobody wants it; the answer tells which.
    fn finish(&mut self) {
        if let Some(Sending { stream, body, .. }) = self.sending.take() {
            drop(stream);
            let _ = OutgoingBody::finish(body, None);
        }
    }

    /// What tells that there is something to do.
    fn events(&self, events: &mut Vec<Pollable>) {
        if let Some(sending) = &self.sending {
            events.push(sending.stream.subscribe());
        }
        match &self.receiving {
            None => events.push(self.answer.subscribe()),
            Some(Receiving { stream: Some(stream), .. }) => events.push(stream.subscribe()),
            Some(_) => {}
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exchange").field(&self.origin).finish()
    }
}

/// Waits until there is something to do for one of them, so long at most. Whether there is.
pub(crate) fn pause(exchanges: &[&Exchange], most: Duration) -> bool {
    let timer = subscribe_duration(u64::try_from(most.as_nanos()).unwrap_or(u64::MAX));
    let mut events = vec![timer];
    exchanges.iter().for_each(|exchange| exchange.events(&mut events));
    let ready = poll(&events.iter().collect::<Vec<_>>());
    ready.iter().any(|event| *event != 0)
}

fn method(method: Method) -> WasiMethod {
    match method {
        Method::Get => WasiMethod::Get,
        Method::Head => WasiMethod::Head,
        Method::Post => WasiMethod::Post,
        Method::Put => WasiMethod::Put,
        Method::Patch => WasiMethod::Patch,
        Method::Delete => WasiMethod::Delete,
    }
}

fn fields(request: &Request) -> Result<Fields, Error> {
    let fields = Fields::new();
    for (name, value) in request.headers().iter() {
        fields.append(name, value.as_bytes()).map_err(|error| {
            Error::config(match error {
                HeaderError::Forbidden => {
                    format!("the header {name} is the connection's own and cannot be set")
                }
                _ => format!(
                    "the header {name} cannot be sent: its name or value has signs that none may have"
                ),
            })
        })?;
    }
    if !request.body().is_empty() || !matches!(request.method(), Method::Get | Method::Head) {
        // With its length, it is not sent in chunks, which some servers refuse.
        let length = request.body().len().to_string();
        let _ = fields.append("content-length", length.as_bytes());
    }
    Ok(fields)
}

/// What the worker shall do, in words for whoever reads its log.
fn explain(origin: &str, code: &ErrorCode) -> Error {
    use ErrorCode as E;
    match code {
        E::HttpRequestDenied => Error::config(format!(
            "the sandbox refused it: nothing grants {origin}, and the worker's log names what would \
             (`sandbox.<plugin>.net={origin}`)"
        )),
        E::DestinationIpProhibited => Error::config(format!(
            "the sandbox refused it: no grant has the address that {origin} is at, and the worker's log names \
             the one that would (`sandbox.<plugin>.net`)"
        )),
        E::ConnectionLimitReached => Error::retriable(
            "all connections that the sandbox allows are in use (`sandbox.<plugin>.net.connections.max`)",
        ),
        E::HttpResponseBodySize(_) => {
            Error::fatal("the answer is longer than the sandbox allows (`sandbox.<plugin>.net.response.max`)")
        }
        E::TlsCertificateError => Error::fatal(
            "the server's certificate is not trusted; the worker's log says why (`sandbox.<plugin>.tls.ca` names \
             whom to trust besides what the system does)",
        ),
        E::TlsProtocolError | E::TlsAlertReceived(_) => {
            Error::fatal("no TLS with the server; the worker's log says why")
        }
        E::HttpRequestUriInvalid | E::HttpRequestMethodInvalid => Error::config("the request cannot be sent"),
        E::ConnectionRefused => Error::retriable("the connection was refused: nobody listens there"),
        E::ConnectionTerminated => Error::retriable("the connection broke off"),
        E::ConnectionTimeout => Error::retriable("no connection in time"),
        E::HttpResponseTimeout | E::ConnectionReadTimeout => Error::retriable("no answer in time"),
        E::DnsError(_) | E::DnsTimeout => Error::retriable("the name of the host cannot be resolved"),
        E::DestinationNotFound | E::DestinationUnavailable | E::DestinationIpUnroutable => {
            Error::retriable("the host cannot be reached")
        }
        other => Error::retriable(format!("the request failed: {other:?}")),
    }
}
