//! Computes ids from texts. They must be the same in each conversion, so the hash has no random seed.

/// The hash of no bytes.
pub const START: u64 = 0xcbf2_9ce4_8422_2325;

/// Extends a hash by further bytes (FNV-1a with 64 bits).
pub fn extended(mut hash: u64, bytes: &[u8]) -> u64 {
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// Spreads a hash over all bits (the finalizer of SplitMix64).
pub fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

/// The trace id for the name of a trace. Up to 32 hexadecimal digits, with or without `T_` in front, are the id itself, padded
/// with zeros. Other names are hashed.
pub fn trace_id(name: &[u8]) -> u128 {
    let digits = name.strip_prefix(b"T_").unwrap_or(name);
    let number = Some(digits).filter(|digits| digits.len() <= 32).and_then(hex);
    let hashed = || {
        let high = extended(START, name);
        u128::from(mixed(high)) << 64 | u128::from(mixed(extended(high, name)))
    };
    // An id that consists of zeros is not valid.
    number.filter(|&number| number != 0).unwrap_or_else(hashed).max(1)
}

/// The number in hex digits, of which there are at most 32.
fn hex(digits: &[u8]) -> Option<u128> {
    let digits = digits.iter();
    digits
        .map(|&digit| char::from(digit).to_digit(16))
        .try_fold(0, |number, digit| Some(number << 4 | u128::from(digit?)))
}

/// An id for a text. It is never 0.
pub fn hash64(text: &[u8]) -> u64 {
    mixed(extended(START, text)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_trace_ids_stay_and_other_names_are_hashed() {
        assert_eq!(trace_id(b"0b133c19"), 0x0b13_3c19);
        assert_eq!(trace_id(b"T_11560863075"), 0x115_6086_3075);
        let hashed = trace_id(b"trace-1");
        assert!(hashed >> 96 != 0 && hashed != trace_id(b"trace-2"));
        let digits = "0123456789abcdefABCDEF0123456789";
        assert_eq!(Ok(trace_id(digits.as_bytes())), u128::from_str_radix(digits, 16));
        for other in [
            &b""[..],
            b"0",
            b"T_",
            b"+1",
            b"0x1",
            b"123456789012345678901234567890123",
        ] {
            assert!(trace_id(other) >> 96 != 0, "{other:?}");
        }
    }
}
