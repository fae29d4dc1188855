//! [`Selection`]: decides which roots are sent, and at which times.
//!
//! The following steps are applied in this order. Times are integers of nanoseconds, and factors are exact to a millionth.
//!
//! 1. *Window*: `from` and `to` are offsets from the run's first root, which can be of any kind. (`cctf stats` counts from the
//!    first invocation instead.) A root is in the window if it starts at or after `from`, and before `to`. Orphans are either
//!    left out or treated like all other roots.
//! 2. *Kind*: only requests over HTTP can be sent. The others are counted.
//! 3. *Scale*, one of three:
//!    - [`By::Thin`], factor f up to 1. The trace id and the seed are hashed, and a root is kept if its hash is in the lowest
//!      share f of all hashes. So the roots of one trace are kept or dropped together, and a larger factor keeps all roots that a
//!      smaller one keeps. Preserved: the shape of the rate over time, the mix of requests, and a Poisson process (independent
//!      thinning of a Poisson process gives a Poisson process: Lewis and Shedler, Naval Research Logistics Quarterly 26, 1979).
//!      Distorted: everything that depends on neighbouring requests. Bursts have fewer requests, the times between requests
//!      become more like those of a Poisson process, and a cache sees fewer repetitions. The number of kept roots is random: its
//!      standard deviation is sqrt(n f (1 - f)) for n traces of one root.
//!    - [`By::Overlap`], factor f from 1 to 256. Several copies of the window are sent at the same time. The first copy is as
//!      recorded. Each other copy is shifted cyclically by a random time: requests that leave the window at its end come in at
//!      its beginning. The last copy is thinned if f is not an integer. Preserved: the length, the mix of requests, and the mean
//!      rate, multiplied by f. Within each copy, the times between requests, the bursts and the order are also preserved, except
//!      where the end of the window meets its beginning. Distorted: trends of the rate over the window are averaged out, because
//!      the copies are shifted differently. The sum of many copies tends to a Poisson process (Palm and Khintchine: Khintchine,
//!      Mathematical Methods in the Theory of Queueing, 1960), so bursts are relatively smaller than those of f times as many
//!      users would be. Each root is sent several times, so keys and cache entries repeat.
//!    - [`By::Squeeze`], any factor f. Each time between requests is divided by f. Preserved: the order, the mix of requests, the
//!      coefficient of variation of the times between requests, and the pattern of bursts relative to the mean. Distorted:
//!      everything with a fixed length, because users' think times, periods and timeouts are not divided. A squeeze changes the
//!      arrivals in the same way as `speed`.
//! 4. *Speed*: each time in the window is divided by the speed.
//! 5. *Limit*: the first N of the remaining requests are sent.
//!
//! The length of the window is `to` minus `from`. If the run ends earlier, the window ends one mean interval after the last
//! root. Otherwise the last and the first root of a shifted copy would be sent at the same time.

use std::sync::Arc;
use std::time::Duration;

use super::arrivals::{Arrivals, Phase, offset_in};
use super::error::{RootsError, SelectionError};
use super::factor::Factor;
use super::file::{Iter, RootFile};
use super::read::Roots;
use super::root::Receivers;
use super::survey::{Orphans, Survey};

/// Maximum number of copies. Each has a read buffer of its own, so that all take 16 MiB.
const COPIES_MAX: u64 = 256;

/// A way to scale a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// Keep a random share of the requests.
    #[default]
    Thin,
    /// Send several copies of the run, shifted in time.
    Overlap,
    /// Shorten the times between requests.
    Squeeze,
}

/// The settings that decide which roots are sent, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Offsets from the run's first root.
    pub from: Duration,
    pub to: Option<Duration>,
    /// Maximum number of requests.
    pub limit: Option<u64>,
    pub orphans: Orphans,
    pub receivers: Receivers,
    pub speed: Factor,
    pub scale: Factor,
    pub by: By,
    /// Seed of the random choices: which roots are dropped, and by how much copies are shifted.
    pub seed: u64,
}

impl Default for Selection {
    /// Selects the whole run, as recorded.
    fn default() -> Self {
        Self {
            from: Duration::ZERO,
            to: None,
            limit: None,
            orphans: Orphans::Drop,
            receivers: Receivers::Services,
            speed: Factor::ONE,
            scale: Factor::ONE,
            by: By::Thin,
            seed: 0,
        }
    }
}

/// A selection applied to a run, after all checks.
#[derive(Clone)]
pub struct Plan {
    file: Arc<RootFile>,
    selection: Selection,
    /// Beginning of the window, nanoseconds since the Unix epoch.
    begin_ns: i64,
    /// Length of the window, nanoseconds.
    length_ns: u64,
}

/// Numbers of requests that a plan will send.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Roots of all kinds in the window.
    pub window: Survey,
    /// The requests that will be sent. A root that is sent twice counts twice.
    pub requests: Survey,
    /// Time from the start to the last request, nanoseconds.
    pub last_offset_ns: Option<u64>,
    /// Length of the replay, nanoseconds. If the limit ends the replay, it ends one mean interval after the last request.
    pub length_ns: u64,
}

