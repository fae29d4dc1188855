//! [`Checked`]: a replay whose complete plan was checked. After the checks, only the services can make it fail.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cctf_load::stream::Stream;
use plan::roots::{Kind, Plan, Preview, Roots, Selection};
use replay::bodies::Bodies;
use replay::bodies::templates::Templates;
use replay::compose::Composer;
use replay::overview::{MODULES_MAX, Overview};
use replay::store::store;
use replay::targets::{Targets, TargetsError};
use standin::StandIns;

use super::args::ReplayArgs;
use super::preview::{ReplayPreview, Sources, dropped_orphans};
use super::recording::{Recording, lacks};
use super::stand_in::{Planned, Receiving, StandInRun};
use crate::commands::UsageError;
use crate::commands::cells::{counted, printable};
use crate::commands::flags::SendFlags;

/// A replay that can start.
pub struct Checked {
    pub recording: Recording,
    pub preview: ReplayPreview,
    receivers: Receivers,
}

enum Receivers {
    Services(Box<Services>),
    StandIns(Box<StandInRun>),
}

/// The live services, and the requests that they get.
struct Services {
    plan: Plan,
    overview: Overview,
    targets: Targets,
    templates: Arc<Templates>,
}

impl Checked {
    /// Reads the run and checks the complete plan; cheap checks come first. It opens no connections to services: an unreachable
    /// service is found when the stream of requests is made. Stand-ins are asked to describe themselves.
    pub fn new(args: &ReplayArgs) -> anyhow::Result<Self> {
        if let Some(file) = &args.stand_in {
            let stand_ins = StandIns::read(file).map_err(|error| UsageError(error.to_string()))?;
            return Self::of_stand_ins(args, Planned::read(args)?, &stand_ins);
        }
        let targets = Targets::new(&args.targets).map_err(usage)?;
        targets.check_hosts(&args.allowed).map_err(usage)?;
        let templates = match &args.bodies {
            Some(path) => Templates::read(path).map_err(|error| UsageError(error.to_string()))?,
            None => Templates::default(),
        };
        let recording = Recording::open(args)?;
        let (services, preview) = Services::new(args, &recording, targets, templates)?;
        Ok(Self {
            recording,
            preview,
            receivers: Receivers::Services(Box::new(services)),
        })
    }

    /// Like [`Checked::new`], for stand-ins that may have been started after the plan was read.
    pub fn of_stand_ins(args: &ReplayArgs, planned: Planned, stand_ins: &StandIns) -> anyhow::Result<Self> {
        let (run, recording, preview) = planned.connect(args, stand_ins)?;
        Ok(Self {
            recording,
            preview,
            receivers: Receivers::StandIns(Box::new(run)),
        })
    }

    /// The self-check of the plan that stand-ins execute. It is printed before the preview.
    pub fn self_check(&self) -> &str {
        match &self.receivers {
            Receivers::Services(_) => "",
            Receivers::StandIns(run) => &run.self_check,
        }
    }

    /// For an interrupted replay: end of the recorded part that was sent, nanoseconds after the run's first root.
    /// `last_offset_ns` is the time of the last request.
    pub fn sent_to_ns(&self, last_offset_ns: Option<u64>) -> anyhow::Result<Option<u64>> {
        let plan = match &self.receivers {
            Receivers::Services(services) => &services.plan,
            Receivers::StandIns(run) => &run.arrivals,
        };
        Ok(plan.sent_to_ns(last_offset_ns)?)
    }

    /// The URLs of all receivers, as shown to users.
    pub fn urls(&self) -> String {
        match &self.receivers {
            Receivers::Services(services) => services.targets.urls(),
            Receivers::StandIns(run) => run.urls(),
        }
    }

    /// The stream of requests. If a receiver is unreachable, this fails before the start of a run is reported.
    pub fn stream(&self, args: &ReplayArgs, run_id: &str, stop: &AtomicBool) -> anyhow::Result<Stream> {
        let (targets, requests) = match &self.receivers {
            Receivers::Services(services) => services.requests(args, self.recording.seed, run_id, stop)?,
            Receivers::StandIns(run) => run.requests(args, run_id)?,
        };
        Ok(Stream {
            name: "replay".to_owned(),
            url: self.urls(),
            targets,
            requests,
            connections_max: args.sending.connections,
            timeout: args.sending.timeout.value,
            // If the rate is 0, all requests have the same time and form one burst.
            rate_hint: match self.preview.rate {
                0.0 => self.preview.requests as f64,
                rate => rate,
            },
            rate_asked: None,
        })
    }
}

