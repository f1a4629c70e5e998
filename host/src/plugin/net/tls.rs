//! TLS ends here: the guest neither sees keys nor decides whom to trust.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::config::{Problem, Problems, Sandbox, Sandboxes, read_pem};

/// What the machine trusts; read once.
static ROOTS: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!("a certificate that the system trusts could not be read: {error}");
    }
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    if unusable > 0 {
        tracing::debug!("{unusable} certificates that the system trusts are of no use");
    }
    roots
});

/// Looks at the files that the operator names, before any guest needs them: what is wrong with them, each file once.
pub(crate) fn check_tls(sandboxes: &Sandboxes) -> Problems {
    let mut problems = Problems::default();
    for plugin in sandboxes.plugins() {
        let found = client_config(plugin, &sandboxes.of(plugin)).err().unwrap_or_default();
        for problem in found.0 {
            // What a plugin has from `default` was told there.
            let same = |told: &Problem| (&told.value, &told.message) == (&problem.value, &problem.message);
            if !problems.0.iter().any(same) {
                problems.push(problem);
            }
        }
    }
    problems
}

/// Whom the plugin's connections trust, and as whom they show themselves.
///
/// # Errors
/// Files of the operator's that cannot be read, or hold no certificate or key.
pub(super) fn client_config(plugin: &str, sandbox: &Sandbox) -> Result<ClientConfig, Problems> {
    let mut problems = Problems::default();
    let mut wrong = |what: &str, path: &Path, message: String| {
        problems.push(Problem::new(format!("sandbox.{plugin}.{what}"), path.display().to_string(), message));
    };
    let mut roots = RootCertStore::clone(&ROOTS);
    for path in &sandbox.tls_ca {
        let added = certificates(path).and_then(|found| {
            found.into_iter().try_for_each(|one| roots.add(one).map_err(|error| error.to_string()))
        });
        added.unwrap_or_else(|message| wrong("tls.ca", path, message));
    }
    let builder = builder().with_root_certificates(roots);
    let config = match (&sandbox.tls_certificate, &sandbox.tls_key) {
        (None, None) => Some(builder.with_no_client_auth()),
        (Some(certificate), None) => {
            wrong("tls.certificate", certificate, format!("set sandbox.{plugin}.tls.key as well"));
            None
        }
        (None, Some(key)) => {
            wrong("tls.key", key, format!("set sandbox.{plugin}.tls.certificate as well"));
            None
        }
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate).map_err(|why| wrong("tls.certificate", certificate, why));
            let secret = private_key(key).map_err(|why| wrong("tls.key", key, why));
            chain.ok().zip(secret.ok()).and_then(|(chain, secret)| {
                let made = builder.with_client_auth_cert(chain, secret);
                made.map_err(|error| wrong("tls.key", key, format!("does not fit the certificate: {error}")))
                    .ok()
            })
        }
    };
    match config {
        Some(config) => problems.or(config),
        None => Err(problems),
    }
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.expect("ring has the versions that are safe")
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read_pem(path).map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err("it holds no certificate in PEM".to_owned()),
        found => found.map_err(|error| format!("it is no PEM: {error}")),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = read_pem(path).map_err(|error| error.to_string())?;
    // The library's words may have parts of the file in them.
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| "it holds no private key in PEM".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_with_the_operators_files_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("empty.pem"), "nothing").unwrap();
        let raw = [
            ("sandbox.default.tls.ca", at("missing.pem")),
            ("sandbox.p.tls.certificate", at("empty.pem")),
            ("sandbox.p.tls.key", at("empty.pem")),
            ("sandbox.q.tls.key", at("empty.pem")),
        ];
        let raw = raw.map(|(key, value)| (key.to_owned(), value)).into();
        let told = check_tls(&Sandboxes::of_raw(&raw).unwrap());
        let told: Vec<_> =
            told.0.iter().map(|problem| (problem.key.as_str(), problem.message.as_str())).collect();
        assert_eq!(
            told,
            [
                ("sandbox.default.tls.ca", "No such file or directory (os error 2)"),
                ("sandbox.p.tls.certificate", "it holds no certificate in PEM"),
                ("sandbox.p.tls.key", "it holds no private key in PEM"),
                ("sandbox.q.tls.key", "set sandbox.q.tls.certificate as well"),
            ]
        );
    }
}
