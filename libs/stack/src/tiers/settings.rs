//! [`Settings`]: delays and rate of the links, as people write them.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cli::units;

/// The links, in the order in which a request passes them.
const LINKS: [(&str, &str); 2] = [("ep0", "edge0"), ("edge0", "cloud0")];
/// tbf's timer is good for that much.
const RATE_BPS: std::ops::RangeInclusive<u64> = 100_000..=1_000_000_000;
const DELAY_MAX: Duration = Duration::from_secs(60);

/// What the network between the tiers is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Delay each way, a link each.
    pub delays: [Delay; LINKS.len()],
    /// Bits a second each way of each link.
    pub rate_bps: u64,
    /// Program of toxiproxy's server.
    pub toxiproxy: PathBuf,
}

/// What one link was set to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Link {
    /// The node that calls.
    pub u: String,
    /// The node that is called.
    pub v: String,
    /// One way, milliseconds.
    pub delay_ms: u64,
    /// Bits a second, each way.
    pub rate_bps: u64,
}

impl Settings {
    /// The links.
    pub fn links(&self) -> Vec<Link> {
        let link = |((u, v), delay): ((&str, &str), Delay)| Link {
            u: u.to_owned(),
            v: v.to_owned(),
            delay_ms: delay.0,
            rate_bps: self.rate_bps,
        };
        LINKS.into_iter().zip(self.delays).map(link).collect()
    }
}

/// A delay in whole milliseconds: finer ones are not toxiproxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay(u64);

/// Delays of all links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays(pub [Delay; LINKS.len()]);

/// A rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub u64);

/// What is wrong with a setting that a user gave.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingError {
    /// No delays.
    #[error(
        "{0:?} are no delays: write whole milliseconds, one for each link from endpoint to cloud, like 5ms,20ms"
    )]
    Delays(String),
    /// No rate.
    #[error("{0:?} is no rate: write it like 50Mbit or 800kbit, from 100kbit to 1Gbit")]
    Rate(String),
}

impl FromStr for Delays {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let delay = |one: &str| {
            let delay = units::parse_duration(one).ok()?;
            let ms = u64::try_from(delay.as_millis()).ok()?;
            let is_whole = Duration::from_millis(ms) == delay;
            (is_whole && ms > 0 && delay <= DELAY_MAX).then_some(Delay(ms))
        };
        text.split(',')
            .map(delay)
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.try_into().ok())
            .map(Self)
            .ok_or_else(|| SettingError::Delays(text.to_owned()))
    }
}

impl FromStr for Rate {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let units = [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1_000)];
        units
            .into_iter()
            .find_map(|(unit, bits)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(bits))
            .filter(|bits| RATE_BPS.contains(bits))
            .map(Self)
            .ok_or_else(|| SettingError::Rate(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_for_each_link_and_one_rate_are_read() {
        let settings = Settings {
            delays: "5ms,20ms".parse::<Delays>().unwrap().0,
            rate_bps: "50Mbit".parse::<Rate>().unwrap().0,
            toxiproxy: PathBuf::new(),
        };
        let told: Vec<_> = settings
            .links()
            .into_iter()
            .map(|link| (link.u, link.v, link.delay_ms, link.rate_bps))
            .collect();
        assert_eq!(
            told,
            [
                ("ep0".to_owned(), "edge0".to_owned(), 5, 50_000_000),
                ("edge0".to_owned(), "cloud0".to_owned(), 20, 50_000_000)
            ]
        );
    }

    #[test]
    fn delays_are_written_as_any_duration() {
        assert_eq!("1.5s, 20ms".parse(), Ok(Delays([Delay(1500), Delay(20)])));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "",
            "5ms",
            "5ms,20ms,1ms",
            "5,20",
            "5ms,61s",
            "0ms,5ms",
            "2.5ms,5ms",
            "5ms,2h",
        ] {
            assert!(bad.parse::<Delays>().is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "50",
            "50 Mbit",
            "0Mbit",
            "50mbps",
            "2Gbit",
            "-1Mbit",
            "99999999999Gbit",
        ] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?}");
        }
    }
}
