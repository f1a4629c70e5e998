//! Attempts to get past the grants, on a listener of this machine's own that nobody may reach.

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::connect::{Connector, target};
use super::*;
use crate::plugin::log::{GuestLog, Speaker};

fn net(grants: &str) -> Arc<Net> {
    let raw = [("sandbox.p.net".to_owned(), grants.to_owned())].into();
    let sandboxes = crate::config::Sandboxes::of_raw(&raw).unwrap();
    with(sandboxes.of("p"))
}

fn with(sandbox: Sandbox) -> Arc<Net> {
    let meters = Arc::<Meters>::default();
    let speaker = Speaker { plugin: "p".into(), connector: "c".into(), task: None };
    let log = Arc::new(GuestLog::new(speaker, 1000, Arc::clone(&meters)));
    let refusals = Arc::new(Refusals::new(log, Arc::clone(&meters)));
    Arc::new(Net::new(Arc::new(sandbox), refusals, meters))
}

/// A listener, and its port.
async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn connect(net: &Arc<Net>, host: &str, port: u16) -> io::Result<metered::Metered> {
    net.connect(NetScheme::Http, host, port).await
}

fn refusal(error: &io::Error) -> Option<&Refused> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

#[tokio::test]
async fn this_machine_is_not_reached_by_any_other_name() {
    let (_listener, port) = listener().await;
    let hosts = [
        "127.0.0.1",
        "127.0.0.2",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[::ffff:0.0.0.0]",
    ];
    let grants = [
        "http://*:*",
        "http://0.0.0.0/0:*,http://[::/0]:*",
        "http://127.0.0.1.example.com:*",
        "tcp://127.0.0.1:*",
    ];
    for grants in grants {
        for host in hosts {
            let net = net(grants);
            let error = connect(&net, host, port).await.map(drop).unwrap_err();
            // What no resolver understands is as good as refused.
            let unresolved = error.kind() != io::ErrorKind::ConnectionRefused;
            assert!(refusal(&error).is_some() || unresolved, "{grants} {host}: {error}");
            assert!(
                refusal(&error).is_none() || net.counted.meters.refusals() > 0,
                "{grants} {host}: not counted"
            );
        }
    }
}

#[tokio::test]
async fn what_is_granted_is_reached_by_the_address_that_was_looked_at() {
    let (listener, port) = listener().await;
    for (grant, host) in [
        (format!("http://127.0.0.1:{port}"), "127.0.0.1"),
        (format!("http://127.0.0.0/8:{port}"), "localhost"),
        (format!("http://localhost:{port}"), "localhost"),
        (format!("http://localhost:{port}"), "LocalHost"),
        (format!("http://127.0.0.1:{port}"), "[::ffff:127.0.0.1]"),
    ] {
        let net = net(&grant);
        let (mut made, (mut accepted, _)) =
            tokio::try_join!(connect(&net, host, port), listener.accept()).unwrap();
        made.write_all(b"ping").await.unwrap();
        let mut four = [0; 4];
        let _ = accepted.read_exact(&mut four).await.unwrap();
        assert_eq!(
            (&four, net.counted.meters.traffic(), net.counted.meters.connections()),
            (b"ping", (4, 0), 1),
            "{grant}"
        );
    }
}

