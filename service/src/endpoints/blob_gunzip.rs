//! POST /blob/gunzip: decompresses a gzip file with any number of members, up to a limit.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::Tools;
use crate::request::{Answer, OCTETS, Outcome, Request};

/// Size of output pieces. Memory grows only with actual output, not with sizes declared in headers.
const PIECE_BYTES: usize = 64 << 10;

enum Failure {
    TooLarge,
    NotGzip(io::Error),
}

/// 200 with the content, 400 if the body is not gzip, 413 if the content exceeds the limit.
pub fn run(request: &Request, tools: &Tools<'_>) -> Outcome {
    match decompress(&request.body, tools.gunzip_bytes_max) {
        Ok(bytes) => Outcome::same_for_both(Answer::new(200, OCTETS, bytes)),
        Err(Failure::TooLarge) => {
            let limit = tools.gunzip_bytes_max;
            let message =
                format!("the decompressed body exceeds {limit} bytes; send less or raise MAX_GUNZIP_BYTES");
            Outcome::failed(Answer::error(413, &message))
        }
        Err(Failure::NotGzip(error)) => Outcome::failed(Answer::error(
            400,
            &format!("invalid or truncated gzip file: {error}"),
        )),
    }
}

fn decompress(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Failure> {
    // The size that the last member declares. If it already exceeds the limit, nothing is decompressed.
    if declared_size(body).is_some_and(|size| size > bytes_max) {
        return Err(Failure::TooLarge);
    }
    let mut decoder = MultiGzDecoder::new(body);
    let mut output = Vec::new();
    let mut piece = vec![0_u8; PIECE_BYTES];
    loop {
        let length = decoder.read(&mut piece).map_err(Failure::NotGzip)?;
        if length == 0 {
            return Ok(output);
        }
        if output.len() + length > bytes_max {
            return Err(Failure::TooLarge);
        }
        output.extend_from_slice(&piece[..length]);
    }
}

fn declared_size(body: &[u8]) -> Option<usize> {
    let is_gzip = body.starts_with(&[0x1f, 0x8b]);
    let size = body.last_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))?;
    usize::try_from(size)
        .ok()
        .filter(|_| is_gzip && size_is_possible(body.len(), size))
}

/// Deflate compresses at most 1,032 bytes into one. A larger declared size means a corrupt file, which is answered with 400.
fn size_is_possible(body_len: usize, size: u32) -> bool {
    u64::from(size) <= (body_len as u64).saturating_mul(1032)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::testing;
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(9));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_one_after_the_other_are_one_content() {
        let file = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        let outcome = testing::run(run, "", file);
        assert_eq!(
            (outcome.answer.status, &outcome.answer.body[..]),
            (200, &b"one two"[..])
        );
        assert_eq!(&outcome.payload.unwrap().bytes[..], b"one two");
    }

    #[test]
    fn a_bomb_is_too_large_in_one_member_or_in_many() {
        let zeros = vec![0_u8; 2 << 20];
        assert_eq!(testing::run(run, "", gzip(&zeros)).answer.status, 413);
        let small = gzip(&zeros[..100_000]);
        assert_eq!(testing::run(run, "", small.repeat(20)).answer.status, 413);
        let mut lying = gzip(&zeros);
        let end = lying.len();
        lying[end - 4..].fill(0);
        assert_eq!(testing::run(run, "", lying).answer.status, 413);
    }

    #[test]
    fn the_limit_itself_is_not_too_large() {
        assert_eq!(testing::run(run, "", gzip(&vec![7; 1 << 20])).answer.status, 200);
        assert_eq!(
            testing::run(run, "", gzip(&vec![7; (1 << 20) + 1])).answer.status,
            413
        );
    }

    #[test]
    fn what_is_not_gzip_is_a_bad_request() {
        let whole = gzip(b"some content, long enough to be cut");
        let garbage_after = [&whole[..], b"garbage"].concat();
        for body in [
            b"plain".to_vec(),
            Vec::new(),
            whole[..whole.len() - 6].to_vec(),
            garbage_after,
        ] {
            assert_eq!(testing::run(run, "", body.clone()).answer.status, 400, "{body:?}");
        }
    }
}
