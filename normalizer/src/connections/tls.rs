//! [`Tls`]: the listeners' certificate and whose clients they take, read from files and read again while they serve.

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

/// Protocols that are agreed on in the handshake, the better one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where certificates and keys are, each in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Our certificate, and those between it and its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of which a client has to show a certificate; without it, clients need none.
    pub client_ca: Option<PathBuf>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read, or is no PEM.
    #[error("cannot read {} for {flag}: {source}, write it in PEM and make it readable", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The flag that names it.
        flag: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// There is no certificate in it.
    #[error("no certificate is in {} for {flag}, write at least one in PEM", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The flag that names it.
        flag: &'static str,
    },
    /// Certificate and key do not fit, say.
    #[error("cannot use the certificate {} with the key {}: {source}, give the pair that belongs together", cert.display(), key.display())]
    Pair {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// What is in it is no authority.
    #[error("cannot trust the certificates in {}: {source}, give certificates of authorities to --tls-client-ca", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The library knows no protocol version of ours.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}

/// How listeners speak TLS. Connections under way keep what they began with when it is read again.
pub struct Tls {
    files: TlsFiles,
    config: Mutex<Arc<ServerConfig>>,
    failure_told: AtomicBool,
}

impl Tls {
    /// Reads the files.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = Mutex::new(read(&files)?);
        Ok(Self {
            files,
            config,
            failure_told: AtomicBool::new(false),
        })
    }

    /// Reads the files again. What was in force stays so if they cannot be used.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.files)?;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
        self.failure_told.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }

    /// One failure shows what is wrong with a set-up; strangers must not fill the log with more.
    pub(super) fn tell_failure(&self, client: SocketAddr, error: &io::Error) {
        if !self.failure_told.swap(true, Ordering::Relaxed) {
            log_line!(
                "warning: the TLS handshake with {client} failed: {error}; further failures are not told until \
                 certificates are read again"
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
