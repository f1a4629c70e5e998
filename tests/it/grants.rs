//! Attempts to get past the network's grants, by a plugin that knows every trick: each is refused, said and counted,
//! and what it wanted to reach has seen no connection. And what is granted works, so that it is the grant that decides.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hyper::Response;
use serde_json::json;
use transom_tests::guests::FAULTY_SOURCE;
use transom_tests::https::Https;
use transom_tests::{Worker, kafka, ports, unique};

/// Who must not be reached, who may be, and the worker that stands between.
struct Field {
    worker: Worker,
    /// Port of what nobody may reach. It is there at every address of this machine's own.
    treasure: u16,
    /// Port of an HTTP server that may be reached, by HTTP only. It redirects to the treasure.
    open: u16,
    /// Port of a server that may be reached by TCP only, and sends back what it gets.
    echo: u16,
    /// May be reached by TCP, and has TLS.
    secure: Https,
}

static FIELD: LazyLock<Field> = LazyLock::new(Field::new);
/// Connections to the treasure.
static REACHED: AtomicUsize = AtomicUsize::new(0);

impl Field {
    fn new() -> Self {
        let treasure = ports::free();
        let dual = TcpListener::bind((Ipv6Addr::UNSPECIFIED, treasure));
        let dual = dual.or_else(|_| TcpListener::bind(("0.0.0.0", treasure))).unwrap();
        serve(dual, |_| {
            let _ = REACHED.fetch_add(1, Ordering::SeqCst);
        });
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let open_port = open.local_addr().unwrap().port();
        serve(open, move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{treasure}/\r\n");
            let _ =
                stream.write_all(format!("{head}content-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
        });
        let echo = echo();
        let secure = Https::start(&["http/1.1"], |_| Response::default());
        let mut worker = Worker::new(kafka());
        let any = ["http://*:*", "https://*:*", "tcp://*:*", "http://0.0.0.0/0:*", "tcp://0.0.0.0/0:*"];
        let any = any.map(str::to_owned).into_iter();
        let six = ["http://[::/0]:*", "tcp://[::/0]:*"].map(str::to_owned);
        let own = [
            format!("http://127.0.0.1:{open_port}"),
            format!("tcp://localhost:{echo}"),
            format!("tcp://127.0.0.1:{echo}"),
            format!("tcp://{}", secure.address()),
        ];
        let grants: Vec<_> = any.chain(six).chain(own).collect();
        worker
            .install(&FAULTY_SOURCE)
            .set("sandbox.faulty-source.net", &grants.join(","))
            .set("sandbox.faulty-source.tls.ca", &secure.ca().display().to_string())
            .environment("http_proxy", &format!("http://127.0.0.1:{treasure}"))
            .environment("HTTPS_PROXY", &format!("http://127.0.0.1:{treasure}"))
            .start();
        worker.await_plugins(1);
        Self { worker, treasure, open: open_port, echo, secure }
    }

    /// Has the plugin try something; what came of it, or how it failed.
    #[track_caller]
    fn attempt(&self, what: &str, address: &str, text: &str) -> Result<(), String> {
        let name = unique("attempt");
        let config = json!({
            "connector.class": "org.example.FaultySource", "topic": unique("nothing"), "records": "0",
            "fault": what, "fault.at": "open", "fault.address": address, "fault.text": text,
        });
        self.worker.rest().put(&format!("/connectors/{name}/config"), Some(&config)).expect(201);
        let status = self.worker.await_status(&name, |status| {
            ["RUNNING", "FAILED"].iter().any(|end| status["tasks"][0]["state"] == *end)
        });
        self.worker.rest().delete(&format!("/connectors/{name}")).expect(204);
        let reached = REACHED.load(Ordering::SeqCst);
        assert_eq!(reached, 0, "{what} {address}: the treasure was reached");
        match status["tasks"][0]["state"].as_str() {
            Some("RUNNING") => Ok(()),
            _ => Err(status["tasks"][0]["trace"].as_str().unwrap_or_default().to_owned()),
        }
    }

    /// Has the plugin try something that has to fail, and to be told so to the operator.
    #[track_caller]
    fn refused(&self, what: &str, address: &str) {
        let address = address.replace("{treasure}", &self.treasure.to_string());
        let address = address.replace("{open}", &self.open.to_string());
        let address = address.replace("{echo}", &self.echo.to_string());
        let error = self.attempt(what, &address, "").expect_err("it went through");
        let sandbox = ["Denied", "Prohibited", "not granted", "Permission denied", "denied"];
        assert!(sandbox.iter().any(|word| error.contains(word)), "{what} {address}: {error}");
    }

    /// The same, where it may also be that nobody understands such a host.
    #[track_caller]
    fn in_vain(&self, what: &str, address: &str) {
        let address = address.replace("{treasure}", &self.treasure.to_string());
        let error = self.attempt(what, &address, "").expect_err("it went through");
        assert!(!error.contains("Refused") && !error.contains("refused"), "it tried: {error}");
    }
}

fn serve(listener: TcpListener, each: impl Fn(TcpStream) + Send + 'static) {
    drop(thread::spawn(move || listener.incoming().flatten().for_each(each)));
}

/// The port of a server that sends back what it gets.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    serve(listener, |stream| {
        drop(thread::spawn(move || {
            let mut back = stream.try_clone().unwrap();
            let _ = std::io::copy(&mut &stream, &mut back);
        }));
    });
    port
}

