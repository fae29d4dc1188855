//! [`weight`]: the number of requests that a sampled span represents.

/// 2^56, the range of the rejection threshold.
const THRESHOLD_RANGE: u64 = 1 << 56;
const THRESHOLD_DIGITS: usize = 14;

/// The adjusted count from the tracestate's `ot=th:` value. Its hex digits, right-padded with zeros to 14, are the rejection threshold T,
/// and the span represents 2^56 / (2^56 - T) requests (OpenTelemetry, "TraceState: Probability Sampling").
pub fn weight(trace_state: &str) -> Option<f64> {
    if trace_state.is_empty() {
        return None;
    }
    let vendor = trace_state
        .split(',')
        .find_map(|member| member.trim().strip_prefix("ot="))?;
    let digits = vendor.split(';').find_map(|field| field.strip_prefix("th:"))?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if digits.is_empty() || digits.len() > THRESHOLD_DIGITS || !is_hex {
        return None;
    }
    let threshold = u64::from_str_radix(digits, 16).ok()? << (4 * (THRESHOLD_DIGITS - digits.len()));
    // Computed with integers, because a double would round a threshold close to the range to the range itself.
    Some(THRESHOLD_RANGE as f64 / (THRESHOLD_RANGE - threshold) as f64)
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn a_threshold_gives_the_adjusted_count() {
        assert_eq!(weight("ot=th:0"), Some(1.0));
        assert_eq!(weight("ot=th:8"), Some(2.0));
        assert_eq!(weight("vendor=x,ot=rv:abc;th:c"), Some(4.0));
        assert_eq!(weight("ot=th:ffffffffffffff"), Some(72_057_594_037_927_936.0));
        for none in [
            "",
            "vendor=x",
            "ot=rv:1",
            "ot=th:",
            "ot=th:xyz",
            "ot=th:+8",
            "ot=th:-1",
            "ot=th:123456789012345",
        ] {
            assert_eq!(weight(none), None, "{none}");
        }
    }
}
