//! [`span_fingerprint`]: identifies a span by 64 bits.

/// Mixes a span's identity into 64 bits (the finalizer of MurmurHash3 by A. Appleby, on xor-folded words).
pub fn span_fingerprint(trace_id: &[u8; 16], span_id: &[u8; 8], kind: u8) -> u64 {
    let trace = u128::from_le_bytes(*trace_id);
    let mut mixed = mix(trace as u64 ^ u64::from(kind).rotate_left(56));
    mixed = mix(mixed ^ (trace >> 64) as u64);
    mix(mixed ^ u64::from_le_bytes(*span_id))
}

/// The finalizer of MurmurHash3.
pub fn mix(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}
