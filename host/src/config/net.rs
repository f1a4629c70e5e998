//! What of the network a plugin may reach: `sandbox.<plugin>.net`, a list of `scheme://host[:port]`.
//!
//! A grant is looked at twice. First by what is asked for: scheme, host and port, before any name is resolved.
//! Then by the address that is really connected to, each time: a name may resolve to anything, and to something
//! else the next time. Addresses that a machine has for itself (loopback, link-local, the metadata services of
//! clouds) are reached only where a grant names them, as an address, a CIDR within them, or `localhost`; what a
//! name resolves to never suffices.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;

use super::glob;

/// How a guest wants to talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NetScheme {
    Http,
    Https,
    /// A TCP connection, with TLS or without.
    Tcp,
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetGrant {
    scheme: NetScheme,
    host: HostPattern,
    /// `None`: every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    /// A name in lower case, in which `*` stands for any characters.
    Name(String),
    /// Whatever the host is called: its address has to be one of these.
    Addresses(IpNet),
}

impl NetScheme {
    const ALL: [Self; 3] = [Self::Http, Self::Https, Self::Tcp];

    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
        }
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https => Some(443),
            Self::Tcp => None,
        }
    }
}

impl fmt::Display for NetScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl NetGrant {
    /// # Errors
    /// What is wrong, and how it is written.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "{text}: {what}; write scheme://host:port, as https://*.example.com:443, http://10.0.0.0/8:9200 or \
                 tcp://[fd00::1]:5432 (schemes http, https, tcp; * as a port is every port)"
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let scheme = NetScheme::ALL
            .into_iter()
            .find(|known| known.as_str() == scheme)
            .ok_or_else(|| wrong(&format!("unknown scheme {scheme}")))?;
        let (host, port) = split_port(rest).ok_or_else(|| wrong("its host or port cannot be read"))?;
        let port = match port {
            Some("*") => None,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(wrong(&format!("{port} is no port"))),
                Ok(port) => Some(port),
            },
            None => Some(scheme.default_port().ok_or_else(|| wrong("tcp needs a port"))?),
        };
        let host = HostPattern::parse(host).map_err(|what| wrong(&what))?;
        Ok(Self { scheme, host, port })
    }

    pub(crate) fn scheme(&self) -> NetScheme {
        self.scheme
    }

    /// Whether this grant may be meant. Its addresses are still to be looked at.
    pub(crate) fn covers(&self, scheme: NetScheme, host: &str, port: u16) -> bool {
        let named = match &self.host {
            HostPattern::Name(pattern) => glob::matches(pattern, &normal(host)),
            // An address is known at once; a name is not resolved yet.
            HostPattern::Addresses(_) => address(host).is_none_or(|address| self.permits(host, address)),
        };
        self.scheme == scheme && self.port.is_none_or(|granted| granted == port) && named
    }

    /// Whether a name may be resolved for a connection of this scheme, to a port that is not known yet.
    pub(crate) fn covers_name(&self, scheme: NetScheme, host: &str) -> bool {
        self.covers(scheme, host, self.port.unwrap_or_default())
    }

    /// Whether `host`, which the grant covers, may be reached at this address.
    pub(crate) fn permits(&self, host: &str, address: IpAddr) -> bool {
        let plain = plain(address);
        match &self.host {
            HostPattern::Addresses(granted) => {
                granted.contains(&plain)
                    && OWN.iter().filter(|own| own.contains(&plain)).all(|own| own.contains(granted))
            }
            HostPattern::Name(pattern) => {
                let loopback = pattern == "localhost" && normal(host) == "localhost" && plain.is_loopback();
                loopback || !OWN.iter().any(|own| own.contains(&plain))
            }
        }
    }
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self, String> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(net) = bare.parse::<IpNet>() {
            return if net.addr() == net.network() {
                Ok(Self::Addresses(net))
            } else {
                Err(format!("{bare} has bits behind its prefix; {} is meant", net.trunc()))
            };
        }
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Addresses(plain(address).into()));
        }
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*');
        let name = normal(bare);
        if name.is_empty() || !name.chars().all(known) {
            return Err(format!("{host} is neither a name nor an address"));
        }
        Ok(Self::Name(name))
    }
}

/// Host and port of `host[:port]`; IPv6 addresses stand in brackets.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let end = rest.find(']')? + 2;
        let port = text[end..].strip_prefix(':');
        return (port.is_some() || text.len() == end).then_some((&text[..end], port));
    }
    match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

