//! Trace and span ids: any thread computes the ids of a request from its number, and two processes never share an id.

use crate::plan::random;

/// The ids of one driver process.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    high: u64,
    low_seed: u64,
    span_seed: u64,
}

impl Ids {
    /// Combines the run's seed with randomness of this process, so that the same seed never repeats an id.
    pub fn new(seed: u64) -> Self {
        Self::from_parts(seed, rand::random(), rand::random())
    }

    fn from_parts(seed: u64, process: u64, more: u64) -> Self {
        Self {
            high: random::at(process, seed),
            low_seed: random::at(more, seed),
            span_seed: random::at(process ^ more, seed),
        }
    }

    /// The trace id of a request: 16 bytes, never zero, and unique within the process.
    pub fn trace_id(&self, number: u64) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.high.to_be_bytes());
        id[8..].copy_from_slice(&nonzero(random::at(self.low_seed, number)).to_be_bytes());
        id
    }

    /// The span id of a request: 8 bytes, never zero.
    pub fn span_id(&self, number: u64) -> [u8; 8] {
        nonzero(random::at(self.span_seed, number)).to_be_bytes()
    }
}

/// OpenTelemetry defines an id of zeros as invalid.
fn nonzero(value: u64) -> u64 {
    if value == 0 { u64::MAX } else { value }
}

/// Writes `bytes` as lower-case hex into `out`, which must have two characters per byte.
pub fn write_hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_do_not_repeat_within_a_process_nor_between_two_with_the_same_seed() {
        let (one, two) = (Ids::new(7), Ids::new(7));
        let mut seen = HashSet::new();
        for number in 0..10_000 {
            assert!(seen.insert(one.trace_id(number)) && seen.insert(two.trace_id(number)));
        }
        let spans: HashSet<_> = (0..10_000).map(|number| one.span_id(number)).collect();
        assert_eq!(spans.len(), 10_000);
    }

    #[test]
    fn hex_is_lower_case_and_two_characters_a_byte() {
        let mut out = [0; 6];
        write_hex(&[0x00, 0xaf, 0x91], &mut out);
        assert_eq!(&out, b"00af91");
    }
}
