//! [`Tokens`]: the bearer tokens that requests may present, loaded from a file and reloaded while the receiver serves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// Maximum number of tokens. Every request is compared with all of them.
const TOKENS_MAX: usize = 1024;
/// Prefix of an Authorization header with a token, in upper or lower case (RFC 6750, section 2.1).
const SCHEME: &str = "bearer ";

/// The reason why the file cannot be used. The error never contains the content of the file.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    #[error("cannot read {}: {source}; make it readable or choose another --token-file", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("invalid token in line {line} of {}: use A-Z a-z 0-9 - . _ ~ + / and = at the end only", path.display())]
    Invalid {
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
    },
    #[error("cannot use the {count} tokens in {}: write 1 to {TOKENS_MAX} tokens, one per line", path.display())]
    Count { path: PathBuf, count: usize },
}

/// Digests of the tokens. All have the same length, so the time of a comparison does not reveal the length of a token.
pub struct Tokens {
    path: PathBuf,
    digests: RwLock<Arc<[[u8; 32]]>>,
}

impl Tokens {
    /// Reads the file: one token per line.
    pub fn load(path: PathBuf) -> Result<Self, TokensError> {
        let digests = RwLock::new(read(&path)?);
        Ok(Self { path, digests })
    }

    /// Reloads the file. After an error, the previous tokens stay in force.
    pub fn reload(&self) -> Result<(), TokensError> {
        let digests = read(&self.path)?;
        *self.digests.write().unwrap_or_else(PoisonError::into_inner) = digests;
        Ok(())
    }

    /// Whether a request with these headers presents one of the tokens.
    pub(super) fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(token) = headers.get(AUTHORIZATION).and_then(shown) else {
            return false;
        };
        let shown = digest(token);
        let digests = Arc::clone(&self.digests.read().unwrap_or_else(PoisonError::into_inner));
        // All digests are compared, so the time does not depend on which one matches.
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
            return Err(TokensError::Invalid {
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

/// Whether the text is a b64token (RFC 6750, section 2.1).
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
    fn only_tokens_of_the_file_are_accepted() {
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
            ("good\nse cret\n", "invalid token in line 2 of "),
            ("=\n", "invalid token in line 1 of "),
            ("\n \n", "the 0 tokens in "),
            (&"t\n".repeat(TOKENS_MAX + 1), "the 1025 tokens in "),
        ] {
            let Err(error) = tokens(text) else {
                panic!("{text:?} was accepted")
            };
            assert!(error.contains(sentence) && !error.contains("cret"), "{error}");
        }
    }
}
