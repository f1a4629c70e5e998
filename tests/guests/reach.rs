//! Ways out of the sandbox: each faulty plugin can try them all. `fault` says which, `fault.address` where to.
//!
//! | fault | what it tries |
//! |---|---|
//! | `connect` | a socket of the standard library, to `host:port` |
//! | `connect-many` | such sockets until one fails, and keeps them |
//! | `dial`, `dial-tls`, `dial-start-tls` | a connection of the contract's `net`, to `host:port` |
//! | `dial-many` | such connections until one fails, and keeps them |
//! | `dial-wait` | such a connection, and reads for ever from it |
//! | `dial-close` | to use a connection that it closed, and one that it never had |
//! | `echo` | sends a megabyte over such a connection and wants it back |
//! | `request` | a GET of a URL, and of the one that the answer redirects to |
//! | `request-host` | a GET with a `Host` header of its own, `fault.text` |
//! | `request-often` | `fault.text` GETs of a URL, each with a limit of its own, one after the other |
//! | `lookup` | the addresses of a host |
//! | `udp` | a datagram to `host:port` |
//! | `listen` | to listen at `host:port` |

use std::mem;
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};

use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, IncomingResponse, OutgoingRequest, RequestOptions, Scheme};

use crate::bindings::transom::connect::net;

/// How long to wait for the other side.
const WAIT: u32 = 30_000;

/// False: this is no way out.
pub(crate) fn out(what: &str, address: &str, text: &str) -> Result<bool, String> {
    match what {
        "connect" => drop(TcpStream::connect(address).map_err(|e| e.to_string())?),
        "connect-many" => loop {
            mem::forget(TcpStream::connect(address).map_err(|e| e.to_string())?);
        },
        "dial" => net::close(dial(address, false)?),
        "dial-tls" => net::close(dial(address, true)?),
        "dial-start-tls" => {
            let connection = dial(address, false)?;
            net::start_tls(connection, WAIT).map_err(|e| e.message)?;
            net::close(connection);
        }
        "dial-many" => loop {
            let _ = dial(address, false)?;
        },
        "dial-wait" => {
            let connection = dial(address, false)?;
            while net::receive(connection, 1, u32::MAX).map_err(|e| e.message)?.is_some() {}
        }
        "dial-close" => {
            let connection = dial(address, false)?;
            net::close(connection);
            net::close(connection);
            for gone in [connection, connection + 1, 0, u32::MAX] {
                let told = [
                    net::send(gone, b"x", 0).err(),
                    net::receive(gone, 1, 0).err(),
                    net::start_tls(gone, 1).err(),
                ];
                let told: Option<Vec<_>> = told.into_iter().map(|e| e.map(|e| e.code)).collect();
                if told != Some(vec![2, 2, 2]) {
                    return Err(format!("{gone} is a connection"));
                }
            }
        }
        "echo" => echo(dial(address, false)?)?,
        "request" => {
            let response = get(address, None, None)?;
            if let Some(place) = response.headers().get("location").first() {
                let _ = get(&String::from_utf8_lossy(place), None, None)?;
            }
        }
        "request-host" => drop(get(address, Some(text), None)?),
        "request-often" => {
            for _ in 0..text.parse().map_err(|e| format!("fault.text: {e}"))? {
                let options = RequestOptions::new();
                let taken = options.set_first_byte_timeout(Some(u64::from(WAIT) * 1_000_000));
                taken.map_err(|()| "no limit can be set")?;
                drop(get(address, None, Some(options))?);
            }
        }
        "lookup" => drop((address, 0).to_socket_addrs().map_err(|e| e.to_string())?),
        "udp" => {
            let socket = UdpSocket::bind("0.0.0.0:0").map_err(|e| e.to_string())?;
            let _ = socket.send_to(b"hello", address).map_err(|e| e.to_string())?;
        }
        "listen" => drop(TcpListener::bind(address).map_err(|e| e.to_string())?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn dial(address: &str, tls: bool) -> Result<u32, String> {
    let (host, port) = address.rsplit_once(':').ok_or("host:port is wanted")?;
    let port = port.parse().map_err(|e| format!("{port}: {e}"))?;
    net::connect(host, port, tls, WAIT).map_err(|e| format!("code {}: {}", e.code, e.message))
}

fn echo(connection: u32) -> Result<(), String> {
    let bytes: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    let (mut sent, mut back) = (0, Vec::new());
    while back.len() < bytes.len() {
        // Not all at once: the other side answers before it takes more.
        let more = &bytes[sent..bytes.len().min(sent + 60_000)];
        sent += net::send(connection, more, 0).map_err(|e| e.message)? as usize;
        let came = net::receive(connection, u32::MAX, 10).map_err(|e| e.message)?;
        back.extend(came.ok_or("the other side has closed")?);
    }
    net::close(connection);
    if back == bytes { Ok(()) } else { Err("something else came back".to_owned()) }
}

fn get(url: &str, host: Option<&str>, options: Option<RequestOptions>) -> Result<IncomingResponse, String> {
    let (scheme, rest) = url.split_once("://").ok_or("a URL is wanted")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let headers = Fields::new();
    if let Some(host) = host {
        headers.append("host", host.as_bytes()).map_err(|e| format!("the header: {e:?}"))?;
    }
    let request = OutgoingRequest::new(headers);
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let set = request.set_scheme(Some(&scheme)).and_then(|()| request.set_authority(Some(authority)));
    set.and_then(|()| request.set_path_with_query(Some(&format!("/{path}"))))
        .map_err(|()| format!("{url} is no URL of a request"))?;
    let answer = outgoing_handler::handle(request, options).map_err(|e| format!("{e:?}"))?;
    answer.subscribe().block();
    let answer = answer.get().ok_or("no answer")?.map_err(|()| "no answer".to_owned())?;
    answer.map_err(|e| format!("{e:?}"))
}
