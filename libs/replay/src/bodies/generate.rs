//! Generates bodies for the endpoints of our service, tunable-svc: valid and invalid JSON, text with a given compressed size, and
//! gzip files of an exact size.

use std::io::Write as _;

use cctf_load::plan::payload::{self, PayloadKind};
use cctf_load::plan::random::SplitMix64;
use flate2::{Compression, GzBuilder, write::GzEncoder};
use serde::de::IgnoredAny;

/// Level at which the load driver and the service compress.
const LEVEL: u32 = 6;
/// Size of a gzip file with empty content.
const GZIP_BYTES_MIN: usize = 20;
/// Deflate compresses at most 1,032 bytes into one.
const DEFLATE_RATIO_MAX: usize = 1032;
/// Maximum number of attempts to find a compressed size. At least every second attempt halves the interval of the search, so the
/// remaining error is small for any size.
const ATTEMPTS_MAX: usize = 16;
/// Maximum size of the comment that fills up a gzip header. Decoders accept less than 64 KiB.
const COMMENT_BYTES_MAX: usize = 60_000;
/// Size of each empty gzip member that fills up larger differences.
const MEMBER_BYTES: usize = 50_000;

/// Text of words and numbers.
pub fn text(size: usize, seed: u64) -> Vec<u8> {
    // This fails only for sizes that the check of the plan has already refused.
    payload::body(PayloadKind::Text, size, seed).unwrap_or_default()
}

/// A valid JSON document. The shortest one has one byte.
pub fn json(size: usize, seed: u64) -> Vec<u8> {
    match size {
        0 => Vec::new(),
        1 => b"1".to_vec(),
        _ => payload::body(PayloadKind::Json, size, seed).unwrap_or_default(),
    }
}

/// Invalid JSON. The recorded answer contains the position of the error, so its size shows where the error was. If an error at
/// the first byte explains this size, the body is text. Otherwise the error is at the last byte, so that the parser does all of
/// its work.
pub fn broken_json(size: usize, answer: Option<usize>, seed: u64) -> Vec<u8> {
    let words = text(size, seed);
    if answer.is_some() && refusal_bytes(&words) == answer {
        return words;
    }
    let mut document = json(size, seed);
    if let Some(last) = document.last_mut() {
        *last = b'x';
    }
    document
}

/// Size of our service's answer to a body that is not JSON.
fn refusal_bytes(body: &[u8]) -> Option<usize> {
    let error = serde_json::from_slice::<IgnoredAny>(body).err()?;
    let (line, column) = (error.line(), error.column());
    let report =
        serde_json::json!({ "valid": false, "error": error.to_string(), "line": line, "column": column });
    Some(report.to_string().len())
}

/// Text of `size` bytes whose compressed size is `compressed`, or close to it.
pub fn text_that_compresses_to(size: usize, compressed: usize, seed: u64) -> Vec<u8> {
    let found = search(size, compressed, seed, |content| compress(content).len());
    found.closest.unwrap_or_else(|| text(size, seed))
}

/// A gzip file of exactly `size` bytes, or text if `size` is too small for a gzip file. Its content has `content` bytes, if this
/// number is known and possible.
pub fn gzip(size: usize, content: Option<usize>, seed: u64) -> Vec<u8> {
    if size < GZIP_BYTES_MIN {
        return text(size, seed);
    }
    let most = (size - GZIP_BYTES_MIN).saturating_mul(DEFLATE_RATIO_MAX);
    let content = content
        .unwrap_or_else(|| content_of_unknown_size(size, seed))
        .min(most)
        .min(payload::SIZE_BYTES_MAX);
    let found = search(content, size, seed, |content| compress(content).len());
    let fitting = found.largest_below.unwrap_or_else(|| {
        // Even the most regular content of this size compresses to more bytes, so shorter content is used.
        let sizes = std::iter::successors(Some(content), |&size| (size > 0).then_some(size / 2));
        let mut blanks = sizes.map(|size| vec![b' '; size]);
        blanks
            .find(|blank| compress(blank).len() <= size)
            .unwrap_or_default()
    });
    padded(&fitting, size)
}

/// A file that starts like gzip. At its end, it declares the largest content that a file of its size can have. The service
/// refuses it without decompressing.
pub fn gzip_too_large(size: usize, seed: u64) -> Vec<u8> {
    let mut file = text(size, seed);
    if size >= GZIP_BYTES_MIN {
        let declared = u32::try_from(size * DEFLATE_RATIO_MAX).unwrap_or(u32::MAX);
        file[..2].copy_from_slice(&[0x1f, 0x8b]);
        file[size - 4..].copy_from_slice(&declared.to_le_bytes());
    }
    file
}