/// A test for each way that must lead nowhere.
macro_rules! attempts {
    ($($name:ident: $outcome:ident $what:literal $address:literal;)*) => {
        $(#[test]
        fn $name() {
            FIELD.$outcome($what, $address);
        })*
    };
}

attempts! {
    loopback_is_not_any_address: refused "request" "http://127.0.0.1:{treasure}/";
    loopback_is_not_any_address_by_tcp: refused "dial" "127.0.0.1:{treasure}";
    loopback_is_not_any_address_by_a_socket: refused "connect" "127.0.0.1:{treasure}";
    another_address_of_loopback: refused "request" "http://127.7.7.7:{treasure}/";
    loopback_by_name: refused "request" "http://localhost:{treasure}/";
    loopback_by_name_in_capitals_with_a_dot: in_vain "request" "http://LOCALHOST.:{treasure}/";
    loopback_by_name_and_tcp: refused "dial" "localhost:{treasure}";
    loopback_by_name_and_socket: refused "connect" "localhost:{treasure}";
    loopback_of_ipv6: refused "request" "http://[::1]:{treasure}/";
    loopback_of_ipv6_by_a_socket: refused "connect" "[::1]:{treasure}";
    loopback_mapped_into_ipv6: refused "request" "http://[::ffff:127.0.0.1]:{treasure}/";
    loopback_mapped_into_ipv6_by_tcp: refused "dial" "[::ffff:127.0.0.1]:{treasure}";
    loopback_mapped_into_ipv6_by_a_socket: in_vain "connect" "[::ffff:127.0.0.1]:{treasure}";
    loopback_translated_into_ipv6: refused "request" "http://[64:ff9b::7f00:1]:{treasure}/";
    loopback_in_6to4: refused "request" "http://[2002:7f00:1::]:{treasure}/";
    loopback_in_short: in_vain "request" "http://127.1:{treasure}/";
    loopback_as_a_number: in_vain "request" "http://2130706433:{treasure}/";
    loopback_in_hexadecimal: in_vain "request" "http://0x7f000001:{treasure}/";
    loopback_in_octal: in_vain "request" "http://0177.0.0.1:{treasure}/";
    this_host: refused "request" "http://0.0.0.0:{treasure}/";
    this_host_by_a_socket: in_vain "connect" "0.0.0.0:{treasure}";
    loopback_behind_a_user_name: refused "request" "http://good.example@127.0.0.1:{treasure}/";
    the_metadata_service: refused "request" "http://169.254.169.254/latest/meta-data/";
    the_metadata_service_by_tcp: refused "dial" "169.254.169.254:80";
    a_redirect_of_a_granted_server: refused "request" "http://127.0.0.1:{open}/";
    https_where_http_is_granted: refused "request" "https://127.0.0.1:{open}/";
    http_where_tcp_is_granted: refused "request" "http://127.0.0.1:{echo}/";
    tcp_where_http_is_granted: refused "dial" "127.0.0.1:{open}";
    a_datagram: refused "udp" "127.0.0.1:{treasure}";
    a_listener: refused "listen" "127.0.0.1:0";
}