impl Selection {
    /// Applies the selection to the roots of a run.
    ///
    /// # Errors
    /// If the factor is out of range for this way of scaling, or the window cannot contain anything of the run.
    pub fn plan(&self, roots: &Roots) -> Result<Plan, SelectionError> {
        let scale = self.scale;
        match self.by {
            By::Thin if scale > Factor::ONE => return Err(SelectionError::ThinAboveOne(scale)),
            By::Overlap if scale < Factor::ONE => return Err(SelectionError::OverlapBelowOne(scale)),
            By::Overlap if copies_of(scale) > COPIES_MAX => {
                return Err(SelectionError::TooManyCopies {
                    factor: scale,
                    max: COPIES_MAX,
                });
            }
            _ => {}
        }
        if let Some(to) = self.to.filter(|to| *to <= self.from) {
            return Err(SelectionError::EmptyWindow { from: self.from, to });
        }
        let (first_ns, last_ns) = roots.survey.span_ns(self.orphans).unwrap_or((0, 0));
        let last = last_ns.abs_diff(first_ns);
        let from = nanoseconds(self.from);
        if from > last {
            return Err(SelectionError::BeyondEnd {
                from: self.from,
                last: Duration::from_nanos(last),
            });
        }
        let run_end = last.saturating_add(mean_gap(last, roots.survey.count(self.orphans)));
        let end = self.to.map_or(run_end, |to| nanoseconds(to).min(run_end));
        Ok(Plan {
            file: Arc::clone(roots.file()),
            selection: self.clone(),
            begin_ns: first_ns.saturating_add_unsigned(from),
            length_ns: end - from,
        })
    }
}

/// The mean time between `count` roots, the last of which comes `last` nanoseconds after the first; at least one nanosecond.
fn mean_gap(last: u64, count: u64) -> u64 {
    (last / count.saturating_sub(1).max(1)).max(1)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn copies_of(scale: Factor) -> u64 {
    scale.whole() + u64::from(scale.fraction().is_some())
}

impl Plan {
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Length of the window after scaling, nanoseconds. A limit can end the replay earlier.
    pub fn length_ns(&self) -> u64 {
        self.scaled(self.length_ns)
    }

    fn scaled(&self, ns: u64) -> u64 {
        let [speed, squeeze] = self.time_factors();
        Factor::divide(ns, speed, squeeze)
    }

    fn time_factors(&self) -> [Factor; 2] {
        let squeeze = match self.selection.by {
            By::Squeeze => self.selection.scale,
            By::Thin | By::Overlap => Factor::ONE,
        };
        [self.selection.speed, squeeze]
    }

    /// The requests in order of their time. This method can be called any number of times.
    pub fn arrivals(&self) -> Arrivals {
        let selection = &self.selection;
        let scale = selection.scale;
        let phase = |copy: u64, share: Option<Factor>| {
            Phase::new(
                &self.file,
                (selection.orphans, selection.receivers),
                self.begin_ns,
                self.length_ns,
                selection.seed,
                copy,
                share,
            )
        };
        let phases = match selection.by {
            By::Squeeze => vec![phase(0, None)],
            By::Thin => vec![phase(0, scale.fraction())],
            By::Overlap => {
                let whole = (0..scale.whole()).map(|copy| phase(copy, None));
                let last = scale.fraction().map(|share| phase(scale.whole(), Some(share)));
                whole.chain(last).collect()
            }
        };
        Arrivals::new(phases, self.time_factors(), selection.limit)
    }

    /// End of the recorded part that a replay has sent, nanoseconds after the run's first root. `last_offset_ns` is the time of
    /// the replay's last request, or `None` if it sent none. Returns `None` if copies overlap, because each copy has then sent
    /// another part.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn sent_to_ns(&self, last_offset_ns: Option<u64>) -> Result<Option<u64>, RootsError> {
        let from_ns = nanoseconds(self.selection.from);
        if self.selection.by == By::Overlap && self.selection.scale != Factor::ONE {
            return Ok(None);
        }
        let mut to_ns = from_ns;
        for arrival in self.arrivals() {
            let arrival = arrival?;
            if last_offset_ns.is_none_or(|last| arrival.offset_ns > last) {
                break;
            }
            // The end is exclusive, so it is one nanosecond after the last request.
            let in_window_ns = offset_in(&arrival.root, self.begin_ns).saturating_add(1);
            to_ns = from_ns.saturating_add(in_window_ns);
        }
        Ok(Some(to_ns))
    }

    /// Counts what will be sent, without sending it.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn preview(&self) -> Result<Preview, RootsError> {
        let orphans = self.selection.orphans;
        let mut window = Survey::new(orphans);
        for root in Iter::new(&self.file, self.begin_ns) {
            let root = root?;
            if offset_in(&root, self.begin_ns) >= self.length_ns {
                break;
            }
            window.add(&root);
        }
        let mut requests = Survey::new(Orphans::Root);
        let mut last_offset_ns = None;
        for arrival in self.arrivals() {
            let arrival = arrival?;
            requests.add(&arrival.root);
            last_offset_ns = Some(arrival.offset_ns);
        }
        let is_limited = self.selection.limit.is_some_and(|limit| requests.roots >= limit);
        let end_ns = last_offset_ns
            .filter(|_| is_limited)
            .map(|last| last.saturating_add(mean_gap(last, requests.roots)));
        Ok(Preview {
            length_ns: self.length_ns().min(end_ns.unwrap_or(u64::MAX)),
            window,
            requests,
            last_offset_ns,
        })
    }
}