/// A host's name as it is compared.
fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// The address that a host is written as.
pub(crate) fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// The address that is really meant: IPv6 has several ways to say an IPv4 address.
pub(crate) fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let octets = six.octets();
    let four =
        |from: usize| Ipv4Addr::new(octets[from], octets[from + 1], octets[from + 2], octets[from + 3]);
    let segments = six.segments();
    match segments {
        // Mapped, and compatible (but for :: and ::1).
        [0, 0, 0, 0, 0, 0xffff, ..] => four(12).into(),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => four(12).into(),
        // Translated: 64:ff9b::/96.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => four(12).into(),
        // 6to4.
        [0x2002, ..] => four(2).into(),
        _ => address,
    }
}

/// What a machine has for itself, or a cloud for the machine.
static OWN: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let four = [
        ([0, 0, 0, 0], 8),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([100, 100, 100, 200], 32),
        ([168, 63, 129, 16], 32),
        ([192, 0, 0, 0], 24),
        ([224, 0, 0, 0], 4),
        ([255, 255, 255, 255], 32),
    ];
    let six: [(&str, u8); 8] = [
        ("::", 128),
        ("::1", 128),
        ("fe80::", 10),
        ("fec0::", 10),
        ("ff00::", 8),
        ("fd00:ec2::", 32),
        ("64:ff9b:1::", 48),
        ("2001::", 32),
    ];
    let four = four.into_iter().map(|(address, bits)| (IpAddr::from(address), bits));
    let six = six.into_iter().filter_map(|(text, bits)| Some((text.parse::<Ipv6Addr>().ok()?.into(), bits)));
    four.chain(six).filter_map(|(address, bits)| IpNet::new(address, bits).ok()).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> NetGrant {
        NetGrant::parse(text).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_grant_covers_its_scheme_host_and_port() {
        let only = grant("https://api.example.com");
        assert!(only.covers(NetScheme::Https, "API.example.com.", 443));
        assert!(!only.covers(NetScheme::Https, "api.example.com", 8443));
        assert!(!only.covers(NetScheme::Http, "api.example.com", 443));
        assert!(!only.covers(NetScheme::Https, "api.example.com.evil.org", 443));
        let below = grant("https://*.example.com:443");
        assert!(below.covers(NetScheme::Https, "a.b.example.com", 443));
        assert!(!below.covers(NetScheme::Https, "example.com", 443));
        assert!(!below.covers(NetScheme::Https, "evilexample.com", 443));
        assert!(grant("tcp://db:*").covers(NetScheme::Tcp, "db", 1));
    }

    #[test]
    fn a_network_is_of_addresses_whatever_they_are_called() {
        let net = grant("http://10.0.0.0/8:9200");
        assert!(net.covers(NetScheme::Http, "10.1.2.3", 9200) && net.covers(NetScheme::Http, "search", 9200));
        assert!(!net.covers(NetScheme::Http, "11.1.2.3", 9200));
        assert!(net.permits("search", ip("10.1.2.3")) && !net.permits("search", ip("11.1.2.3")));
        assert!(net.permits("search", ip("::ffff:10.1.2.3")));
        assert!(grant("tcp://[fd00::1]:5432").covers(NetScheme::Tcp, "[fd00::1]", 5432));
    }

    #[test]
    fn a_machines_own_addresses_have_to_be_named() {
        let own = [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "::1",
            "::",
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
        ];
        let wide = [
            "http://*:*",
            "http://evil.example.com",
            "http://0.0.0.0/0:*",
            "http://[::]/0:*",
            "http://[::/0]:*",
        ];
        for text in wide {
            let Ok(grant) = NetGrant::parse(text) else { continue };
            for address in own {
                assert!(!grant.permits("evil.example.com", ip(address)), "{text} {address}");
                assert!(!grant.permits("localhost", ip(address)), "{text} {address}");
            }
        }
        assert!(grant("http://127.0.0.1:80").permits("x", ip("127.0.0.1")));
        assert!(grant("http://127.0.0.0/8:80").permits("x", ip("::ffff:127.0.0.2")));
        assert!(grant("http://[::1]:80").permits("x", ip("::1")));
        assert!(grant("http://169.254.169.254").permits("x", ip("169.254.169.254")));
        let local = grant("http://localhost:8080");
        assert!(local.permits("localhost", ip("127.0.0.1")) && local.permits("localhost", ip("::1")));
        assert!(!local.permits("localhost", ip("169.254.169.254")));
    }

    #[test]
    fn what_cannot_be_read_says_how_it_is_written() {
        for text in [
            "example.com",
            "ftp://example.com",
            "https://",
            "https://a b",
            "https://example.com:0",
            "https://example.com:99999",
            "tcp://example.com",
            "https://example.com/path",
            "http://10.0.0.1/8:80",
            "http://::1:80",
            "http://[::1",
            "https://user@example.com",
        ] {
            let error = NetGrant::parse(text).unwrap_err();
            assert!(error.contains("scheme://host:port"), "{text}: {error}");
        }
    }
}
