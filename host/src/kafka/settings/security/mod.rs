//! Encryption and logins: Java's stores and login modules as librdkafka has them.
//!
//! Looked at only where `security.protocol` asks for them, as Java does: what is left over in a configuration
//! without encryption does no harm.

use super::given::{Given, Layer};
use super::row::Outcome;
use super::{jaas, pem};
use crate::config::Problem;

pub(super) fn apply(given: &Given<'_>, outcome: &mut Outcome) {
    if given.text("bootstrap.servers").is_none() {
        let message = "Missing required configuration \"bootstrap.servers\" which has no default value.";
        outcome.problems.push(Problem::without_value("bootstrap.servers", message));
    }
    let protocol = given.value("security.protocol").unwrap_or_default().to_ascii_uppercase();
    if protocol.ends_with("SSL") {
        trusted(given, outcome);
        own_certificate(given, outcome);
    }
    if protocol.starts_with("SASL_") {
        login(given, outcome);
        keep_workers_password(given, &protocol, outcome);
    }
}

fn login(given: &Given<'_>, outcome: &mut Outcome) {
    let (mechanism, jaas) = ("sasl.mechanism", "sasl.jaas.config");
    let value = given.text(mechanism).unwrap_or("GSSAPI");
    let refused = match value {
        "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
            outcome.settings.set("sasl.mechanisms", value);
            None
        }
        "GSSAPI" => Some("there is no login with Kerberos (GSSAPI, which is the default)"),
        "OAUTHBEARER" => Some("there is no login with OAuth yet"),
        _ => Some("there is no such way to log in"),
    };
    if let Some(reason) = refused {
        let message = format!("{reason}; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512");
        outcome.problems.push(match given.written(mechanism) {
            Some(_) => given.problem(mechanism, message),
            None => Problem::without_value(given.key_beside("security.protocol", mechanism), message),
        });
    }
    let Some(text) = given.text(jaas) else {
        // One thing at a time: another way to log in wants another module.
        if refused.is_none() {
            let message = format!("must be set for security.protocol with SASL, as {}", jaas::EXAMPLE);
            let key = given.key_beside("security.protocol", jaas);
            outcome.problems.push(Problem::without_value(key, message));
        }
        return;
    };
    match jaas::parse(text) {
        Ok(login) => {
            outcome.settings.set("sasl.username", login.username);
            outcome.settings.set("sasl.password", login.password);
        }
        // The reason lies in the mechanism.
        Err(_) if refused.is_some() => {}
        Err(reason) => outcome.problems.push(given.problem(jaas, reason)),
    }
}

/// A connector may not send the worker's password to brokers of its own choice, nor in a way that others can
/// read: whoever may write a connector would learn it.
fn keep_workers_password(given: &Given<'_>, protocol: &str, outcome: &mut Outcome) {
    if given.layer("sasl.jaas.config").is_none_or(|layer| layer == Layer::Override) {
        return;
    }
    let exposes = |name: &str| match name {
        "security.protocol" => protocol == "SASL_PLAINTEXT",
        "sasl.mechanism" => given.written(name) == Some("PLAIN"),
        _ => true,
    };
    for name in [
        "bootstrap.servers",
        "security.protocol",
        "sasl.mechanism",
        "ssl.endpoint.identification.algorithm",
        "ssl.truststore.certificates",
    ] {
        if given.layer(name) == Some(Layer::Override) && exposes(name) {
            let message = format!(
                "would give the worker's password away; set {}, too",
                given.key_beside(name, "sasl.jaas.config")
            );
            outcome.problems.push(given.problem(name, message));
        }
    }
}

/// Whose certificates are believed; without any the system's.
fn trusted(given: &Given<'_>, outcome: &mut Outcome) {
    let (certificates, location) = ("ssl.truststore.certificates", "ssl.truststore.location");
    let kind = store_type(given, "ssl.truststore.type");
    match chosen(given, certificates, location) {
        Chosen::Neither => {}
        Chosen::Both => outcome.problems.push(given.problem(
            location,
            "Both SSL trust store location and separate trust certificates are specified.",
        )),
        Chosen::Text(text) if kind == "PEM" => outcome.settings.set("ssl.ca.pem", pem::in_lines(text)),
        Chosen::Text(_) => outcome.problems.push(given.problem(
            certificates,
            format!(
                "SSL trust store certs can be specified only for PEM, but trust store type is {kind}. Set \
                 ssl.truststore.type=PEM"
            ),
        )),
        Chosen::File(file) if kind == "PEM" => outcome.settings.set("ssl.ca.location", file),
        Chosen::File(file) => outcome.problems.push(given.problem(location, trust_store(file, &kind))),
    }
}

