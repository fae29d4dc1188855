//! Converts numbers to ids and back. All ids differ and look random, and an id contains its number, so no table is needed.

use super::trace::SPANS_A_TRACE;

/// Added before mixing, so that the two halves of a trace id and the span ids differ. A sum of 0 would give the id 0, which is
/// invalid, but no number in use has this sum.
const HIGH: u64 = 0x1000_0000_0000_0001;
const LOW: u64 = 0x2000_0000_0000_0001;
const SPAN: u64 = 0x4000_0000_0000_0001;

/// The id of a trace.
pub fn trace_id(trace: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mix(trace + HIGH).to_be_bytes());
    id[8..].copy_from_slice(&mix(trace + LOW).to_be_bytes());
    id
}

/// The id of a span. `place` is the position of the span in the trace.
pub fn span_id(trace: u64, place: usize) -> [u8; 8] {
    mix(trace * SPANS_A_TRACE as u64 + place as u64 + SPAN).to_be_bytes()
}

/// The number of the trace whose id in hex is `id`.
pub fn trace_of(id: &str) -> Option<u64> {
    let (high, low) = id.split_at_checked(16)?;
    let trace = unmix(hex(high)?).wrapping_sub(HIGH);
    (unmix(hex(low)?).wrapping_sub(LOW) == trace).then_some(trace)
}

/// The trace and the position of the span whose id in hex is `id`.
pub fn place_of(id: &str) -> Option<(u64, usize)> {
    let number = unmix(hex(id)?).wrapping_sub(SPAN);
    let place = usize::try_from(number % SPANS_A_TRACE as u64).ok()?;
    Some((number / SPANS_A_TRACE as u64, place))
}

fn hex(text: &str) -> Option<u64> {
    (text.len() == 16)
        .then(|| u64::from_str_radix(text, 16).ok())
        .flatten()
}

const FACTORS: [u64; 2] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];
const INVERSES: [u64; 2] = [inverse(FACTORS[0]), inverse(FACTORS[1])];

/// The finaliser of splitmix64, which is a bijection.
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(FACTORS[0]);
    let number = (number ^ (number >> 27)).wrapping_mul(FACTORS[1]);
    number ^ (number >> 31)
}

const fn unmix(number: u64) -> u64 {
    let number = (number ^ (number >> 31) ^ (number >> 62)).wrapping_mul(INVERSES[1]);
    let number = (number ^ (number >> 27) ^ (number >> 54)).wrapping_mul(INVERSES[0]);
    number ^ (number >> 30) ^ (number >> 60)
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the correct bits, starting with 3.
const fn inverse(odd: u64) -> u64 {
    let mut found = odd;
    let mut steps = 0;
    while steps < 5 {
        found = found.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(found)));
        steps += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_number_again_and_another_id_none() {
        let text = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for trace in [0, 1, 4096, 12_500_000, 1 << 40] {
            assert_eq!(trace_of(&text(&trace_id(trace))), Some(trace));
            for place in 0..SPANS_A_TRACE {
                assert_eq!(place_of(&text(&span_id(trace, place))), Some((trace, place)));
            }
        }
        let mut foreign = trace_id(7);
        foreign[15] ^= 1;
        assert_eq!(trace_of(&text(&foreign)), None);
        assert_eq!(trace_of("7"), None);
    }
}
