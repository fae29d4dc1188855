//! UTC calendar times of nanoseconds since the Unix epoch, as text.

use std::io::Write as _;

use jiff::Timestamp;

/// Appends a time as RFC 3339 with nanoseconds, `2026-11-23T10:45:00.000000001Z`.
pub fn append_rfc3339(unix_ns: u64, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{:.9}", timestamp(unix_ns));
}

/// A time as it stands in a run id, `20261123-104500`.
pub fn compact(unix_ns: u64) -> String {
    timestamp(unix_ns).strftime("%Y%m%d-%H%M%S").to_string()
}

/// Every number of 64 bits is in jiff's range, which ends in the year 9999.
fn timestamp(unix_ns: u64) -> Timestamp {
    Timestamp::from_nanosecond(unix_ns.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_come_out_as_the_calendar_has_them() {
        for (unix_ns, rfc3339, short) in [
            (0, "1970-01-01T00:00:00.000000000Z", "19700101-000000"),
            (
                951_782_400_000_000_001,
                "2000-02-29T00:00:00.000000001Z",
                "20000229-000000",
            ),
            (
                1_760_000_000_123_456_789,
                "2025-10-09T08:53:20.123456789Z",
                "20251009-085320",
            ),
            (
                1_795_430_700_000_000_000,
                "2026-11-23T10:45:00.000000000Z",
                "20261123-104500",
            ),
            (
                4_107_542_399_999_999_999,
                "2100-02-28T23:59:59.999999999Z",
                "21000228-235959",
            ),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z", "25540721-233433"),
        ] {
            let mut out = Vec::new();
            append_rfc3339(unix_ns, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), rfc3339);
            assert_eq!(compact(unix_ns), short);
        }
    }
}
