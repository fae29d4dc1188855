//! [`LinkSettings`]: delays and rate of the chain's links, and their parsers.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cli::units;

use super::network::{ConfiguredLink, Network, Node};

/// The nodes in the order of a request's path; each has one service.
const NODES: [&str; 3] = ["ep0", "edge0", "cloud0"];
/// The links in the order of a request's path.
const LINKS: [(&str, &str); 2] = [("ep0", "edge0"), ("edge0", "cloud0")];
/// Rates at which the timer of tbf (the kernel's rate limit) is exact enough.
pub const RATE_BPS: std::ops::RangeInclusive<u64> = 100_000..=1_000_000_000;
pub const DELAY_MAX: Duration = Duration::from_secs(60);

/// Settings of the network between the chain's tiers.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Delay of each link, in each direction.
    pub delays: [Delay; LINKS.len()],
    /// Rate of each link, in each direction.
    pub rate_bps: u64,
    /// Path to toxiproxy's server.
    pub toxiproxy: PathBuf,
}

impl LinkSettings {
    pub fn links(&self) -> Vec<ConfiguredLink> {
        let link = |((u, v), delay): ((&str, &str), Delay)| ConfiguredLink {
            u: u.to_owned(),
            v: v.to_owned(),
            delay_ms: delay.0,
            rate_bps: Some(self.rate_bps),
        };
        LINKS.into_iter().zip(self.delays).map(link).collect()
    }

    /// The chain's nodes and links.
    pub fn network(&self) -> Network {
        let node = |name: &str| Node {
            name: name.to_owned(),
            services: 1,
        };
        Network {
            nodes: NODES.into_iter().map(node).collect(),
            links: self.links(),
            toxiproxy: self.toxiproxy.clone(),
        }
    }
}

/// A delay in whole milliseconds, the resolution of toxiproxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay(u64);

/// The delays of all links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays(pub [Delay; LINKS.len()]);

/// Bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub u64);

/// An invalid setting.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LinkError {
    #[error(
        "invalid delays {0:?}: write one per link, from endpoint to cloud, in whole milliseconds up to 60s, as in 5ms,20ms"
    )]
    Delays(String),
    #[error("invalid rate {0:?}: write it as in 50Mbit or 800kbit, from 100kbit to 1Gbit")]
    Rate(String),
}

impl FromStr for Delays {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
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
            .ok_or_else(|| LinkError::Delays(text.to_owned()))
    }
}

impl FromStr for Rate {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let units = [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1_000)];
        units
            .into_iter()
            .find_map(|(unit, bits)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(bits))
            .filter(|bits| RATE_BPS.contains(bits))
            .map(Self)
            .ok_or_else(|| LinkError::Rate(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_for_each_link_and_one_rate_are_read() {
        let settings = LinkSettings {
            delays: "5ms,20ms".parse::<Delays>().unwrap().0,
            rate_bps: "50Mbit".parse::<Rate>().unwrap().0,
            toxiproxy: PathBuf::new(),
        };
        let links: Vec<_> = settings
            .links()
            .into_iter()
            .map(|link| (link.u, link.v, link.delay_ms, link.rate_bps))
            .collect();
        assert_eq!(
            links,
            [
                ("ep0".to_owned(), "edge0".to_owned(), 5, Some(50_000_000)),
                ("edge0".to_owned(), "cloud0".to_owned(), 20, Some(50_000_000))
            ]
        );
    }

    #[test]
    fn delays_are_written_as_any_duration() {
        assert_eq!("1.5s, 20ms".parse(), Ok(Delays([Delay(1500), Delay(20)])));
    }

    #[test]
    fn invalid_delays_and_rates_are_refused() {
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
