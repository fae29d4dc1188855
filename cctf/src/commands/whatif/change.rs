//! [`Flags::change`]: the flags of a change as tiers, nodes of modules, and slots.

use std::fmt;

use cctf_stack::tiers::settings::{DELAY_MAX, Rate};
use cli::units;
use place::site::Site;
use place::tiers::{Link, Tiers};
use place::whatif::Change;

use crate::commands::UsageError;
use crate::commands::place::site::Pair;

/// A changed link. What is absent is as before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkChange {
    u: String,
    v: String,
    delay_ms: Option<u64>,
    rate_bps: Option<u64>,
}

impl fmt::Display for LinkChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the link {}->{}", self.u, self.v)?;
        if let Some(delay) = self.delay_ms {
            write!(formatter, " of {delay} ms")?;
        }
        match self.rate_bps {
            Some(rate) => write!(formatter, " at {} Mbit/s", rate as f64 / 1e6),
            None => Ok(()),
        }
    }
}

/// Parses `U->V=DELAY,RATE`. Either value can be omitted.
pub fn parse_link(text: &str) -> Result<LinkChange, String> {
    let wrong = || {
        format!(
            "invalid link {text:?}: write it as in edge0->cloud0=20ms,50Mbit, with a delay in whole milliseconds up to 60s, a rate from 100kbit to 1Gbit, or both"
        )
    };
    let (nodes, figures) = text.rsplit_once('=').ok_or_else(wrong)?;
    let (u, v) = nodes.split_once("->").ok_or_else(wrong)?;
    if u.is_empty() || v.is_empty() || u == v {
        return Err(wrong());
    }
    let mut link = LinkChange {
        u: u.to_owned(),
        v: v.to_owned(),
        delay_ms: None,
        rate_bps: None,
    };
    for figure in figures.split(',') {
        match (parse_delay(figure), figure.parse::<Rate>()) {
            (Some(delay), _) if link.delay_ms.is_none() => link.delay_ms = Some(delay),
            (None, Ok(rate)) if link.rate_bps.is_none() => link.rate_bps = Some(rate.0),
            _ => return Err(wrong()),
        }
    }
    Ok(link)
}

/// Whole milliseconds, the resolution of emulated links.
fn parse_delay(text: &str) -> Option<u64> {
    let delay = units::parse_duration(text).ok()?;
    let is_whole = delay.subsec_nanos().is_multiple_of(1_000_000);
    (is_whole && delay <= DELAY_MAX).then_some(delay.as_millis() as u64)
}

/// The nodes of the recording.
pub fn recorded_tiers(site: &Site) -> Tiers {
    Tiers::recorded(&site.recording, &site.groups)
}

/// The flags of one change.
#[derive(Debug, Clone, Copy)]
pub struct Flags<'a> {
    pub moves: &'a [Pair<String>],
    pub speeds: &'a [Pair<f64>],
    pub workers: &'a [Pair<u32>],
    pub links: &'a [LinkChange],
    pub scale: f64,
}

impl Flags<'_> {
    /// The tiers with the change, and the rest of it.
    pub fn change(&self, site: &Site, recorded: &Tiers) -> Result<(Tiers, Change), UsageError> {
        let mut tiers = recorded.clone();
        let no_node = |flag: &str, node: &str| {
            let known: Vec<&str> = recorded.nodes.keys().map(String::as_str).collect();
            UsageError(format!(
                "{flag} names the unknown node {node:?}: use one of {}, or describe it in a file with --tiers",
                known.join(", ")
            ))
        };
        let no_module = |flag: &str, module: &str| {
            let known: Vec<&str> = site.groups.iter().map(|group| group.name.as_str()).collect();
            UsageError(format!(
                "{flag} names module {module:?}, which processed no request: use one of {}",
                known.join(", ")
            ))
        };
        let has_module = |module: &str| site.groups.iter().any(|group| group.is_named(module));
        let mut change = Change {
            moves: Default::default(),
            slots: Default::default(),
            scale: self.scale,
        };
        for pair in self.moves {
            if !has_module(&pair.name) {
                return Err(no_module("--move", &pair.name));
            }
            if !recorded.nodes.contains_key(&pair.value) {
                return Err(no_node("--move", &pair.value));
            }
            change.moves.insert(pair.name.clone(), pair.value.clone());
        }
        for pair in self.workers {
            if !has_module(&pair.name) {
                return Err(no_module("--workers", &pair.name));
            }
            change.slots.insert(pair.name.clone(), pair.value);
        }
        for pair in self.speeds {
            let node = tiers.nodes.get_mut(&pair.name);
            let node = node.ok_or_else(|| no_node("--speed", &pair.name))?;
            node.speed_factor = Some(pair.value);
        }
        for link in self.links {
            let is_known = |node: &String| recorded.nodes.contains_key(node) || node == recorded.outside();
            if let Some(node) = [&link.u, &link.v].into_iter().find(|node| !is_known(node)) {
                return Err(no_node("--link", node));
            }
            set(&mut tiers, link);
        }
        Ok((tiers, change))
    }
}

/// Sets a link, also where only the other direction has one so far.
fn set(tiers: &mut Tiers, link: &LinkChange) {
    let known = tiers.link(&link.u, &link.v).cloned().unwrap_or_default();
    tiers
        .links
        .retain(|other| (&other.u, &other.v) != (&link.u, &link.v));
    tiers.links.push(Link {
        u: link.u.clone(),
        v: link.v.clone(),
        delay_ms: link.delay_ms.or(known.delay_ms),
        rate_bps: link.rate_bps.or(known.rate_bps),
        price_per_gb: known.price_per_gb,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_a_delay_or_a_rate_or_both() {
        let of = |text: &str| parse_link(text).map(|link| (link.u, link.v, link.delay_ms, link.rate_bps));
        let expected = |delay, rate| Ok(("a".to_owned(), "b".to_owned(), delay, rate));
        assert_eq!(of("a->b=5ms,50Mbit"), expected(Some(5), Some(50_000_000)));
        assert_eq!(of("a->b=0ms"), expected(Some(0), None));
        assert_eq!(of("a->b=800kbit,1s"), expected(Some(1_000), Some(800_000)));
        for wrong in [
            "",
            "a->b",
            "a=5ms",
            "->b=5ms",
            "a->a=5ms",
            "a->b=",
            "a->b=5",
            "a->b=0.5ms",
            "a->b=61s",
            "a->b=5ms,6ms",
            "a->b=1kbit",
        ] {
            assert!(parse_link(wrong).is_err(), "{wrong}");
        }
    }
}
