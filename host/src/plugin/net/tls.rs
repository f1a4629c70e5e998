//! TLS ends here: the guest neither sees keys nor decides whom to trust.

use std::io;
use std::sync::{Arc, LazyLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config::{Sandbox, read_pem};

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

/// Whom the plugin's connections trust, and as whom they show themselves.
///
/// # Errors
/// A file of the operator's cannot be read, or holds no certificate or key.
pub(super) fn client_config(sandbox: &Sandbox) -> io::Result<ClientConfig> {
    let mut roots = ROOTS.clone();
    for path in &sandbox.tls_ca {
        for certificate in CertificateDer::pem_slice_iter(&read_pem(path)?) {
            roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let Some((certificate, key)) = sandbox.tls_certificate.as_ref().zip(sandbox.tls_key.as_ref()) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(&read_pem(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(&read_pem(key)?).map_err(io::Error::other)?;
    builder.with_client_auth_cert(chain, key).map_err(io::Error::other)
}
