//! [`ReplayPreview`]: describes what a replay will send. It is printed before the first request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use plan::roots::{Orphans, Preview, Roots, Selection};
use replay::bodies::templates::Templates;
use replay::overview::Overview;
use replay::targets::Targets;
use serde::Serialize;
use serde_json::value::RawValue;

use super::selection::SelectionFlags;
use crate::commands::cells::{counted, cut, printable, table};

/// Maximum number of endpoints in the text. JSON contains all.
const ENDPOINTS_SHOWN: usize = 20;
/// Routes of tunable-svc that ignore queries.
const WITHOUT_QUERY: [&str; 5] = [
    "/hash/sha256",
    "/json/validate",
    "/blob/gunzip",
    "/kv/set/{key}",
    "/kv/get/{key}",
];
/// Maximum number of endpoints with filler that a note lists. Filler is text that replaces unknown content.
const FILLERS_SHOWN: usize = 5;
const NAME_WIDTH_MAX: usize = 40;
const NS_PER_S: f64 = 1e9;
const DAY_NS: u64 = 86_400_000_000_000;
/// A note warns about replays that are longer than this: one row with a wrong clock can make a run years long.
const LONG_NS: u64 = DAY_NS;

/// The description of what a replay will send.
#[derive(Debug, Serialize)]
pub struct ReplayPreview {
    /// Id of the recorded run.
    pub replay_of: String,
    pub requests: u64,
    /// Length of the replay, seconds.
    pub length_s: f64,
    /// Mean requests per second; 0 if all requests have the same time.
    pub rate: f64,
    pub speed: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<&'static str>,
    pub seed: u64,
    pub endpoints: Vec<EndpointLine>,
    /// Number of requests by recorded status; `none` stands for no answer.
    pub statuses: BTreeMap<String, u64>,
    /// Roots that are not sent, by reason.
    pub not_sent: BTreeMap<&'static str, u64>,
    /// Requests whose content is unknown, so their bodies are text of the recorded size.
    pub filler: u64,
    /// Values that are stored before the replay.
    pub values_stored: u64,
    /// Sentences that a user should read before the replay.
    pub notes: Vec<String>,
    /// Facts of a replay to stand-ins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<StandInFacts>,
}

/// Facts about the requests to stand-ins.
#[derive(Debug, Serialize)]
pub struct StandInFacts {
    /// Number of requests and messages that carry a plan, including those between stand-ins.
    pub bodies: u64,
    /// Bodies that are larger than recorded because the plan alone is larger, and the total difference in bytes.
    pub larger_bodies: u64,
    pub larger_bytes: u64,
    /// Retries, which are sent only if the earlier attempt fails.
    pub retries: u64,
    /// The first line of the plan, with the self-check.
    pub plan: Box<RawValue>,
}

#[derive(Debug, Serialize)]
pub struct EndpointLine {
    pub module: String,
    pub method: String,
    pub route: String,
    pub requests: u64,
    /// Smallest and largest recorded body, bytes.
    pub body_bytes: Option<[u64; 2]>,
    pub target: Option<String>,
}

/// The data from which the preview is made.
pub struct Sources<'a> {
    pub roots: &'a Roots,
    pub preview: &'a Preview,
    pub overview: &'a Overview,
    pub targets: &'a Targets,
    pub templates: &'a Templates,
    pub flags: &'a SelectionFlags,
    pub seed: u64,
}