/// With what the client shows who it is, if it does.
fn own_certificate(given: &Given<'_>, outcome: &mut Outcome) {
    let (key, chain, location) =
        ("ssl.keystore.key", "ssl.keystore.certificate.chain", "ssl.keystore.location");
    let kind = store_type(given, "ssl.keystore.type");
    let chosen = chosen(given, key, location);
    let mut wrong = |name, message: String| outcome.problems.push(given.problem(name, message));
    let settings = &mut outcome.settings;
    match chosen {
        Chosen::Neither if given.text(chain).is_some() => {
            wrong(chain, "SSL certificate chain is specified, but private key is not specified.".to_owned());
        }
        Chosen::Neither => return,
        Chosen::Both => {
            wrong(location, "Both SSL key store location and separate private key are specified.".to_owned());
        }
        Chosen::Text(_) if kind != "PEM" => wrong(
            key,
            format!(
                "SSL private key can be specified only for PEM, but key store type is {kind}. Set \
                 ssl.keystore.type=PEM"
            ),
        ),
        Chosen::Text(text) => match given.text(chain) {
            Some(chain) => {
                settings.set("ssl.key.pem", pem::in_lines(text));
                settings.set("ssl.certificate.pem", pem::in_lines(chain));
            }
            None => {
                wrong(key, "SSL private key is specified, but certificate chain is not specified.".to_owned())
            }
        },
        Chosen::File(file) if kind == "PEM" => {
            // One file with both, as Java wants it.
            settings.set("ssl.key.location", file);
            settings.set("ssl.certificate.location", file);
        }
        Chosen::File(file) if kind == "PKCS12" => match given.written("ssl.keystore.password") {
            Some(password) => {
                settings.set("ssl.keystore.location", file);
                settings.set("ssl.keystore.password", password);
            }
            None => wrong(location, "needs ssl.keystore.password, too".to_owned()),
        },
        Chosen::File(file) => wrong(location, key_store(file, &kind)),
    }
    if let Some(password) = given.written("ssl.key.password") {
        outcome.settings.set("ssl.key.password", password);
    }
}

/// Java's own kind of store is the default.
fn store_type(given: &Given<'_>, name: &str) -> String {
    given.text(name).unwrap_or("JKS").to_ascii_uppercase()
}

enum Chosen<'a> {
    Neither,
    Both,
    Text(&'a str),
    File(&'a str),
}

/// A text or a file; where both are there, the later layer wins.
fn chosen<'a>(given: &Given<'a>, text: &str, file: &str) -> Chosen<'a> {
    match (given.text(text), given.text(file)) {
        (None, None) => Chosen::Neither,
        (Some(text), None) => Chosen::Text(text),
        (None, Some(file)) => Chosen::File(file),
        (Some(value), Some(_)) if given.layer(text) > given.layer(file) => Chosen::Text(value),
        (Some(_), Some(value)) if given.layer(text) < given.layer(file) => Chosen::File(value),
        (Some(_), Some(_)) => Chosen::Both,
    }
}

fn trust_store(file: &str, kind: &str) -> String {
    let first = if kind == "PKCS12" {
        String::new()
    } else {
        format!(
            "keytool -importkeystore -srckeystore {file} -destkeystore trust.p12 -deststoretype PKCS12, then "
        )
    };
    let store = if kind == "PKCS12" { file } else { "trust.p12" };
    format!(
        "trust stores of type {kind} cannot be read; convert it with {first}openssl pkcs12 -in {store} -nokeys \
         -out ca.pem, and set ssl.truststore.type=PEM and ssl.truststore.location to ca.pem (if it is PEM \
         already, the type alone)"
    )
}

fn key_store(file: &str, kind: &str) -> String {
    format!(
        "key stores of type {kind} cannot be read; convert it with keytool -importkeystore -srckeystore {file} \
         -destkeystore key.p12 -deststoretype PKCS12, and set ssl.keystore.type=PKCS12 and \
         ssl.keystore.location to key.p12 (if it is PEM already, ssl.keystore.type=PEM)"
    )
}

#[cfg(test)]
mod tests;