#[tokio::test]
async fn a_name_that_changes_its_address_leads_nowhere_else() {
    let (listener, port) = listener().await;
    // Wherever it leads in the world; this machine's own addresses have to be named.
    let world = net(&format!("http://rebinds.example:{port}"));
    let asked = Cell::new(0);
    let answers: [&[[u8; 4]]; 3] =
        [&[[127, 0, 0, 1]], &[[169, 254, 169, 254], [127, 0, 0, 1]], &[[0, 0, 0, 0]]];
    for addresses in answers {
        let lie = async |name: &str| {
            assert_eq!(name, "rebinds.example");
            asked.set(asked.get() + 1);
            Ok(addresses.iter().map(|address| IpAddr::from(*address)).collect())
        };
        let connecting = world.connect_by(lie, (NetScheme::Http, "rebinds.example", port));
        let error = connecting.await.map(drop).unwrap_err();
        assert!(matches!(refusal(&error), Some(Refused::Address { .. })), "{addresses:?}: {error}");
    }
    assert_eq!(asked.get(), answers.len(), "each connection asks once, and connects to what it was told");
    assert_eq!(world.counted.meters.connections(), 0);
    // Of an answer that is half a lie the other half is where it connects to.
    let own = net(&format!("http://127.0.0.0/8:{port}"));
    let mixed = async |_: &str| Ok(vec![IpAddr::from([169, 254, 169, 254]), IpAddr::from([127, 0, 0, 1])]);
    let connecting = own.connect_by(mixed, (NetScheme::Http, "rebinds.example", port));
    let (_made, (_accepted, _)) = tokio::try_join!(connecting, listener.accept()).unwrap();
    assert_eq!(own.counted.meters.connections(), 1);
}

#[tokio::test]
async fn another_port_or_scheme_is_another_grant() {
    let (_listener, port) = listener().await;
    let other = if port == 1 { 2 } else { 1 };
    for grant in [
        format!("http://127.0.0.1:{other}"),
        format!("https://127.0.0.1:{port}"),
        format!("tcp://127.0.0.1:{port}"),
        String::new(),
    ] {
        let error = connect(&net(&grant), "127.0.0.1", port).await.map(drop).unwrap_err();
        assert!(matches!(refusal(&error), Some(Refused::Host { .. })), "{grant}: {error}");
    }
}

#[tokio::test]
async fn connections_are_limited_and_given_back() {
    let (listener, port) = listener().await;
    let sandbox = net(&format!("http://127.0.0.1:{port}")).sandbox.as_ref().clone();
    let net = with(Sandbox { net_connections: 2, ..sandbox });
    let accepting = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
        }
    });
    let (one, two) =
        (connect(&net, "127.0.0.1", port).await.unwrap(), connect(&net, "127.0.0.1", port).await);
    let error = connect(&net, "127.0.0.1", port).await.map(drop).unwrap_err();
    assert!(matches!(refusal(&error), Some(Refused::Connections { most: 2 })), "{error}");
    drop(one);
    let _three = connect(&net, "127.0.0.1", port).await.unwrap();
    drop(two);
    accepting.abort();
}

#[test]
fn a_uri_says_where_it_leads_and_user_names_do_not() {
    let of = |uri: &str| {
        let uri = uri.parse().unwrap();
        target(&uri).map(|(scheme, host, port)| (scheme, host.to_owned(), port))
    };
    assert_eq!(of("http://a.example"), Some((NetScheme::Http, "a.example".to_owned(), 80)));
    assert_eq!(
        of("https://good.example@127.0.0.1:8443/x"),
        Some((NetScheme::Https, "127.0.0.1".to_owned(), 8443))
    );
    assert_eq!(of("https://[::1]/"), Some((NetScheme::Https, "[::1]".to_owned(), 443)));
    assert_eq!(of("ftp://a.example/"), None);
}

/// Not only the connector: the client that keeps connections asks the same.
#[tokio::test]
async fn redirects_are_not_followed() {
    let (listener, port) = listener().await;
    let net = net(&format!("http://127.0.0.1:{port}"));
    let client: hyper_util::client::legacy::Client<_, http_body_util::Empty<bytes::Bytes>> =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .build(Connector(Arc::clone(&net)));
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        let answer = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream
    };
    let uri = format!("http://127.0.0.1:{port}/").parse().unwrap();
    let (response, _stream) = tokio::join!(client.get(uri), serve);
    assert_eq!(response.unwrap().status(), 302);
    assert_eq!(net.counted.meters.connections(), 1);
}
