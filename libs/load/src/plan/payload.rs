//! Request bodies: the same for the same seed, of the requested size, and as compressible as ordinary text.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::plan::random::SplitMix64;

/// Maximum size of a body, bytes.
pub const SIZE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Minimum size of a JSON document: an empty string.
const JSON_BYTES_MIN: usize = 2;
/// Compression level of gzip bodies.
const GZIP_LEVEL: u32 = 6;

const WORDS: [&str; 16] = [
    "invocation",
    "edge",
    "cloud",
    "endpoint",
    "queue",
    "service",
    "latency",
    "trace",
    "span",
    "node",
    "link",
    "module",
    "worker",
    "replay",
    "schedule",
    "arrival",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// A valid JSON document of exactly the size.
    Json,
    /// Words and numbers of exactly the size.
    Text,
    /// Compressed words and numbers; the size is that before compression.
    Gzip,
}

impl PayloadKind {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text | Self::Gzip => "application/octet-stream",
        }
    }
}

/// An invalid size.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    #[error("invalid body size {0}: at most {SIZE_BYTES_MAX} bytes")]
    TooLarge(usize),
    #[error("invalid size {0} of a JSON body: at least {JSON_BYTES_MIN} bytes")]
    TooShortForJson(usize),
    #[error("cannot compress the body")]
    Compress(#[from] std::io::Error),
}

/// Checks that a body of `kind` can have this size in bytes.
pub fn check(kind: PayloadKind, size_bytes: usize) -> Result<(), PayloadError> {
    match kind {
        _ if size_bytes > SIZE_BYTES_MAX => Err(PayloadError::TooLarge(size_bytes)),
        PayloadKind::Json if size_bytes < JSON_BYTES_MIN => Err(PayloadError::TooShortForJson(size_bytes)),
        _ => Ok(()),
    }
}

/// The body of `kind` for a size in bytes and a seed.
pub fn body(kind: PayloadKind, size_bytes: usize, seed: u64) -> Result<Vec<u8>, PayloadError> {
    check(kind, size_bytes)?;
    match kind {
        PayloadKind::Json => Ok(json(size_bytes, seed)),
        PayloadKind::Text => Ok(text(size_bytes, seed)),
        PayloadKind::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
            encoder.write_all(&text(size_bytes, seed))?;
            Ok(encoder.finish()?)
        }
    }
}

fn word(random: &mut SplitMix64) -> &'static str {
    WORDS[(random.next_u64() % WORDS.len() as u64) as usize]
}

fn text(size_bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    let mut out = Vec::with_capacity(size_bytes + 32);
    while out.len() < size_bytes {
        out.extend_from_slice(word(&mut random).as_bytes());
        out.extend_from_slice(format!(" {:x} ", random.next_u64() >> 44).as_bytes());
    }
    out.truncate(size_bytes);
    out
}

/// An array of records, and one string that fills the rest. If the size is too small for an array, a bare string.
fn json(size_bytes: usize, seed: u64) -> Vec<u8> {
    const CLOSING_BYTES: usize = 4; // `[""]`
    if size_bytes < CLOSING_BYTES {
        return [b"\"", vec![b'x'; size_bytes - JSON_BYTES_MIN].as_slice(), b"\""].concat();
    }
    let mut random = SplitMix64::new(seed);
    let mut out = b"[".to_vec();
    for id in 0.. {
        let (name, value) = (word(&mut random), random.next_u64() % 100_000);
        let record = format!(
            r#"{{"id":{id},"name":"{name}","value":{value},"ok":{}}},"#,
            value % 2 == 0
        );
        if out.len() + record.len() + CLOSING_BYTES > size_bytes {
            break;
        }
        out.extend_from_slice(record.as_bytes());
    }
    let filler = size_bytes - out.len() - (CLOSING_BYTES - 1);
    out.push(b'"');
    out.resize(out.len() + filler, b'x');
    out.extend_from_slice(b"\"]");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    #[test]
    fn a_gzip_body_unpacks_to_the_text_of_the_same_seed() {
        let packed = body(PayloadKind::Gzip, 8192, 5).unwrap();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, body(PayloadKind::Text, 8192, 5).unwrap());
        assert!(packed.len() < 8192 / 2, "text compresses: {} bytes", packed.len());
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(body(PayloadKind::Json, 1, 0).is_err());
        assert!(body(PayloadKind::Text, SIZE_BYTES_MAX + 1, 0).is_err());
        assert!(body(PayloadKind::Text, 0, 0).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn a_json_body_is_valid_repeatable_and_has_its_size(size in 2usize..5_000, seed: u64) {
            let document = body(PayloadKind::Json, size, seed).unwrap();
            prop_assert_eq!(document.len(), size);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&document).is_ok());
            prop_assert_eq!(document, body(PayloadKind::Json, size, seed).unwrap());
        }
    }
}