impl ReplayPreview {
    pub fn new(sources: &Sources<'_>) -> Self {
        let Sources {
            preview, overview, ..
        } = sources;
        let endpoints = overview
            .sent
            .endpoints()
            .into_iter()
            .map(|endpoint| EndpointLine {
                body_bytes: endpoint
                    .bodies
                    .min
                    .zip(endpoint.bodies.max)
                    .map(|(min, max)| [min, max]),
                target: target_of(sources.targets, &endpoint.module),
                module: endpoint.module.to_string(),
                method: endpoint.method.to_string(),
                route: endpoint.shape.to_string(),
                requests: endpoint.requests,
            });
        let status = |(status, count): (&Option<i64>, &u64)| {
            (
                status.map_or("none".to_owned(), |status| status.to_string()),
                *count,
            )
        };
        Self {
            replay_of: sources.roots.run_id.clone(),
            requests: overview.requests,
            length_s: length_s(preview),
            rate: rate(preview, overview.requests),
            speed: sources.flags.speed(),
            scale: sources.flags.scale().map(|(factor, _)| factor),
            by: sources.flags.scale().map(|(_, by)| by),
            seed: sources.seed,
            endpoints: endpoints.collect(),
            statuses: overview.sent.statuses.iter().map(status).collect(),
            not_sent: not_sent(sources),
            filler: overview.filler,
            values_stored: overview.keys.missing().len() as u64,
            notes: notes(sources),
            stand_in: None,
        }
    }

    /// The preview as text.
    pub fn text(&self) -> String {
        let mut out = format!("replay of {}\n", printable(&self.replay_of));
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {name:<10} {value}");
        };
        line(
            "requests",
            &match self.rate {
                0.0 => format!("{} at one time", self.requests),
                rate => format!(
                    "{} in {:.3} s, {rate:.2}/s on average",
                    self.requests, self.length_s
                ),
            },
        );
        line("speed", &self.speed.to_string());
        if let (Some(scale), Some(by)) = (self.scale, self.by) {
            line("scale", &format!("{scale} by {by}"));
        }
        let statuses: Vec<String> = self
            .statuses
            .iter()
            .map(|(status, count)| format!("{status}: {count}"))
            .collect();
        line("recorded", &format!("statuses {}", statuses.join(", ")));
        let reasons: Vec<String> = self
            .not_sent
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        if !reasons.is_empty() {
            line("not sent", &reasons.join(", "));
        }
        for note in &self.notes {
            line("note", &printable(note));
        }
        out + &self.endpoint_table()
    }

    fn endpoint_table(&self) -> String {
        let text = |text: &str| cut(&printable(text), NAME_WIDTH_MAX);
        let row = |endpoint: &EndpointLine| {
            let bytes = match endpoint.body_bytes {
                None => "-".to_owned(),
                Some([min, max]) if min == max => min.to_string(),
                Some([min, max]) => format!("{min}-{max}"),
            };
            [
                text(&endpoint.module),
                text(&endpoint.method),
                text(&endpoint.route),
                endpoint.requests.to_string(),
                bytes,
                endpoint.target.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        };
        let rows: Vec<_> = self.endpoints.iter().take(ENDPOINTS_SHOWN).map(row).collect();
        let mut out = table(
            ["MODULE", "METHOD", "ROUTE", "REQUESTS", "BODY BYTES", "TARGET"],
            &rows,
            &[3, 4],
        );
        let more = self.endpoints.len().saturating_sub(ENDPOINTS_SHOWN);
        if more > 0 {
            out += &format!("and {} more\n", counted(more, "endpoint"));
        }
        out
    }
}

/// Length of a replay, seconds.
pub fn length_s(preview: &Preview) -> f64 {
    preview.length_ns as f64 / NS_PER_S
}

/// Mean requests per second; 0 if all have the same time.
pub fn rate(preview: &Preview, requests: u64) -> f64 {
    match preview.last_offset_ns {
        None | Some(0) => 0.0,
        Some(_) => requests as f64 / length_s(preview),
    }
}

/// A note if a replay takes days.
pub fn length_note(preview: &Preview) -> Option<String> {
    (preview.length_ns > LONG_NS).then(|| {
        format!(
            "the replay takes {:.1} days: check the times of the recorded rows, or choose a part with --from and --to",
            preview.length_ns as f64 / DAY_NS as f64
        )
    })
}

fn target_of(targets: &Targets, module: &str) -> Option<String> {
    let number = targets.of_module(module)?;
    targets.all().get(number).map(ToString::to_string)
}

