//! TLS of a server, by hand: TDS has its handshake in packets, and no adapter of a stream does that.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS12;
use rustls::{ServerConfig, ServerConnection};

/// Who the server is. It speaks TLS 1.2, as SQL Server does where the handshake goes in packets of TDS 7.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ServerConfig>);

impl Tls {
    /// From a chain of certificates and the key of the first, in PEM.
    pub(crate) fn new(certificates: &str, key: &str) -> Self {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key in PEM");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS12])
            .expect("TLS 1.2")
            .with_no_client_auth()
            .with_single_cert(chain.expect("certificates in PEM"), key)
            .expect("a certificate and its key");
        Self(Arc::new(config))
    }

    pub(crate) fn session(&self) -> io::Result<Session> {
        let mut connection = ServerConnection::new(self.0.clone()).map_err(io::Error::other)?;
        connection.set_buffer_limit(None);
        Ok(Session(Box::new(connection)))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// TLS of one connection.
pub(crate) struct Session(Box<ServerConnection>);

impl Session {
    /// Whether the handshake is over.
    pub(crate) fn is_open(&self) -> bool {
        !self.0.is_handshaking()
    }

    /// What has come from the client; what was in it is added to `out`.
    pub(crate) fn take_in(&mut self, mut sealed: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while !sealed.is_empty() {
            self.0.read_tls(&mut sealed)?;
            let state =
                self.0.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let before = out.len();
            out.resize(before + state.plaintext_bytes_to_read(), 0);
            self.0.reader().read_exact(&mut out[before..])?;
        }
        Ok(())
    }

    /// What has to go to the client now.
    pub(crate) fn flight(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut out)?;
        }
        Ok(out)
    }

    /// Bytes for the client, as they go over the wire.
    pub(crate) fn seal(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.0.writer().write_all(bytes)?;
        self.flight()
    }
}
