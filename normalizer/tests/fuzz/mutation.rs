//! Creates inputs from seeds by small random changes. The same seed number gives the same inputs.

use super::random::Random;

/// Maximum length of an input. A fault that a longer input causes is also caused by a shorter one.
const LEN_MAX: usize = 64 * 1024;
/// Maximum number of changes to an input.
const CHANGES_MAX: u64 = 6;
/// Bytes that are often limits of a range.
const BORDERS: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xff, b'"', b'{', b'['];

impl Random {
    /// A number below `bound`. 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Changes one of the seeds.
pub fn mutate(random: &mut Random, seeds: &[Vec<u8>], input: &mut Vec<u8>) {
    input.clear();
    input.extend_from_slice(&seeds[random.below(seeds.len())]);
    for _ in 0..=random.next() % CHANGES_MAX {
        change(random, seeds, input);
    }
    input.truncate(LEN_MAX);
}

fn change(random: &mut Random, seeds: &[Vec<u8>], input: &mut Vec<u8>) {
    let at = random.below(input.len());
    // Most pieces are small. Some have any size.
    let len_max = if random.next().is_multiple_of(8) {
        input.len()
    } else {
        16
    };
    let end = (at + random.below(len_max)).min(input.len());
    match random.next() % 8 {
        0 if !input.is_empty() => input[at] ^= 1 << random.below(8),
        1 if !input.is_empty() => input[at] = BORDERS[random.below(BORDERS.len())],
        2 => input[at..end].fill(random.next() as u8),
        3 => drop(input.drain(at..end)),
        4 => {
            let piece = input[at..end].to_vec();
            insert(input, at, &piece);
        }
        5 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            let to = (from + random.below(len_max)).min(other.len());
            insert(input, at, &other[from..to]);
        }
        6 => {
            let number = random.next() >> random.below(64);
            insert(input, at, &number.to_le_bytes()[..1 + random.below(8)]);
        }
        _ => input.truncate(at),
    }
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    if input.len() + piece.len() <= LEN_MAX {
        input.splice(at..at, piece.iter().copied());
    }
}
