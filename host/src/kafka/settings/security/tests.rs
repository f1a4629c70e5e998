use super::super::ClientKind::{Consumer, Producer};
use super::super::tests::{Layers, is_taken_by_librdkafka, problems, raw, with};
use super::*;

/// Made for this test, and in one line each, as a properties file has them.
const KEY: &str = "-----BEGIN PRIVATE KEY----- MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgh2RlG2eaVgoo9veM LIQ\
         u65YEhfUBepKcatE1QCdtp7mhRANCAATo1YqhJcX8B3vQ4Cns0jqeYZrpAQiT ppN/UJEIQ5r9pZrnPD+jvkgX2Y47DHkqaZ\
         UnXZ1+12gMUX/b4rBY95NP -----END PRIVATE KEY-----";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE----- MIIBdTCCARugAwIBAgIUDFN5IQNiVqnkaHqJG42OqPDo4D0wCgYIKoZIzj0EAwIw DzE\
         NMAsGA1UEAwwEdGVzdDAgFw0yNjExMjQyMDQ5MzBaGA8yMTI2MTAzMTIwNDkz MFowDzENMAsGA1UEAwwEdGVzdDBZMBMGBy\
         qGSM49AgEGCCqGSM49AwEHA0IABOjV iqElxfwHe9DgKezSOp5hmukBCJOmk39QkQhDmv2lmuc8P6O+SBfZjjsMeSpplSdd \
         nX7XaAxRf9visFj3k0+jUzBRMB0GA1UdDgQWBBQgYFEsxGCoxzalakr91hQ5Hpv+ ATAfBgNVHSMEGDAWgBQgYFEsxGCoxza\
         lakr91hQ5Hpv+ATAPBgNVHRMBAf8EBTAD AQH/MAoGCCqGSM49BAMCA0gAMEUCIE8Mf9DGrGW1j7Ef2+FWLwuW6XjwO8OTEp\
         jv jCyBpWWOAiEA/7ocr2d0If8NVAkOPkpeiim+rshtZa+tftPJSoaTa3g= -----END CERTIFICATE-----";

const JAAS: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"me\" \
                    password=\"hunter2\";";

#[test]
fn a_login_becomes_a_name_and_a_password() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let settings = with(
            Producer,
            &[("security.protocol", "sasl_ssl"), ("sasl.mechanism", mechanism), ("sasl.jaas.config", JAAS)],
        );
        assert_eq!(settings.get("security.protocol"), Some("sasl_ssl"));
        assert_eq!(settings.get("sasl.mechanisms"), Some(mechanism));
        assert_eq!(settings.get("sasl.username"), Some("me"));
        assert_eq!(settings.get("sasl.password"), Some("hunter2"));
        is_taken_by_librdkafka(Producer, &settings);
    }
}

#[test]
fn nothing_shows_a_secret() {
    let settings = with(
        Producer,
        &[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.jaas.config", JAAS),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.key", KEY),
            ("ssl.keystore.certificate.chain", CERTIFICATE),
            ("ssl.key.password", "hunter3"),
        ],
    );
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter") && !shown.contains("PRIVATE"), "{shown}");
    assert!(shown.contains("\"linger.ms\": \"5\""), "{shown}");
    let told = problems(
        Consumer,
        &[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.jaas.config", "Mine required password=\"hunter2\";"),
            ("sasl.jaas.confi", JAAS),
            ("sasl.password", "hunter2"),
            ("ssl.keystore.key", KEY),
        ],
    );
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|text| !text.contains("hunter2") && !text.contains("MIG")), "{told:?}");
}