impl Services {
    fn new(
        args: &ReplayArgs,
        recording: &Recording,
        targets: Targets,
        templates: Templates,
    ) -> anyhow::Result<(Self, ReplayPreview)> {
        let (roots, seed) = (&recording.roots, recording.seed);
        let selection = args.selection.selection(seed);
        let plan = selection
            .plan(roots)
            .map_err(|error| UsageError(error.to_string()))?;
        let preview = plan.preview()?;
        let overview = Overview::of(plan.arrivals(), &targets, &templates, seed)?;
        if args.strict {
            check_strict(roots, &preview, &overview, &selection)?;
        }
        if overview.requests == 0 {
            anyhow::bail!(
                "cannot replay {}: {}",
                printable(&roots.run_id),
                nothing_to_send(roots, &preview, &selection)
            );
        }
        check_module_count(roots, &overview)?;
        // A dry run without targets shows the modules that need one, so they are not checked here.
        if !args.targets.is_empty() {
            targets.check_modules(&overview.modules).map_err(usage)?;
        }
        let preview = ReplayPreview::new(&Sources {
            roots,
            preview: &preview,
            overview: &overview,
            targets: &targets,
            templates: &templates,
            flags: &args.selection,
            seed,
        });
        let services = Self {
            plan,
            overview,
            targets,
            templates: Arc::new(templates),
        };
        Ok((services, preview))
    }

    /// The addresses and the requests. The values that the requests read are stored before.
    fn requests(
        &self,
        args: &ReplayArgs,
        seed: u64,
        run_id: &str,
        stop: &AtomicBool,
    ) -> anyhow::Result<Receiving> {
        let SendFlags { timeout, headers, .. } = &args.sending;
        let targets = &self.targets;
        let addresses = targets.addresses(&args.allowed)?;
        let mut bodies = Bodies::new(seed, Arc::clone(&self.templates));
        let keys = self.overview.keys.missing();
        store(keys, targets, &mut bodies, headers, timeout.value, stop)?;
        bodies.make_ahead(self.plan.arrivals(), stop)?;
        let composer = Composer::new(
            self.plan.arrivals(),
            targets.clone(),
            bodies,
            headers.clone(),
            run_id.to_owned(),
        );
        Ok((addresses, Box::new(composer)))
    }
}

fn usage(error: TargetsError) -> anyhow::Error {
    match error {
        TargetsError::Unreachable { .. } | TargetsError::Unresolved { .. } => error.into(),
        _ => UsageError(error.to_string()).into(),
    }
}

/// Refuses a run if the replay would leave out or replace anything.
fn check_strict(
    roots: &Roots,
    preview: &Preview,
    overview: &Overview,
    selection: &Selection,
) -> anyhow::Result<()> {
    let window = &preview.window;
    // The live services make these calls again by themselves, so nothing is left out.
    let other_kinds = window
        .not_sendable()
        .filter(|(kind, _)| *kind != Kind::Background);
    let other_kinds: u64 = other_kinds.map(|(_, count)| count).sum();
    let dropped = dropped_orphans(roots, preview, selection);
    let found: Vec<String> = [
        (dropped, "orphan"),
        (other_kinds, "root other than HTTP"),
        (overview.filler, "body of unknown content"),
        (overview.unknown_size, "body of unknown size"),
        (overview.unlike_size, "body of another size than recorded"),
        (
            overview.too_large + overview.too_long,
            "request beyond the driver's limits",
        ),
        (overview.keys.beyond, "read of a value that is not stored"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| match what.split_once(' ') {
        Some((first, rest)) => format!("{} {rest}", counted(count, first)),
        None => counted(count, what),
    })
    .collect();
    let run_id = printable(&roots.run_id);
    if !found.is_empty() {
        anyhow::bail!(
            "cannot replay {run_id} with --strict: it has {}",
            found.join(", ")
        );
    }
    if !roots.notes.is_empty() {
        let notes = printable(&roots.notes.join("; "));
        anyhow::bail!("cannot replay {run_id} with --strict: {notes}");
    }
    Ok(())
}

/// Refuses a run with more modules than the maximum. The names of further modules are unknown, so it cannot be checked whether
/// they have targets.
fn check_module_count(roots: &Roots, overview: &Overview) -> anyhow::Result<()> {
    if overview.beyond_modules > 0 {
        anyhow::bail!(
            "cannot replay {}: it has requests to more than {MODULES_MAX} modules; choose a part of it with --from and --to",
            printable(&roots.run_id)
        );
    }
    Ok(())
}

/// The reason why a plan contains no requests.
fn nothing_to_send(roots: &Roots, preview: &Preview, selection: &Selection) -> String {
    let orphans = dropped_orphans(roots, preview, selection);
    let is_whole = selection.from.is_zero() && selection.to.is_none();
    let window = &preview.window;
    let kinds: Vec<String> = window
        .not_sendable()
        .map(|(kind, count)| format!("{count} {}", kind.name()))
        .collect();
    let orphans = (orphans > 0).then(|| counted(orphans, "orphan"));
    let (fact, remedy) = match (window.roots, kinds.is_empty()) {
        (0, _) => match orphans {
            Some(orphans) => (format!("it has only {orphans}"), "send them with --orphans root"),
            None if is_whole => (
                "no request came from outside".to_owned(),
                "choose a run whose load came from a driver or another client",
            ),
            None => (
                "no request came from outside in the chosen time".to_owned(),
                "choose another --from or --to",
            ),
        },
        (roots, false) => {
            let roots = counted(roots, "root");
            return format!("none of its {roots} can be sent over HTTP ({})", kinds.join(", "));
        }
        (_, true) => return "the selection leaves no request; use a larger --scale or --limit".to_owned(),
    };
    match lacks(roots) {
        Some(lacks) => format!("{fact}, and rows are missing: {lacks}; restore them, or {remedy}"),
        None => format!("{fact}; {remedy}"),
    }
}