/// Number of orphans that are not sent. The window of a whole run ends with its last root, but later orphans count, too.
pub fn dropped_orphans(roots: &Roots, preview: &Preview, selection: &Selection) -> u64 {
    let is_whole = selection.from.is_zero() && selection.to.is_none();
    match selection.orphans {
        Orphans::Root => 0,
        Orphans::Drop if is_whole => roots.survey.orphans,
        Orphans::Drop => preview.window.orphans,
    }
}

/// Roots in the window that are not sent, by reason. Roots that thinning or the limit leave out are not included, because the
/// user asked for this.
fn not_sent(sources: &Sources<'_>) -> BTreeMap<&'static str, u64> {
    let window = &sources.preview.window;
    let mut reasons: BTreeMap<&'static str, u64> = window
        .not_sendable()
        .map(|(kind, count)| (kind.name(), count))
        .collect();
    let orphans = dropped_orphans(
        sources.roots,
        sources.preview,
        &sources.flags.selection(sources.seed),
    );
    reasons.insert("orphans", orphans);
    reasons.insert("with a larger body than 64 MiB", sources.overview.too_large);
    reasons.insert("with a longer path than 6 KiB", sources.overview.too_long);
    reasons.retain(|_, count| *count > 0);
    reasons
}

fn notes(sources: &Sources<'_>) -> Vec<String> {
    let Sources {
        preview,
        overview,
        roots,
        ..
    } = sources;
    let requests = &overview.sent;
    let mut notes = roots.notes.clone();
    let mut note = |count: u64, text: &str| {
        if count > 0 {
            notes.push(format!("{} {text}", counted(count, "request")));
        }
    };
    note(
        requests.with_session,
        "of user sessions: the recorded users waited for answers, but the replay sends each request at its recorded time",
    );
    note(
        requests.resent,
        "that the recorded client sent again: each is sent at its time",
    );
    note(
        requests.unanswered,
        "that no recorded service answered: their modules follow from the names that the caller used",
    );
    note(
        without_query(overview),
        "without a recorded query: they had none, or the recording did not keep it, as older builds did not; the normalizer keeps it with --keep-query",
    );
    note(
        overview.unknown_size,
        "without a recorded body size: they are sent with an empty body",
    );
    note(
        overview.unlike_size,
        "whose template gives a body of another size than the recorded one",
    );
    note(
        overview.keys.beyond,
        "that read further keys: only the values of the first 10000 keys are stored before the replay",
    );
    notes.extend(filler_note(overview));
    let of = sources.templates.len();
    let counts = overview.by_template.iter().zip(1..);
    notes.extend(
        counts
            .filter(|(count, _)| **count == 0)
            .map(|(_, number)| format!("template {number} of {of} in --bodies matches no request")),
    );
    notes.extend(length_note(preview));
    if roots.damaged > 0 {
        let lines = counted(roots.damaged, "damaged line");
        notes.push(format!("left out: {lines}; cctf validate shows the faults"));
    }
    notes
}

/// Number of requests whose queries may be missing: no request in the run has a query, although their services may need one.
fn without_query(overview: &Overview) -> u64 {
    if overview.sent.with_query > 0 {
        return 0;
    }
    let endpoints = overview.sent.endpoints().into_iter();
    let can_have_one = endpoints.filter(|endpoint| !WITHOUT_QUERY.contains(&&*endpoint.shape));
    can_have_one.map(|endpoint| endpoint.requests).sum()
}

/// A note about the endpoints whose content is unknown.
fn filler_note(overview: &Overview) -> Option<String> {
    let names = overview
        .fillers
        .keys()
        .map(|(method, route)| format!("{method} {route}"));
    let named: Vec<String> = names.take(FILLERS_SHOWN).collect();
    let more = match overview.fillers.len() > named.len() {
        true => " and others",
        false => "",
    };
    (overview.filler > 0).then(|| {
        format!(
            "{} of unknown content: text of the recorded size ({}{more}); set their bodies with --bodies",
            counted(overview.filler, "request"),
            named.join(", ")
        )
    })
}
