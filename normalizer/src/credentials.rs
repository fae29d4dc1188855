//! [`Credentials`]: what OTLP clients have to show, certificates and tokens, and its reload at SIGHUP.

use std::io;
use std::sync::Arc;

use cctf_proto::log_line;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::connections::{Tls, TlsError};
use crate::receiver::{Tokens, TokensError};

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Tokens.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// Nobody could make us read them again.
    #[error("cannot listen for SIGHUP: {0}")]
    Signal(io::Error),
}

/// What OTLP clients have to show.
pub struct Credentials {
    /// How the listeners speak TLS, if they do.
    pub tls: Option<Arc<Tls>>,
    /// Tokens of which requests have to show one, if they have to.
    pub tokens: Option<Arc<Tokens>>,
}

impl Credentials {
    /// Reads the files that are set.
    pub fn load(config: &Config) -> Result<Self, CredentialsError> {
        let tls = config.tls_files().map(Tls::load).transpose()?;
        let tokens = config.token_file.clone().map(Tokens::load).transpose()?;
        Ok(Self {
            tls: tls.map(Arc::new),
            tokens: tokens.map(Arc::new),
        })
    }

    /// Whether clients need any.
    pub fn are_needed(&self) -> bool {
        self.tls.is_some() || self.tokens.is_some()
    }

    /// SIGHUP, if there is anything to read again; else it keeps the effect that the system gives it.
    pub fn hangups(&self) -> Result<Option<Signal>, CredentialsError> {
        self.are_needed()
            .then(|| signal(SignalKind::hangup()))
            .transpose()
            .map_err(CredentialsError::Signal)
    }

    /// Reads the files again at each signal, for ever.
    pub async fn reload_at(self, hangups: Option<Signal>) {
        let Some(mut hangups) = hangups else { return };
        while hangups.recv().await.is_some() {
            self.reload();
        }
    }

    /// Each file that cannot be used leaves what it was to replace, and says so.
    fn reload(&self) {
        if let Some(tls) = &self.tls {
            tell("certificates", tls.reload().map_err(|error| error.to_string()));
        }
        if let Some(tokens) = &self.tokens {
            tell("tokens", tokens.reload().map_err(|error| error.to_string()));
        }
    }
}

fn tell(what: &str, reloaded: Result<(), String>) {
    match reloaded {
        Ok(()) => log_line!("cctf-normalizer: {what} were read again"),
        Err(error) => log_line!("warning: the old {what} stay in force: {error}"),
    }
}
