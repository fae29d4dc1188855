//! [`Tokens`]: the bearer tokens of which a request has to show one, read from a file and read again while it serves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// Every request is compared with each of them.
const TOKENS_MAX: usize = 1024;
/// What an Authorization header with a token begins with (RFC 6750, section 2.1), in any case.
const SCHEME: &str = "bearer ";

/// Why the file cannot be used. It never shows what is in the file.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("cannot read {}: {source}, make it readable or give another --token-file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no token.
    #[error("no token is in line {line} of {}: a token has A-Z a-z 0-9 - . _ ~ + / and ends with any =", path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// There are none, or too many.
    #[error("{count} tokens are in {}, write 1 to {TOKENS_MAX}, one a line", path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
    },
}

/// Tokens by their digests, whose equal length keeps that of a token from whoever measures the comparison.
pub struct Tokens {
    path: PathBuf,
    digests: RwLock<Arc<[[u8; 32]]>>,
}

impl Tokens {
    /// Reads the file: one token a line.
    pub fn load(path: PathBuf) -> Result<Self, TokensError> {
        let digests = RwLock::new(read(&path)?);
        Ok(Self { path, digests })
    }

    /// Reads the file again. What was in force stays so if it cannot be used.
    pub fn reload(&self) -> Result<(), TokensError> {
        let digests = read(&self.path)?;
        *self.digests.write().unwrap_or_else(PoisonError::into_inner) = digests;
        Ok(())
    }

    /// Whether a request with these headers shows one of the tokens.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(token) = headers.get(AUTHORIZATION).and_then(shown) else {
            return false;
        };
        let shown = digest(token);
        let digests = Arc::clone(&self.digests.read().unwrap_or_else(PoisonError::into_inner));
        // All of them are compared, so that the time does not tell which one it was.
        let found = digests
            .iter()
            .fold(Choice::from(0), |found, digest| found | digest.ct_eq(&shown));
        found.into()
    }
}

fn read(path: &Path) -> Result<Arc<[[u8; 32]]>, TokensError> {
    let text = fs::read_to_string(path).map_err(|source| TokensError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut digests = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let token = line.trim();
        if token.is_empty() {
            continue;
        }
        if !is_token(token) {
            return Err(TokensError::NoToken {
                path: path.to_owned(),
                line: number + 1,
            });
        }
        digests.push(digest(token.as_bytes()));
    }
    match digests.len() {
        1..=TOKENS_MAX => Ok(digests.into()),
        count => Err(TokensError::Count {
            path: path.to_owned(),
            count,
        }),
    }
}

/// As RFC 6750, section 2.1, has it: b64token.
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(fits)
}

fn shown(header: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = header.as_bytes().split_at_checked(SCHEME.len())?;
    scheme
        .eq_ignore_ascii_case(SCHEME.as_bytes())
        .then(|| token.trim_ascii())
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Tokens, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Tokens::load(file.path().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn any_token_of_the_file_is_admitted_and_nothing_else() {
        let tokens = tokens("one\n\n  c2Vjb25k==\r\n").unwrap();
        for (header, admitted) in [
            ("Bearer one", true),
            ("bearer  c2Vjb25k== ", true),
            ("Bearer on", false),
            ("Bearer onee", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic one", false),
            ("one", false),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(header))]);
            assert_eq!(tokens.admit(&headers), admitted, "{header:?}");
        }
        assert!(!tokens.admit(&HeaderMap::new()));
    }

    #[test]
    fn an_error_about_a_secret_file_does_not_quote_its_content() {
        for (text, sentence) in [
            ("good\nse cret\n", "no token is in line 2 of "),
            ("=\n", "no token is in line 1 of "),
            ("\n \n", "0 tokens are in "),
            (&"t\n".repeat(TOKENS_MAX + 1), "1025 tokens are in "),
        ] {
            let Err(told) = tokens(text) else {
                panic!("{text:?} was taken")
            };
            assert!(told.contains(sentence) && !told.contains("cret"), "{told}");
        }
    }
}
