//! The sender's TLS configuration: trusted CA certificates and client certificate, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::destination::TlsFiles;

const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const CLIENT_KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";

/// Why the TLS configuration failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("cannot read {} of {variable}: {source}; use a readable PEM file", path.display())]
    Read {
        path: PathBuf,
        variable: &'static str,
        source: pem::Error,
    },
    /// A file without a valid certificate.
    #[error("cannot use {} of {variable}: it contains no valid certificate; use a PEM file with at least one", path.display())]
    Empty { path: PathBuf, variable: &'static str },
    /// The system has no CA certificates.
    #[error("cannot find CA certificates on this system; set {CERTIFICATE} to a file of them")]
    NoRoots,
    /// Certificate and key do not belong together.
    #[error("cannot use the certificate of {CLIENT_CERTIFICATE} with the key of {CLIENT_KEY}: {0}")]
    Pair(rustls::Error),
    /// The TLS library supports no protocol version.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}

/// A configuration that negotiates the protocol `alpn`.
pub(crate) fn config(files: &TlsFiles, alpn: &[u8]) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots(files)?);
    let mut config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate, CLIENT_CERTIFICATE)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key, CLIENT_KEY))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(TlsError::Pair)?
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

fn roots(files: &TlsFiles) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match &files.certificate {
        Some(path) => {
            let (added, _) = roots.add_parsable_certificates(certificates(path, CERTIFICATE)?);
            if added == 0 {
                return Err(TlsError::Empty {
                    path: path.clone(),
                    variable: CERTIFICATE,
                });
            }
        }
        None => {
            // Single unreadable certificates are ignored.
            let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if added == 0 {
                return Err(TlsError::NoRoots);
            }
        }
    }
    Ok(roots)
}

fn certificates(path: &Path, variable: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(unreadable(path, variable))?;
    if certificates.is_empty() {
        let path = path.to_owned();
        return Err(TlsError::Empty { path, variable });
    }
    Ok(certificates)
}

fn unreadable(path: &Path, variable: &'static str) -> impl FnOnce(pem::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Read {
        path,
        variable,
        source,
    }
}
