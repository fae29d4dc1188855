//! [`Credentials`]: the TLS configuration of the OTLP listeners and the clients' tokens, and the reload of both at SIGHUP.

use std::io;
use std::sync::Arc;

use cctf_proto::log_line;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::tls::{Tls, TlsError};
use crate::config::Config;
use crate::receiver::{Tokens, TokensError};

/// The reason why certificates or tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error("cannot listen for SIGHUP: {0}")]
    Signal(io::Error),
}

/// The TLS configuration of the OTLP listeners, and the tokens that requests may present.
pub struct Credentials {
    /// `None` if the listeners do not use TLS.
    pub tls: Option<Arc<Tls>>,
    /// `None` if requests need no token.
    pub tokens: Option<Arc<Tokens>>,
}

impl Credentials {
    /// Reads the configured files.
    pub fn load(config: &Config) -> Result<Self, CredentialsError> {
        let tls = config.tls_files().map(Tls::load).transpose()?;
        let tokens = config.token_file.clone().map(Tokens::load).transpose()?;
        Ok(Self {
            tls: tls.map(Arc::new),
            tokens: tokens.map(Arc::new),
        })
    }

    pub fn are_needed(&self) -> bool {
        self.tls.is_some() || self.tokens.is_some()
    }

    /// A stream of SIGHUP signals, if there are files to reload. Otherwise the signal keeps its default effect.
    pub fn hangups(&self) -> Result<Option<Signal>, CredentialsError> {
        self.are_needed()
            .then(|| signal(SignalKind::hangup()))
            .transpose()
            .map_err(CredentialsError::Signal)
    }

    /// Reloads the files at each signal.
    pub async fn reload_at(self, hangups: Option<Signal>) {
        let Some(mut hangups) = hangups else { return };
        while hangups.recv().await.is_some() {
            self.reload();
        }
    }

    /// Reloads the files. If a file cannot be used, this is logged, and its previous content stays in force.
    fn reload(&self) {
        if let Some(tls) = &self.tls {
            log_reload("certificates", tls.reload().map_err(|error| error.to_string()));
        }
        if let Some(tokens) = &self.tokens {
            log_reload("tokens", tokens.reload().map_err(|error| error.to_string()));
        }
    }
}

fn log_reload(what: &str, reloaded: Result<(), String>) {
    match reloaded {
        Ok(()) => log_line!("cctf-normalizer: reloaded the {what}"),
        Err(error) => {
            log_line!("warning: cannot reload the {what}: {error}; the previous ones stay in force")
        }
    }
}
