//! [`SelectionFlags`]: the flags that select the roots (requests from outside) to send, and scale their times.

use std::collections::HashSet;
use std::time::Duration;

use cctf_proto::cctf::{SpanId, TraceId};
use clap::{Args, ValueEnum};
use cli::units::parse_duration;
use plan::plan::Window;
use plan::roots::{By, Factor, Orphans, Receivers, Roots, RootsError, Selection};

use crate::commands::UsageError;

/// Maximum time from the start of a root's call to its arrival. If a root takes longer, it can be missing at the edge of a
/// window.
const TRANSIT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Args)]
pub struct SelectionFlags {
    /// Factor by which the replay is faster than the recording, such as 2 or 0.5. The same as --scale FACTOR --by squeeze.
    #[arg(long, default_value = "1", value_name = "FACTOR")]
    speed: Factor,
    /// Replay only requests that start at or after this offset from the run's first request from outside, such as 10s or 1m30s.
    #[arg(long, value_parser = parse_duration, value_name = "OFFSET")]
    from: Option<Duration>,
    /// Replay only requests that start before this offset.
    #[arg(long, value_parser = parse_duration, value_name = "OFFSET")]
    to: Option<Duration>,
    /// Send only the first N of the requests that the other flags select.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Factor by which the load is scaled. Requires --by.
    #[arg(long, requires = "by", value_name = "FACTOR")]
    scale: Option<Factor>,
    /// How --scale scales the load. docs/replay.md states what each way of scaling keeps and distorts.
    #[arg(long, requires = "scale", value_enum)]
    by: Option<ScaleBy>,
    /// What happens to requests whose caller is missing in the recording.
    #[arg(long, value_enum, default_value = "drop")]
    orphans: OrphansFlag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScaleBy {
    /// Keep a random share of the requests; factors up to 1.
    Thin,
    /// Send several copies of the run at once, each shifted in time; factors from 1 to 256.
    Overlap,
    /// Divide the times between requests by the factor.
    Squeeze,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrphansFlag {
    /// Count them, but do not send them.
    Drop,
    /// Send them like requests from outside.
    Root,
}

impl SelectionFlags {
    pub fn selection(&self, seed: u64) -> Selection {
        Selection {
            from: self.from.unwrap_or_default(),
            to: self.to,
            limit: self.limit,
            orphans: match self.orphans {
                OrphansFlag::Drop => Orphans::Drop,
                OrphansFlag::Root => Orphans::Root,
            },
            receivers: Receivers::Services,
            speed: self.speed,
            scale: self.scale.unwrap_or(Factor::ONE),
            by: match self.by {
                None | Some(ScaleBy::Thin) => By::Thin,
                Some(ScaleBy::Overlap) => By::Overlap,
                Some(ScaleBy::Squeeze) => By::Squeeze,
            },
            seed,
        }
    }

    /// Like [`SelectionFlags::selection`], for stand-ins.
    pub fn for_stand_ins(&self, seed: u64) -> Selection {
        Selection {
            receivers: Receivers::StandIns,
            ..self.selection(seed)
        }
    }

    /// Ids of all roots in the window, whatever the scale and the limit; `None` without a window. The self-check covers exactly
    /// these roots, even if fewer or more requests are sent.
    pub fn roots_of_window(&self, roots: &Roots) -> anyhow::Result<Option<HashSet<(TraceId, SpanId)>>> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(None);
        }
        let all = Selection {
            limit: None,
            speed: Factor::ONE,
            scale: Factor::ONE,
            by: By::Thin,
            ..self.for_stand_ins(0)
        };
        let plan = all.plan(roots).map_err(|error| UsageError(error.to_string()))?;
        let ids = plan.arrivals().map(|arrival| {
            let root = arrival?.root;
            Ok((root.trace_id, root.span_id))
        });
        Ok(Some(ids.collect::<Result<_, RootsError>>()?))
    }

    /// Window of a plan that contains all selected roots. The two windows differ, because roots are selected by the start of
    /// their call, and planned by their arrival.
    pub fn plan_window(&self) -> Window {
        Window {
            from: self.from.unwrap_or_default().saturating_sub(TRANSIT_MAX),
            to: self.to.map(|to| to.saturating_add(TRANSIT_MAX)),
        }
    }

    /// Factor and way of scaling, if the load is scaled.
    pub fn scale(&self) -> Option<(f64, &'static str)> {
        let by = match self.by? {
            ScaleBy::Thin => "thin",
            ScaleBy::Overlap => "overlap",
            ScaleBy::Squeeze => "squeeze",
        };
        Some((as_f64(self.scale?), by))
    }

    pub fn speed(&self) -> f64 {
        as_f64(self.speed)
    }

    /// The first flag that is set, if any.
    pub fn first_set(&self) -> Option<&'static str> {
        let flags = [
            (self.speed != Factor::ONE, "--speed"),
            (self.from.is_some(), "--from"),
            (self.to.is_some(), "--to"),
            (self.limit.is_some(), "--limit"),
            (self.scale.is_some(), "--scale"),
            (self.orphans != OrphansFlag::Drop, "--orphans"),
        ];
        flags
            .into_iter()
            .find_map(|(is_set, flag)| is_set.then_some(flag))
    }

    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Beginning and end of the window, nanoseconds after the first root.
    pub fn window_ns(&self) -> [Option<u64>; 2] {
        [self.from, self.to]
            .map(|offset| offset.map(|offset| u64::try_from(offset.as_nanos()).unwrap_or(u64::MAX)))
    }
}

fn as_f64(factor: Factor) -> f64 {
    factor.millionths() as f64 / Factor::ONE.millionths() as f64
}