#[test]
fn a_login_that_is_not_possible_is_told_once_with_what_is() {
    assert_eq!(
        problems(Producer, &[("security.protocol", "SASL_PLAINTEXT")]),
        [
            "producer.sasl.mechanism: there is no login with Kerberos (GSSAPI, which is the default); use PLAIN, \
          SCRAM-SHA-256 or SCRAM-SHA-512"
        ]
    );
    let told = problems(
        Producer,
        &[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "OAUTHBEARER"),
            (
                "sasl.jaas.config",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
            ),
        ],
    );
    assert_eq!(
        told,
        [
            "producer.sasl.mechanism=OAUTHBEARER: there is no login with OAuth yet; use PLAIN, SCRAM-SHA-256 or \
          SCRAM-SHA-512"
        ]
    );
    let told = problems(Producer, &[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN")]);
    assert!(told[0].starts_with("producer.sasl.jaas.config: must be set"), "{told:?}");
}

#[test]
fn without_security_the_rest_of_it_does_no_harm() {
    let settings = with(
        Producer,
        &[("sasl.mechanism", "GSSAPI"), ("ssl.truststore.location", "/x.jks"), ("sasl.jaas.config", "?")],
    );
    assert_eq!(settings.get("sasl.mechanisms"), None);
    assert_eq!(settings.get("ssl.ca.location"), None);
}

#[test]
fn certificates_in_one_line_are_taken() {
    let settings = with(
        Consumer,
        &[
            ("security.protocol", "SSL"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.certificates", CERTIFICATE),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.key", KEY),
            ("ssl.keystore.certificate.chain", CERTIFICATE),
        ],
    );
    is_taken_by_librdkafka(Consumer, &settings);
}

#[test]
fn files_of_certificates_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let trust = path("ca.pem", &pem::in_lines(CERTIFICATE));
    let both = path("both.pem", &format!("{}{}", pem::in_lines(KEY), pem::in_lines(CERTIFICATE)));
    let settings = with(
        Consumer,
        &[
            ("security.protocol", "SSL"),
            ("ssl.truststore.type", "pem"),
            ("ssl.truststore.location", &trust),
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.location", &both),
        ],
    );
    is_taken_by_librdkafka(Consumer, &settings);
}

#[test]
fn stores_of_java_are_refused_with_the_way_out() {
    let told = problems(
        Producer,
        &[
            ("security.protocol", "SSL"),
            ("ssl.truststore.location", "/t.jks"),
            ("ssl.keystore.location", "/k.jks"),
        ],
    );
    assert!(told[0].contains("/t.jks: trust stores of type JKS cannot be read; convert it with keytool"));
    assert!(told[1].contains("/k.jks: key stores of type JKS cannot be read; convert it with keytool"));
    let settings = with(
        Producer,
        &[
            ("security.protocol", "SSL"),
            ("ssl.keystore.type", "PKCS12"),
            ("ssl.keystore.location", "/k.p12"),
            ("ssl.keystore.password", "p"),
        ],
    );
    assert_eq!(settings.get("ssl.keystore.location"), Some("/k.p12"));
}

#[test]
fn of_a_text_and_a_file_the_later_layer_wins() {
    let worker = [
        ("security.protocol", "SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", "/ca.pem"),
    ];
    let layers = Layers::new(&worker, &[("ssl.truststore.certificates", CERTIFICATE)]);
    let settings = layers.resolve(Producer).unwrap();
    assert!(settings.get("ssl.ca.pem").is_some());
    assert_eq!(settings.get("ssl.ca.location"), None);
    let both = [worker.as_slice(), &[("ssl.truststore.certificates", CERTIFICATE)]].concat();
    assert!(problems(Producer, &both)[0].contains("Both SSL trust store location and"));
}

#[test]
fn a_connector_cannot_learn_the_workers_password() {
    let worker =
        [("security.protocol", "SASL_SSL"), ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.jaas.config", JAAS)];
    for (name, value) in [
        ("bootstrap.servers", "elsewhere:9092"),
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("ssl.endpoint.identification.algorithm", ""),
    ] {
        let mut layers = Layers::new(&worker, &[(name, value)]);
        let told = layers.resolve(Producer).unwrap_err().to_string();
        let way_out = "would give the worker's password away; set producer.override.sasl.jaas.config, too";
        assert!(told.contains(way_out), "{told}");
        layers.overrides.extend(raw(&[("sasl.jaas.config", JAAS)]));
        assert!(layers.resolve(Producer).is_ok(), "{name}");
    }
    let harmless = [("sasl.mechanism", "SCRAM-SHA-256"), ("security.protocol", "sasl_ssl")];
    assert!(Layers::new(&worker, &harmless).resolve(Producer).is_ok());
    assert!(Layers::new(&worker, &[("security.protocol", "PLAINTEXT")]).resolve(Producer).is_ok());
}
