//! A server that forwards HTTP requests, one at a time, and stops at the one that a test chose: before it is
//! forwarded, or after the answer came and before it is passed on. So a test kills a client at every step of an
//! exchange, whatever the time it takes.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{fmt, io, thread};

/// Where the gate holds a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The server never sees it.
    Before,
    /// The client never sees the answer.
    After,
}

/// What forwards.
#[derive(Clone)]
pub struct Gate {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Heads of all requests so far: their first lines and headers.
    requests: Vec<String>,
    /// Which request is held, from 0, and where.
    held: Option<(usize, Hold)>,
    /// Whether it is held now.
    holding: bool,
    /// Counts the clients whose requests must not be forwarded any more.
    generation: usize,
}

impl Gate {
    /// A gate in front of `host:port`.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let (state, changed) = (Mutex::default(), Condvar::new());
        let gate = Self { port, shared: Arc::new(Shared { upstream: upstream.to_owned(), state, changed }) };
        let accepting = gate.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let gate = accepting.clone();
                // A client that was killed ends its connection with an error.
                thread::spawn(move || drop(gate.serve(client)));
            }
        });
        gate
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Forgets the requests so far, and holds the `number`th of those to come, from 0.
    pub fn hold(&self, number: usize, hold: Hold) {
        let mut state = self.state();
        state.requests.clear();
        state.held = Some((number, hold));
        state.holding = false;
    }

    /// Waits until the request is held.
    ///
    /// # Panics
    /// When it never comes.
    #[track_caller]
    pub fn await_held(&self) {
        crate::until("the request that is to be held", || {
            let state = self.state();
            if state.holding {
                Ok(())
            } else {
                let lines: Vec<_> = state.requests.iter().map(|head| first_line(head)).collect();
                Err(format!("{} requests: {lines:#?}", lines.len()))
            }
        });
    }

    /// Holds nothing any more; what is held now is dropped, and what its client sent is not forwarded.
    pub fn open(&self) {
        let mut state = self.state();
        (state.held, state.holding) = (None, false);
        state.generation += 1;
        self.shared.changed.notify_all();
    }

    /// First lines of the requests since the last call of [`hold`](Self::hold).
    pub fn requests(&self) -> Vec<String> {
        self.heads().iter().map(|head| first_line(head).to_owned()).collect()
    }

    /// First lines and headers of these requests.
    pub fn heads(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut client = client;
        let server = TcpStream::connect(&self.shared.upstream)?;
        let (mut answers, mut server) = (BufReader::new(server.try_clone()?), server);
        loop {
            let Some(request) = message(&mut reader, false)? else { return Ok(()) };
            let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(request.len());
            let text = String::from_utf8_lossy(&request[..end]).into_owned();
            let head = text.starts_with("HEAD");
            let number = {
                let mut state = self.state();
                state.requests.push(text);
                state.requests.len() - 1
            };
            self.pass(number, Hold::Before)?;
            server.write_all(&request)?;
            let Some(answer) = message(&mut answers, head)? else { return Ok(()) };
            self.pass(number, Hold::After)?;
            client.write_all(&answer)?;
        }
    }

    /// Waits here if this is the request to be held; an error then, which ends the connection.
    fn pass(&self, number: usize, hold: Hold) -> io::Result<()> {
        let mut state = self.state();
        if state.held != Some((number, hold)) {
            return Ok(());
        }
        state.holding = true;
        let generation = state.generation;
        while state.generation == generation {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("port", &self.port).finish_non_exhaustive()
    }
}

fn first_line(head: &str) -> &str {
    head.lines().next().unwrap_or_default()
}

/// A request or answer with its whole body, as it came; none at the end of the connection.
fn message(reader: &mut impl io::BufRead, without_body: bool) -> io::Result<Option<Vec<u8>>> {
    let (mut all, mut length, mut chunked, mut line) = (Vec::new(), 0, false, Vec::new());
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        all.extend_from_slice(&line);
        let text = String::from_utf8_lossy(&line).to_ascii_lowercase();
        if let Some(value) = text.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        chunked |= text.starts_with("transfer-encoding:") && text.contains("chunked");
        if text.trim().is_empty() {
            break;
        }
    }
    if without_body {
        return Ok(Some(all));
    }
    if !chunked {
        let start = all.len();
        all.resize(start + length, 0);
        reader.read_exact(&mut all[start..])?;
        return Ok(Some(all));
    }
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        all.extend_from_slice(&line);
        let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap_or(0);
        let start = all.len();
        all.resize(start + size + 2, 0);
        reader.read_exact(&mut all[start..])?;
        if size == 0 {
            return Ok(Some(all));
        }
    }
}
