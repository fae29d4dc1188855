//! POST /blob/gzip?level=0..9: compresses the body.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::Tools;
use crate::request::{Answer, OCTETS, Outcome, Request};

const LEVEL_DEFAULT: u32 = 6;
const LEVEL_MAX: u32 = 9;

/// 200 with the gzip member, or 400 for an invalid level.
pub fn run(request: &Request, _tools: &Tools<'_>) -> Outcome {
    let level = match request.parameter("level").map(|text| text.parse::<u32>()) {
        None => LEVEL_DEFAULT,
        Some(Ok(level)) if level <= LEVEL_MAX => level,
        Some(_) => return Outcome::failed(Answer::error(400, "invalid level: use a number from 0 to 9")),
    };
    match compress(&request.body, level) {
        Ok(bytes) => Outcome::same_for_both(Answer::new(200, OCTETS, bytes)),
        Err(error) => Outcome::failed(Answer::error(500, &format!("cannot compress the body: {error}"))),
    }
}

fn compress(body: &[u8], level: u32) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2 + 64), Compression::new(level));
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::testing;
    use std::io::Read;

    #[test]
    fn what_is_compressed_is_the_body_at_every_level() {
        let body = b"abcabcabc".repeat(1000);
        for query in ["", "level=0", "level=1", "level=9"] {
            let outcome = testing::run(run, query, body.clone());
            assert_eq!(outcome.answer.status, 200);
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&outcome.answer.body[..])
                .read_to_end(&mut back)
                .unwrap();
            assert_eq!(back, body);
            assert_eq!(outcome.payload.unwrap().bytes, outcome.answer.body);
        }
    }

    #[test]
    fn a_level_out_of_bounds_is_refused() {
        for query in ["level=10", "level=-1", "level=fast", "level="] {
            assert_eq!(testing::run(run, query, "x").answer.status, 400, "{query}");
        }
    }
}
