//! UTC calendar times from nanoseconds since the Unix epoch.

const NS_PER_S: u64 = 1_000_000_000;
const S_PER_DAY: u64 = 86_400;

/// A time of the Gregorian calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utc {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    nanosecond: u64,
}

impl Utc {
    /// The calendar time of `unix_ns` nanoseconds since 1970-01-01T00:00:00Z.
    pub fn from_unix_ns(unix_ns: u64) -> Self {
        let seconds = unix_ns / NS_PER_S;
        let (year, month, day) = civil_from_days(seconds / S_PER_DAY);
        let of_day = seconds % S_PER_DAY;
        Self {
            year,
            month,
            day,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            nanosecond: unix_ns % NS_PER_S,
        }
    }

    /// Appends it as RFC 3339 with nanoseconds, `2026-11-23T10:45:00.000000001Z`.
    pub fn append_rfc3339(&self, out: &mut Vec<u8>) {
        for (value, digits, after) in [
            (self.year, 4, b'-'),
            (self.month, 2, b'-'),
            (self.day, 2, b'T'),
            (self.hour, 2, b':'),
            (self.minute, 2, b':'),
            (self.second, 2, b'.'),
            (self.nanosecond, 9, b'Z'),
        ] {
            append_digits(out, value, digits);
            out.push(after);
        }
    }

    /// It as it stands in a run id, `20261123-104500`.
    pub fn compact(&self) -> String {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
    }
}

fn append_digits(out: &mut Vec<u8>, mut value: u64, digits: usize) {
    let from = out.len();
    out.resize(from + digits, b'0');
    for digit in out[from..].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_come_out_as_the_calendar_has_them() {
        for (unix_ns, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
            (1_760_000_000_123_456_789, "2025-10-09T08:53:20.123456789Z"),
            (1_795_430_700_000_000_000, "2026-11-23T10:45:00.000000000Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999999Z"),
        ] {
            let mut out = Vec::new();
            Utc::from_unix_ns(unix_ns).append_rfc3339(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        assert_eq!(
            Utc::from_unix_ns(1_795_430_700_000_000_000).compact(),
            "20261123-104500"
        );
    }
}