/// Size of a text that compresses to about `size` bytes. The ratio comes from compressing 64 KiB of text.
fn content_of_unknown_size(size: usize, seed: u64) -> usize {
    const SAMPLE_BYTES: usize = 64 << 10;
    let compressed = compress(&text(SAMPLE_BYTES, seed)).len();
    size.saturating_mul(SAMPLE_BYTES) / compressed.max(1)
}

fn compress(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    // Writing to memory cannot fail.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

#[derive(Default)]
struct Found {
    /// The content whose compressed size is closest to the target.
    closest: Option<Vec<u8>>,
    /// The content with the greatest compressed size below or at the target.
    largest_below: Option<Vec<u8>>,
}

/// Searches for content of `size` bytes with the compressed size `wanted`. It tries text, and then text of which a part is
/// random or blank.
fn search(size: usize, wanted: usize, seed: u64, compressed: impl Fn(&[u8]) -> usize) -> Found {
    let mut found = Found::default();
    let (mut closest, mut below) = (usize::MAX, 0);
    let mut attempt = |mix: i64| {
        let content = mixed(size, mix, seed);
        let reached = compressed(&content);
        if reached <= wanted && (reached > below || found.largest_below.is_none()) {
            below = reached;
            found.largest_below = Some(content.clone());
        }
        if reached.abs_diff(wanted) < closest {
            closest = reached.abs_diff(wanted);
            found.closest = Some(content);
        }
        reached
    };
    let of_text = attempt(0);
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let (mut low, mut high) = match of_text.cmp(&wanted) {
        std::cmp::Ordering::Equal => return found,
        std::cmp::Ordering::Less => ((0, of_text), (size, attempt(size))),
        std::cmp::Ordering::Greater => ((-size, attempt(-size)), (0, of_text)),
    };
    for number in 0..ATTEMPTS_MAX {
        if high.0 - low.0 < 2 || low.1 >= wanted || high.1 <= wanted {
            break;
        }
        // The compressed size is nearly linear in the size of the random or blank part. So interpolation comes close, and
        // bisection bounds the number of steps.
        let line =
            low.0 + ((high.0 - low.0) as f64 * (wanted - low.1) as f64 / (high.1 - low.1) as f64) as i64;
        let middle = if number % 2 == 0 {
            line
        } else {
            i64::midpoint(low.0, high.0)
        };
        let middle = middle.clamp(low.0 + 1, high.0 - 1);
        let reached = attempt(middle);
        match reached.cmp(&wanted) {
            std::cmp::Ordering::Equal => break,
            std::cmp::Ordering::Less => low = (middle, reached),
            std::cmp::Ordering::Greater => high = (middle, reached),
        }
    }
    found
}

/// Text with a different beginning: `mix` random bytes if it is positive, or blanks if it is negative.
fn mixed(size: usize, mix: i64, seed: u64) -> Vec<u8> {
    let mut content = text(size, seed);
    let part = usize::try_from(mix.unsigned_abs())
        .unwrap_or(size)
        .min(content.len());
    if mix < 0 {
        content[..part].fill(b' ');
        return content;
    }
    let mut random = SplitMix64::new(seed);
    for bytes in content[..part].chunks_mut(8) {
        let word = random.next_u64().to_le_bytes();
        bytes.copy_from_slice(&word[..bytes.len()]);
    }
    content
}

/// A gzip file of the content, filled up to `size` bytes with a comment and empty members.
fn padded(content: &[u8], size: usize) -> Vec<u8> {
    let mut gap = size.saturating_sub(compress(content).len());
    let mut members = Vec::new();
    while gap > COMMENT_BYTES_MAX {
        gap -= MEMBER_BYTES;
        members.extend(member(b"", MEMBER_BYTES - GZIP_BYTES_MIN));
    }
    let mut file = member(content, gap);
    file.extend(members);
    file
}

/// A gzip member with a comment that adds `more` bytes.
fn member(content: &[u8], more: usize) -> Vec<u8> {
    let Some(letters) = more.checked_sub(1) else {
        return compress(content);
    };
    // The comment ends with a zero byte.
    let builder = GzBuilder::new().comment(vec![b'x'; letters]);
    let mut encoder = builder.write(Vec::new(), Compression::new(LEVEL));
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn unpacked(file: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        MultiGzDecoder::new(file).read_to_end(&mut content).unwrap();
        content
    }

    fn parses(document: &[u8]) -> bool {
        serde_json::from_slice::<serde_json::Value>(document).is_ok()
    }

    #[test]
    fn a_gzip_body_of_the_driver_comes_out_byte_for_byte() {
        for size in [1, 100, 8192, 200_000] {
            let recorded = payload::body(PayloadKind::Gzip, size, 7).unwrap();
            assert_eq!(gzip(recorded.len(), Some(size), 7), recorded);
        }
    }

    #[test]
    fn a_gzip_file_has_its_size_and_unpacks_to_the_recorded_one() {
        for (size, content) in [
            (20, 0),
            (21, 0),
            (22, 2),
            (60, 8_000),
            (1_000, 8_192),
            (4_000, 8_192),
            (8_192, 8_192),
            (8_300, 8_192),
            (9_000, 8_192),
            (100_000, 300),
            (400_000, 1 << 20),
            (90, 40_000),
        ] {
            let file = gzip(size, Some(content), 1);
            assert_eq!(file.len(), size, "{size} {content}");
            assert_eq!(unpacked(&file).len(), content, "{size} {content}");
        }
    }

    #[test]
    fn an_impossible_answer_gives_a_valid_file_of_the_recorded_size() {
        let file = gzip(30, Some(10_000_000), 1);
        assert_eq!(file.len(), 30);
        assert!(unpacked(&file).len() <= 10 * DEFLATE_RATIO_MAX);
        let file = gzip(5_000, None, 1);
        assert_eq!(file.len(), 5_000);
        assert!(unpacked(&file).len() > 5_000, "it compresses as text does");
        assert_eq!(gzip(7, Some(7), 1).len(), 7);
    }

    #[test]
    fn what_is_too_large_declares_more_than_it_can_hold() {
        let file = gzip_too_large(1_000, 3);
        assert_eq!((file.len(), &file[..2]), (1_000, &[0x1f, 0x8b][..]));
        assert_eq!(file[996..], 1_032_000_u32.to_le_bytes());
        assert_eq!(gzip_too_large(3, 3).len(), 3);
    }

    #[test]
    fn text_compresses_to_about_the_recorded_size() {
        for (size, compressed) in [(8_192, 1_000), (8_192, 4_000), (8_192, 7_000), (100_000, 50_000)] {
            let content = text_that_compresses_to(size, compressed, 5);
            let reached = compress(&content).len();
            assert_eq!(content.len(), size);
            assert!(
                reached.abs_diff(compressed) * 100 <= compressed,
                "{reached} of {compressed}"
            );
        }
        let of_text = compress(&text(8_192, 5)).len();
        assert_eq!(text_that_compresses_to(8_192, of_text, 5), text(8_192, 5));
        assert_eq!(text_that_compresses_to(0, 500, 5), b"");
    }

    #[test]
    fn the_size_of_a_refusal_shows_where_the_parser_stopped() {
        let words = text(777, 1);
        let of_words = refusal_bytes(&words);
        assert_eq!(broken_json(777, of_words, 1), words);
        assert_ne!(broken_json(777, Some(1), 1), words);
        assert_eq!(refusal_bytes(&json(777, 1)), None);
    }

    proptest! {
        #[test]
        fn json_parses_or_not_and_has_its_size(size in 0_usize..3_000, seed: u64) {
            prop_assert_eq!(json(size, seed).len(), size);
            prop_assert_eq!(parses(&json(size, seed)), size > 0);
            for answer in [None, Some(88), Some(5)] {
                prop_assert_eq!(broken_json(size, answer, seed).len(), size);
                prop_assert!(!parses(&broken_json(size, answer, seed)));
            }
        }

        #[test]
        fn any_gzip_file_has_its_size_is_valid_and_repeatable(
            size in GZIP_BYTES_MIN..20_000, content in proptest::option::of(0_usize..60_000), seed: u64
        ) {
            let file = gzip(size, content, seed);
            prop_assert_eq!(file.len(), size);
            let unpacked = unpacked(&file);
            if let Some(content) = content {
                prop_assert!(unpacked.len() <= content);
            }
            prop_assert_eq!(&file, &gzip(size, content, seed));
        }
    }
}
