//! [`Tls`]: the listeners' certificate and client CAs, loaded from files and reloaded while the listeners serve.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cctf_proto::log_line;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ServerConfig, VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore};

/// Protocols offered in the handshake (ALPN). The preferred one comes first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Paths to PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The listeners' certificate chain.
    pub cert: PathBuf,
    pub key: PathBuf,
    /// CAs, one of which must have signed a client's certificate. `None`: clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

/// The reason why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {} for {flag}: {source}; provide a readable PEM file", path.display())]
    Read {
        path: PathBuf,
        flag: &'static str,
        source: pem::Error,
    },
    #[error("cannot use {} for {flag}: it has no certificate; provide at least one in PEM", path.display())]
    Empty { path: PathBuf, flag: &'static str },
    #[error("cannot use the certificate {} with the key {}: {source}; provide a certificate and its own key", cert.display(), key.display())]
    Pair {
        cert: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    #[error("cannot trust the certificates in {}: {source}; set --tls-client-ca to CA certificates", path.display())]
    Authority {
        path: PathBuf,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}

/// The TLS configuration of the listeners. Open connections keep the configuration they started with.
pub struct Tls {
    files: TlsFiles,
    config: Mutex<Arc<ServerConfig>>,
    is_failure_logged: AtomicBool,
}

impl Tls {
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = Mutex::new(read(&files)?);
        Ok(Self {
            files,
            config,
            is_failure_logged: AtomicBool::new(false),
        })
    }

    /// Reloads the files. After an error, the previous configuration stays in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.files)?;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
        self.is_failure_logged.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }

    /// Logs the first failure since the last reload. One log line is enough to find a mistake, and clients must not be able to
    /// fill the log.
    pub(super) fn log_failure(&self, client: SocketAddr, error: &io::Error) {
        if !self.is_failure_logged.swap(true, Ordering::Relaxed) {
            log_line!(
                "warning: the TLS handshake with {client} failed: {error}; further failures are not logged until \
                 the certificates are reloaded"
            );
        }
    }
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider)
                    .build()
                    .map_err(|source: VerifierBuilderError| not_trusted(path, source))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let certificates = certificates(&files.cert, "--tls-cert")?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable(&files.key, "--tls-key"))?;
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|source| TlsError::Pair {
            cert: files.cert.clone(),
            key: files.key.clone(),
            source,
        })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(path, "--tls-client-ca")? {
        authorities
            .add(certificate)
            .map_err(|source| not_trusted(path, source))?;
    }
    Ok(authorities)
}

fn certificates(path: &Path, flag: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(unreadable(path, flag))?;
    if certificates.is_empty() {
        let path = path.to_owned();
        return Err(TlsError::Empty { path, flag });
    }
    Ok(certificates)
}

fn unreadable(path: &Path, flag: &'static str) -> impl FnOnce(pem::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Read { path, flag, source }
}

fn not_trusted(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> TlsError {
    TlsError::Authority {
        path: path.to_owned(),
        source: Box::new(source),
    }
}
