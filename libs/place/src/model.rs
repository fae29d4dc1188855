//! [`Report`]: a ranking for people and programs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::calibration::Calibrated;
use crate::evaluation::Metric;
use crate::events::Action;
use crate::predictor::Predictor;
use crate::ranking::{Options, Ranked, Ranking};
use crate::surroundings::Shared;
use crate::traffic::{LinkUse, cost};
use crate::uncertainty::Interval;

/// Version of the JSON output. Fields may be added; none changes its meaning.
pub const VERSION: u32 = 1;
/// Maximum number of reasons that are counted by their sentence.
const REASONS_SHOWN_MAX: usize = 5;

/// The result of `cctf place`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub version: u32,
    pub run_id: String,
    /// The figure by which placements are ranked.
    pub by: Metric,
    pub scale: f64,
    pub calibration: Vec<Calibrated>,
    /// Why nothing is predicted for any placement.
    pub refused_because: Option<String>,
    pub search: Search,
    pub sample: SampleFacts,
    /// Probability that the first placement is the best of all listed placements; null if only one is listed.
    pub probability_first_is_best: Option<f64>,
    /// Placements with a prediction, best first; then placements without a prediction.
    pub placements: Vec<Placed>,
    pub strategies: Vec<Proposed>,
    pub notes: Vec<String>,
}

/// Which assignments were simulated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Search {
    /// Number of assignments; null above 2^53.
    pub assignments: Option<u64>,
    pub simulated: usize,
    /// `all`, or `local` for a search.
    pub way: &'static str,
    /// Simulated assignments without a prediction, and their most frequent reasons.
    pub not_predicted: usize,
    pub reasons: Vec<ReasonCount>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReasonCount {
    pub count: usize,
    pub reason: String,
}

/// The part of the run that was simulated with further loads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SampleFacts {
    pub roots: usize,
    pub invocations: usize,
    pub seconds: f64,
    /// Whether this is only the beginning of the run.
    pub is_part: bool,
    /// Number of invocations in the first simulation of all assignments.
    pub screened_invocations: usize,
    pub replications: u32,
    pub seed: u64,
}

/// One placement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Placed {
    /// Rank from 1; null without a prediction.
    pub rank: Option<usize>,
    /// Node by module. A module with instances on several nodes has an entry for each of them: `cart@edge0`.
    pub modules: BTreeMap<String, String>,
    /// Migrations and scalings during the run.
    pub events: Vec<EventShown>,
    /// Whether all modules are where they were recorded, all the time.
    pub is_recorded: bool,
    /// Responses of roots, milliseconds, with 95% intervals.
    pub response_ms: Responses,
    /// Length of the run in relaxation times of its slowest queue, if it is too short for intervals.
    pub too_short: Option<f64>,
    /// Why the times of this placement are not predicted.
    pub not_predicted_because: Vec<String>,
    /// Share of roots that a full queue refuses.
    pub refused_share: f64,
    pub stations: Vec<StationUse>,
    pub nodes: Vec<NodeUse>,
    pub links: Vec<LinkUse>,
    pub price_per_hour: Option<f64>,
    pub power_w: Option<f64>,
    /// Name of the placement's file for `cctf run --stand-in --placement`.
    pub file: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Responses {
    pub mean: Interval,
    pub p50: Interval,
    pub p95: Interval,
    pub p99: Interval,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StationUse {
    pub module: String,
    pub instance: String,
    pub node: String,
    /// Null: unlimited.
    pub slots: Option<u32>,
    pub utilisation: Option<f64>,
}

/// A migration or a scaling.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventShown {
    /// `migrate` or `scale`.
    pub event: &'static str,
    pub module: String,
    /// The new node; null for a scaling.
    pub to: Option<String>,
    /// The new number of instances; null for a migration.
    pub replicas: Option<u32>,
    /// The utilisation above which the event happens; null for an event at a time.
    pub above: Option<f64>,
    /// Seconds after the first request; null if the event did not happen.
    pub at_s: Option<f64>,
}

/// The CPUs of a node, or of the nodes of one host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeUse {
    pub nodes: Vec<String>,
    pub cores: u32,
    pub utilisation: f64,
}

/// The placement that a strategy proposed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposed {
    pub strategy: String,
    pub name: String,
    /// Index of the placement in `placements`.
    pub placement: usize,
    /// Difference between the placement's figure and the best one, as a share of the best one; null without a prediction.
    pub regret: Option<f64>,
}

impl Metric {
    /// The interval of this figure.
    pub fn of(self, responses: &Responses) -> Interval {
        match self {
            Self::Mean => responses.mean,
            Self::P50 => responses.p50,
            Self::P95 => responses.p95,
            Self::P99 => responses.p99,
        }
    }
}

