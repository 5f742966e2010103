use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::PostgresError;
use crate::adapters::certificates::trust;

/// Verified TLS: with these authorities, or those of the system if there are none.
pub(super) fn connector(certificates: &[String]) -> Result<MakeRustlsConnect, PostgresError> {
    let mut roots = RootCertStore::empty();
    if certificates.is_empty() {
        // What cannot be read is not trusted. Without any, every connection is refused.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    for pem in certificates {
        trust(&mut roots, pem).map_err(|why| PostgresError::Certificate { why })?;
    }
    let provider = rustls::crypto::CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| PostgresError::Certificate { why: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