#[test]
fn a_host_header_of_its_own_is_no_way_to_another_host() {
    let address = format!("http://127.0.0.1:{}/", FIELD.open);
    let error = FIELD.attempt("request-host", &address, "internal.example").unwrap_err();
    assert!(error.contains("Forbidden"), "{error}");
}

#[test]
fn a_refusal_names_the_key_and_is_counted() {
    FIELD.refused("dial", "127.0.0.2:{treasure}");
    let key = format!("sandbox.faulty-source.net=tcp://127.0.0.2:{}", FIELD.treasure);
    FIELD.worker.await_log(&["refused a connection to 127.0.0.2", &key]);
}

#[test]
fn what_is_granted_is_reached() {
    let (open, echo, secure) = (FIELD.open, FIELD.echo, FIELD.secure.address());
    for (what, address) in [
        ("connect", format!("127.0.0.1:{echo}")),
        ("connect", format!("localhost:{echo}")),
        ("dial", format!("localhost:{echo}")),
        ("dial", format!("[::ffff:127.0.0.1]:{echo}")),
        ("dial-close", format!("127.0.0.1:{echo}")),
        ("echo", format!("127.0.0.1:{echo}")),
        ("dial-tls", secure.clone()),
        ("dial-start-tls", secure),
    ] {
        let came = FIELD.attempt(what, &address, "");
        assert_eq!(came, Ok(()), "{what} {address}");
    }
    // A proxy of the worker's environment is not asked: the answer is the open server's.
    let redirected = FIELD.attempt("request", &format!("http://127.0.0.1:{open}/"), "").unwrap_err();
    assert!(redirected.contains("Prohibited"), "{redirected}");
}

/// More than a guest may hold handles: what a request leaves behind would add up.
#[test]
fn requests_with_limits_of_their_own_leave_nothing_behind() {
    let url = format!("http://127.0.0.1:{}/", FIELD.open);
    assert_eq!(FIELD.attempt("request-often", &url, "1500"), Ok(()));
}

#[test]
fn a_task_has_no_more_connections_than_it_may() {
    let echo = echo();
    let address = format!("127.0.0.1:{echo}");
    let mut worker = Worker::new(kafka());
    worker
        .install(&FAULTY_SOURCE)
        .set("sandbox.faulty-source.net", &format!("tcp://{address}"))
        .set("sandbox.faulty-source.net.connections.max", "3");
    for what in ["dial-many", "connect-many"] {
        let config = [
            ("connector.class", "org.example.FaultySource"),
            ("topic", "nothing"),
            ("fault", what),
            ("fault.at", "open"),
            ("fault.address", &address),
        ];
        worker.connector(what, &config);
    }
    worker.start();
    let told = worker.await_failed("dial-many");
    assert!(told.contains("all 3 connections of the task are in use"), "{told}");
    let _ = worker.await_failed("connect-many");
    for connector in ["dial-many", "connect-many"] {
        let made = worker.metrics().sum("transom_task_guest_connections_total", &[("connector", connector)]);
        assert_eq!(made, Some(3.0), "{connector}");
    }
}

#[test]
fn a_guest_that_waits_for_an_answer_can_be_stopped() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut worker = Worker::new(kafka());
    let config = [
        ("connector.class", "org.example.FaultySource"),
        ("topic", "nothing"),
        ("fault", "dial-wait"),
        ("fault.at", "poll"),
        ("fault.address", &address),
    ];
    worker
        .install(&FAULTY_SOURCE)
        .set("sandbox.faulty-source.net", &format!("tcp://{address}"))
        .set("sandbox.faulty-source.call.timeout.ms", "1000")
        .connector("waits", &config)
        .start();
    let (held, _) = silent.accept().unwrap();
    let start = Instant::now();
    worker.terminate();
    let took = start.elapsed();
    // It reads again whenever it is given back, so the call's own time-out ends it.
    assert!(took < Duration::from_secs(30), "{took:?}");
    drop(held);
}