impl Report {
    pub fn new(predictor: &Predictor<'_>, ranking: &Ranking, options: &Options, notes: Vec<String>) -> Self {
        let by = options.by;
        let placements: Vec<Placed> = ranking
            .ranked
            .iter()
            .enumerate()
            .map(|(place, ranked)| Placed {
                rank: (place < ranking.predicted).then_some(place + 1),
                ..placed(predictor, ranking, ranked)
            })
            .collect();
        let best = placements.first().map(|first| by.of(&first.response_ms).value);
        let strategies = ranking.proposals.iter().map(|(proposal, place)| {
            let placed = &placements[*place];
            let own = by.of(&placed.response_ms).value;
            Proposed {
                strategy: proposal.by.clone(),
                name: proposal.name.clone(),
                placement: *place,
                regret: placed.rank.and(best).map(|best| own / best - 1.0),
            }
        });
        let mut all_notes = predictor.site.notes.clone();
        let of_cases = ranking.ranked.iter().flat_map(|one| &one.case.surroundings.notes);
        all_notes.extend(of_cases.cloned().collect::<std::collections::BTreeSet<_>>());
        all_notes.extend(notes);
        Self {
            version: VERSION,
            run_id: predictor.site.recording.run_id.clone(),
            by,
            scale: predictor.scale,
            calibration: ranking.calibration.figures(),
            refused_because: ranking.refusal.clone(),
            search: searched(predictor, ranking),
            sample: SampleFacts {
                roots: ranking.sample.load.arrivals.len(),
                invocations: ranking.sample.load.visits.len(),
                seconds: ranking.sample.span_ns as f64 / 1e9,
                is_part: ranking.sample.is_part,
                screened_invocations: ranking.screened_visits,
                replications: options.replications,
                seed: options.seed,
            },
            probability_first_is_best: ranking.probability,
            strategies: strategies.collect(),
            placements,
            notes: all_notes,
        }
    }
}

fn searched(predictor: &Predictor<'_>, ranking: &Ranking) -> Search {
    let screened = &ranking.searched.screened;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in screened.iter().flat_map(|one| &one.reasons) {
        *counts.entry(reason).or_default() += 1;
    }
    let mut reasons: Vec<ReasonCount> = counts
        .into_iter()
        .map(|(reason, count)| ReasonCount {
            count,
            reason: reason.to_owned(),
        })
        .collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    reasons.truncate(REASONS_SHOWN_MAX);
    let count = predictor.choices.count();
    Search {
        assignments: (count <= 1 << 53).then_some(count as u64),
        simulated: screened.len(),
        way: if ranking.searched.is_complete {
            "all"
        } else {
            "local"
        },
        not_predicted: screened.iter().filter(|one| !one.reasons.is_empty()).count(),
        reasons,
    }
}

fn placed(predictor: &Predictor<'_>, ranking: &Ranking, ranked: &Ranked) -> Placed {
    let interval = |metric| {
        ranked
            .replicated
            .interval(metric, ranking.calibration.error(metric))
    };
    shown(
        predictor,
        ranked,
        Responses {
            mean: interval(Metric::Mean),
            p50: interval(Metric::P50),
            p95: interval(Metric::P95),
            p99: interval(Metric::P99),
        },
    )
}

fn events(predictor: &Predictor<'_>, ranked: &Ranked) -> Vec<EventShown> {
    let events = ranked
        .case
        .candidate
        .events
        .iter()
        .zip(&ranked.predicted.events_ns);
    let shown = events.map(|(event, at_ns)| {
        let (to, replicas) = event.action.change(predictor.choices);
        EventShown {
            event: match event.action {
                Action::Migrate(_) => "migrate",
                Action::Scale(_) => "scale",
            },
            module: predictor.site.groups[event.group as usize].name.clone(),
            to,
            replicas,
            above: event.when.above(),
            at_s: at_ns.map(|at_ns| at_ns as f64 / 1e9),
        }
    });
    shown.collect()
}

/// A simulated assignment with these figures.
pub fn shown(predictor: &Predictor<'_>, ranked: &Ranked, response_ms: Responses) -> Placed {
    let (site, surroundings) = (predictor.site, &ranked.case.surroundings);
    let evaluation = &ranked.predicted.evaluation;
    let groups = site.groups.iter().zip(&ranked.case.candidate.assignment);
    let modules = groups.map(|(group, choice)| {
        let node = predictor.choices.nodes[*choice as usize].clone();
        (group.name.clone(), node)
    });
    let stations = (0..).zip(&surroundings.nodes).map(|(instance, node)| {
        let (module, id) = surroundings.instance(site, instance);
        StationUse {
            module: module.to_owned(),
            instance: id,
            node: node.clone(),
            slots: surroundings.platform.hosts[instance as usize].station.slots,
            utilisation: evaluation.slots[instance as usize],
        }
    });
    let servers = surroundings.servers.iter().zip(&evaluation.servers);
    let nodes = servers.filter_map(|(server, utilisation)| match server {
        Shared::Cpus { nodes, cores } => Some(NodeUse {
            nodes: nodes.clone(),
            cores: *cores,
            utilisation: *utilisation,
        }),
        Shared::Link { .. } => None,
    });
    let cost = cost(predictor.tiers, surroundings, evaluation, &ranked.predicted.links);
    let all = evaluation.served + evaluation.refused + evaluation.unfinished;
    Placed {
        rank: None,
        modules: modules.collect(),
        events: events(predictor, ranked),
        is_recorded: ranked.is_recorded,
        response_ms,
        too_short: ranked.too_short,
        not_predicted_because: ranked.predicted.reasons.clone(),
        refused_share: evaluation.refused as f64 / all.max(1) as f64,
        stations: stations.collect(),
        nodes: nodes.collect(),
        links: ranked.predicted.links.clone(),
        price_per_hour: cost.price_per_hour,
        power_w: cost.power_w,
        file: None,
    }
}
