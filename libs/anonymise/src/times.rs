//! [`Shift`]: the time by which all timestamps are shifted. It depends on the key only, so the distance between runs with the
//! same key stays.

use cctf_proto::cctf::{Milliseconds, Untreatable};
use jiff::{SignedDuration, Timestamp};

use crate::hashes::Hashes;

/// The shift is a whole number of minutes, so that counts by second or by minute stay the same.
const MINUTE_NS: i64 = 60_000_000_000;
/// Maximum shift, minutes: eight years. A double then still holds today's timestamps (in ms) to a quarter of a microsecond.
const MINUTES_MAX: u64 = 1 << 22;
/// Maximum number of decimal places in the seconds of a timestamp.
const DECIMALS_MAX: usize = 9;

/// A shift into the future, so that no timestamp becomes negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    ns: i64,
}

impl Shift {
    pub fn new(hashes: &Hashes) -> Self {
        let minutes = 1 + hashes.shift() % MINUTES_MAX;
        Self {
            ns: minutes as i64 * MINUTE_NS,
        }
    }

    /// The shifted time.
    ///
    /// # Errors
    /// If the shifted time is after the year 2262.
    pub fn time(self, time: Milliseconds) -> Result<Milliseconds, Untreatable> {
        let shifted = time.as_ns().checked_add(self.ns);
        shifted.map(Milliseconds::from_ns).ok_or(Untreatable::Time)
    }

    /// Appends a shifted timestamp in the form of RFC 3339, in UTC and with the same number of decimal places.
    ///
    /// # Errors
    /// If the text has another form.
    pub fn push_timestamp(self, text: &str, out: &mut String) -> Result<(), Untreatable> {
        let time: Timestamp = text.parse().map_err(|_| Untreatable::Timestamp)?;
        let shifted = time
            .checked_add(SignedDuration::from_nanos(self.ns))
            .map_err(|_| Untreatable::Time)?;
        let decimals = text
            .split_once('.')
            .map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
        let decimals = decimals.min(DECIMALS_MAX);
        out.push_str(&format!("{shifted:.decimals$}"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIFT: Shift = Shift { ns: 90 * MINUTE_NS };

    #[test]
    fn a_shift_is_of_whole_minutes_and_from_the_key() {
        for seed in 0..50 {
            let key: Vec<u8> = (seed..seed + 32).collect();
            let shift = Shift::new(&Hashes::new(&crate::Key::new(&key)));
            assert_eq!(shift, Shift::new(&Hashes::new(&crate::Key::new(&key))));
            assert!(shift.ns >= MINUTE_NS && shift.ns % MINUTE_NS == 0, "{shift:?}");
            assert!(shift.ns <= MINUTES_MAX as i64 * MINUTE_NS, "{shift:?}");
        }
    }

    #[test]
    fn both_forms_of_timestamps_are_shifted_alike() {
        let before = Milliseconds::from_ns(1_760_000_000_123_456_789);
        let after = SHIFT.time(before).unwrap();
        assert_eq!(after.as_ns() - before.as_ns(), 5_400_000_000_000);
        assert_eq!(
            SHIFT.time(Milliseconds::from_ns(i64::MAX)),
            Err(Untreatable::Time)
        );
        for (text, shifted) in [
            ("2025-10-09T08:53:20.123456789Z", "2025-10-09T10:23:20.123456789Z"),
            ("2025-12-31T23:00:00.100000000Z", "2026-01-01T00:30:00.100000000Z"),
            ("2025-10-09T08:53:20Z", "2025-10-09T10:23:20Z"),
            ("2025-10-09T08:53:20.5+02:00", "2025-10-09T08:23:20.5Z"),
        ] {
            let mut out = String::new();
            SHIFT.push_timestamp(text, &mut out).unwrap();
            assert_eq!(out, shifted);
        }
        assert_eq!(
            SHIFT.push_timestamp("yesterday", &mut String::new()),
            Err(Untreatable::Timestamp)
        );
    }
}
