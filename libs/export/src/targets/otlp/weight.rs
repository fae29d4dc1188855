//! [`trace_state`]: the trace state that states how many requests a sampled span represents.

/// 2^56, the range of the rejection threshold (OpenTelemetry, "TraceState: Probability Sampling").
const RANGE: u64 = 1 << 56;
const THRESHOLD_DIGITS: usize = 14;
/// How many thresholds are tried on each side of the nearest one. A double has only 53 bits, so several thresholds give the same
/// weight.
const NEARBY: u64 = 16;

/// The trace state of a span that represents `weight` requests; `None` if no threshold gives exactly this number.
pub fn trace_state(weight: f64) -> Option<String> {
    if !(weight >= 1.0 && weight <= RANGE as f64) {
        return None;
    }
    let kept = (RANGE as f64 / weight) as u64;
    let nearby = kept.saturating_sub(NEARBY)..=(kept + NEARBY).min(RANGE);
    // The nearest threshold is tried first, so that a weight that is a power of two gets a text with few digits.
    let mut candidates: Vec<u64> = nearby.filter(|&kept| kept > 0).collect();
    candidates.sort_by_key(|&candidate| candidate.abs_diff(kept));
    let exact = |kept: &u64| RANGE as f64 / *kept as f64 == weight;
    let kept = candidates.into_iter().find(exact)?;
    let digits = format!("{:0width$x}", RANGE - kept, width = THRESHOLD_DIGITS);
    let digits = digits.trim_end_matches('0');
    Some(format!("ot=th:{}", if digits.is_empty() { "0" } else { digits }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_becomes_its_threshold() {
        for (weight, expected) in [
            (1.0, Some("ot=th:0")),
            (2.0, Some("ot=th:8")),
            (4.0, Some("ot=th:c")),
            (72_057_594_037_927_936.0, Some("ot=th:ffffffffffffff")),
            (0.5, None),
            (f64::NAN, None),
            (1e18, None),
            // No integer threshold gives it.
            (1e6, None),
        ] {
            assert_eq!(trace_state(weight).as_deref(), expected, "{weight}");
        }
        for weight in [3.0, 10.0, 1.000_000_1] {
            assert!(trace_state(weight).is_some(), "{weight}");
        }
    }
}
