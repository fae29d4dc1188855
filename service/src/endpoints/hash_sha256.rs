//! POST /hash/sha256: hashes the body.

use sha2::{Digest, Sha256};

use super::Tools;
use crate::request::{Answer, Outcome, Request, TEXT};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// 200 with 64 hex digits.
pub fn run(request: &Request, _tools: &Tools<'_>) -> Outcome {
    let digest = Sha256::digest(&request.body);
    let hex: Vec<u8> = digest
        .iter()
        .flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]])
        .collect();
    Outcome::same_for_both(Answer::new(200, TEXT, hex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::testing;

    #[test]
    fn the_digest_is_sha_256() {
        let answer = testing::run(run, "", "abc").answer;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.body,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
