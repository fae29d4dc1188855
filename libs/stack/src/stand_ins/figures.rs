//! [`Figures`]: delay and rate of each link, taken from the placement, or else from the recording.

use std::collections::BTreeMap;

use super::error::PlacementError;
use super::placement::{LinkPlace, Placement};
use super::recording::{Link, Recording};
use crate::tiers::network::ConfiguredLink;
use crate::tiers::settings::{DELAY_MAX, RATE_BPS};

/// Number of bytes on an Ethernet link for each byte of a body, if frames are full. Rates of recorded links count bodies, but
/// tbf (the kernel's rate limit) counts frames.
const FRAME_PER_BODY: f64 = 1514.0 / 1448.0;

/// Error of a recorded delay, milliseconds. The delay is recorded in seconds, as a float, which is not exact.
const FLOAT_ERROR_MS: f64 = 1e-6;
/// Minimum part of a delay that counts as cut off by rounding down, milliseconds.
const CUT_MS_MIN: f64 = 0.05;

/// Delay and rate by calling and called node.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    recorded: BTreeMap<(String, String), Link>,
    placed: BTreeMap<(String, String), LinkPlace>,
}

impl Figures {
    pub fn new(recording: &Recording, placement: &Placement) -> Self {
        let key = |link: &LinkPlace| (link.u.clone(), link.v.clone());
        Self {
            recorded: recording.links.clone(),
            placed: placement
                .links
                .iter()
                .map(|link| (key(link), link.clone()))
                .collect(),
        }
    }

    /// Calling and called node of each link of the placement.
    pub fn placed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.placed.keys().map(|(u, v)| (u.as_str(), v.as_str()))
    }

    /// Returns an error if the link cannot be emulated.
    pub fn check(link: &LinkPlace) -> Result<(), PlacementError> {
        let invalid = |what: String, remedy: String| {
            Err(PlacementError::Value {
                place: format!("the link {:?} to {:?}", link.u, link.v),
                what,
                remedy,
            })
        };
        let delay_max = DELAY_MAX.as_millis();
        if let Some(delay) = link.delay_ms.filter(|delay| u128::from(*delay) > delay_max) {
            return invalid(
                format!("a delay of {delay} ms"),
                format!("at most {delay_max} ms"),
            );
        }
        if let Some(rate) = link.rate_bps.filter(|rate| !RATE_BPS.contains(rate)) {
            let range = format!("{} to {}, or omit it", RATE_BPS.start(), RATE_BPS.end());
            return invalid(format!("a rate of {rate} bit/s"), range);
        }
        Ok(())
    }

    /// The link over which `u` calls `v`: the link for this direction, or else the link for the other one. Delay and rate come
    /// from the placement, or else from the recording. `None` if neither has the link.
    pub fn link(&self, u: &str, v: &str, rounding: Rounding) -> Option<ConfiguredLink> {
        let (placed, recorded) = self.both(u, v);
        if placed.is_none() && recorded.is_none() {
            return None;
        }
        let placed = placed.cloned().unwrap_or_default();
        // A float becomes an integer by saturation, and NaN becomes 0.
        let delay_ms = recorded.map_or(0, |link| rounding.whole_ms(delay_ms(*link)) as u64);
        Some(ConfiguredLink {
            u: u.to_owned(),
            v: v.to_owned(),
            delay_ms: placed.delay_ms.unwrap_or(delay_ms),
            rate_bps: placed.rate_bps.or(recorded.and_then(|link| emulated_bps(*link))),
        })
    }

    /// Whether rounding down shortens the recorded delay by [`CUT_MS_MIN`] or more, and the placement does not set the delay.
    pub fn is_cut(&self, u: &str, v: &str) -> bool {
        let (placed, recorded) = self.both(u, v);
        let is_placed = placed.is_some_and(|link| link.delay_ms.is_some());
        let delay_ms = recorded.map_or(0.0, |link| delay_ms(*link));
        !is_placed && delay_ms - Rounding::Down.whole_ms(delay_ms) >= CUT_MS_MIN
    }

    /// The placed and the recorded link of this direction, or else of the other one.
    fn both(&self, u: &str, v: &str) -> (Option<&LinkPlace>, Option<&Link>) {
        let (forth, back) = ((u.to_owned(), v.to_owned()), (v.to_owned(), u.to_owned()));
        let placed = self.placed.get(&forth).or_else(|| self.placed.get(&back));
        let recorded = self.recorded.get(&forth).or_else(|| self.recorded.get(&back));
        (placed, recorded)
    }
}

/// How a recorded delay becomes whole milliseconds, the resolution of toxiproxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// A call between stand-ins lasts its recorded network time, so the caller waits for the rest of the delay.
    Down,
    /// Nobody waits for the rest of the delay of a request from outside.
    Nearest,
}

impl Rounding {
    fn whole_ms(self, delay_ms: f64) -> f64 {
        match self {
            // 29 ms, recorded as 0.029 s, can become a little less than 29 ms.
            Self::Down => (delay_ms + FLOAT_ERROR_MS).floor(),
            Self::Nearest => delay_ms.round(),
        }
    }
}

/// One-way delay of a link, seconds, and its rate, bits per second. `None` as rate: no limit.
pub type Way = (f64, Option<f64>);

impl Figures {
    /// The recorded link over which `u` calls `v`, or else the recorded link of the other direction.
    pub(super) fn recorded_way(&self, u: &str, v: &str) -> Option<Way> {
        let (_, recorded) = self.both(u, v);
        recorded.map(|link| way(*link))
    }

    /// Like [`Figures::recorded_way`], but delay and rate come from the placement if it sets them.
    pub(super) fn way(&self, u: &str, v: &str) -> Option<Way> {
        let (placed, recorded) = self.both(u, v);
        let recorded = recorded.map(|link| way(*link));
        let Some(placed) = placed else { return recorded };
        let (delay_s, rate_bps) = recorded.unwrap_or_default();
        Some((
            placed.delay_ms.map_or(delay_s, |delay_ms| delay_ms as f64 / 1e3),
            placed.rate_bps.map(|rate| rate as f64).or(rate_bps),
        ))
    }
}

/// A recorded link. Its rate is `None` if the rate is not emulated.
fn way(recorded: Link) -> Way {
    let rate_bps = emulated_bps(recorded).and(recorded.rate_bps);
    (recorded.delay_s.unwrap_or(0.0).max(0.0), rate_bps)
}

/// A recorded delay within the bounds of emulated ones, milliseconds.
fn delay_ms(recorded: Link) -> f64 {
    (recorded.delay_s.unwrap_or(0.0) * 1e3).clamp(0.0, DELAY_MAX.as_millis() as f64)
}

/// The rate that emulates a recorded one. If a path has no delay, such as a path within one machine, the estimate of its rate has
/// no meaning: it gets no limit.
fn emulated_bps(recorded: Link) -> Option<u64> {
    let is_delayed = Rounding::Nearest.whole_ms(delay_ms(recorded)) > 0.0;
    let rate = recorded.rate_bps.filter(|rate| *rate > 0.0 && is_delayed);
    let rate = rate.map(|rate| ((rate * FRAME_PER_BODY).round() as u64).max(*RATE_BPS.start()));
    rate.filter(|rate| RATE_BPS.contains(rate))
}
