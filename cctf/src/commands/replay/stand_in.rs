//! [`StandInRun`]: a replay to stand-ins. Its plan and the stand-ins were checked before the first request.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use cctf_load::stream::Requests;
use cctf_proto::log_line;
use cctf_stack::stand_ins::StandIn;
use cctf_stack::stand_ins::pairs::Called;
use plan::plan::write::StationFit;
use plan::roots::{Plan, Preview};
use plan::work::Names;
use replay::stand_in::by_root::ByRoot;
use replay::stand_in::nested::{Changes, Stages, Turns};
use replay::stand_in::probes::needed;
use replay::stand_in::scan::Scan;
use replay::stand_in::send::{Sender, Shared};
use replay::stand_in::speeds::SpeedError;
use replay::stand_in::ways::Ways;
use serde_json::value::RawValue;
use standin::{Instance, PLAN_VERSION, Probe, StandIns};

use super::args::ReplayArgs;
use super::checks::{Checks, as_usage};
use super::preview::ReplayPreview;
use super::recording::Recording;
use crate::commands::UsageError;
use crate::commands::cells::printable;
use crate::commands::plan::summary::Summary;
use crate::commands::plan::whole::read_some;

/// Maximum number of URLs that are recorded as the run's target.
const URLS_SHOWN: usize = 10;

/// Placeholder for the address of a stand-in that is not started yet.
const UNKNOWN_URL: &str = "http://127.0.0.1:1";

/// Addresses of the receivers, and the requests.
pub type Receiving = (Vec<SocketAddr>, Box<dyn Requests>);

/// A replay to stand-ins that can start.
pub struct StandInRun {
    /// The self-check of the plan, as text.
    pub self_check: String,
    pub arrivals: Plan,
    shared: Arc<Shared>,
}

/// A run and its plan, before the stand-ins are known.
pub struct Planned {
    /// The self-check of the plan, as text.
    pub self_check: String,
    header: Box<RawValue>,
    recording: Recording,
    arrivals: Plan,
    preview: Preview,
    by_root: ByRoot,
    scan: Scan,
    /// Network times for other links than recorded.
    pub ways: Ways,
    /// Changes during the run: seconds after the first request, links, and the stand-ins that take turns, by instance.
    pub later: Vec<(f64, Ways, Vec<Vec<String>>)>,
}

impl Planned {
    /// Reads the run, makes its plan, and checks the plan.
    pub fn read(args: &ReplayArgs) -> anyhow::Result<Self> {
        let recording = Recording::open(args)?;
        let roots = &recording.roots;
        let arrivals = args.selection.for_stand_ins(recording.seed).plan(roots);
        let arrivals = arrivals.map_err(|error| UsageError(error.to_string()))?;
        let preview = arrivals.preview()?;
        let only = args.selection.roots_of_window(roots)?;
        let window = args.selection.plan_window();
        let whole = read_some(&recording.run, &recording.part, window, only.as_ref())?;
        let summary = Summary::new(&roots.run_id, &whole.plan, &whole.fits, &whole.notes)?;
        let (self_check, header) = (summary.text(), RawValue::from_string(summary.header)?);
        for warning in whole.fits.iter().filter_map(StationFit::warning) {
            log_line!("cctf: {}", printable(&warning));
        }
        let by_root = ByRoot::new(whole.plan);
        let scan = Scan::of(&by_root, arrivals.arrivals())?;
        let planned = Self {
            self_check,
            header,
            arrivals,
            preview,
            scan,
            by_root,
            ways: Ways::default(),
            later: Vec::new(),
            recording,
        };
        planned.checks(args).requests()?;
        Ok(planned)
    }

    pub fn names(&self) -> &Names {
        self.by_root.plan.recorded.names()
    }

    /// Calling and called instances of the recorded calls, each with its module.
    pub fn called(&self) -> Called<'_> {
        let name = |instance: u32| self.by_root.instance(instance);
        let pairs = self.by_root.plan.recorded.called_instances().into_iter();
        pairs.map(|(from, to)| [name(from), name(to)]).collect()
    }

    fn checks<'a>(&'a self, args: &'a ReplayArgs) -> Checks<'a> {
        Checks {
            args,
            recording: &self.recording,
            by_root: &self.by_root,
            scan: &self.scan,
            preview: &self.preview,
            notes: Vec::new(),
        }
    }

    /// Checks stand-ins that are not started yet, as far as their slots and speeds are known.
    ///
    /// # Errors
    /// If they cannot execute the plan.
    pub fn check_placed(&self, args: &ReplayArgs, placed: &[StandIn]) -> anyhow::Result<()> {
        let all = placed.iter().map(|stand_in| Instance {
            module: stand_in.module.clone(),
            instance: stand_in.instance.clone(),
            url: UNKNOWN_URL.to_owned(),
        });
        let all = StandIns::new(all.collect()).map_err(UsageError)?;
        let stand_ins = needed(&all, &self.scan.modules(&self.by_root)).map_err(as_usage)?;
        let of = |instance: &Instance| {
            let is_it = |placed: &&StandIn| {
                (&placed.module, &placed.instance) == (&instance.module, &instance.instance)
            };
            placed.iter().find(is_it)
        };
        let placed: Vec<&StandIn> = stand_ins.instances().iter().filter_map(of).collect();
        let probes: Vec<Probe> = placed.iter().map(|stand_in| expected(stand_in)).collect();
        let mut checks = self.checks(args);
        let remedy = "give it more \"slots\", or the \"slot_policy\" \"released\", in a placement";
        checks.paths(&stand_ins, &probes, remedy)?;
        checks.factors(&stand_ins, &probes)?.map_err(|error| {
            UsageError(match &error {
                SpeedError::StandIn { module, index, .. } => format!(
                    "cannot keep the work of module {module:?}: its node {:?} has no speed; set \"mips_per_core\" of the node in \
                     \"nodes\" of a placement, or use --keep time",
                    placed.get(*index).map_or("", |stand_in| &*stand_in.node)
                ),
                _ => error.to_string(),
            })
        })?;
        Ok(())
    }

    /// Checks all stand-ins. A dry run does not connect to them.
    pub fn connect(
        self,
        args: &ReplayArgs,
        stand_ins: &StandIns,
    ) -> anyhow::Result<(StandInRun, Recording, ReplayPreview)> {
        let mut checks = self.checks(args);
        let stand_ins = needed(stand_ins, &self.scan.modules(&self.by_root)).map_err(as_usage)?;
        let factors = checks.stand_ins(&stand_ins)?;
        let preview = checks.preview(&stand_ins, self.header.clone());
        let later = self.later.into_iter().map(|(at_s, ways, turns)| {
            let changes = Changes {
                factors: factors.clone(),
                ways,
                turns: turns.into_iter().map(Turns::from).collect(),
            };
            // A float becomes an integer by saturation.
            ((at_s * 1e9) as u64, changes)
        });
        let stages = Stages {
            later: later.collect(),
            first: Changes {
                factors: factors.clone(),
                ways: self.ways,
                turns: Vec::new(),
            },
        };
        let shared = Shared::new(self.by_root, stand_ins, stages, self.scan.excluded).map_err(as_usage)?;
        let run = StandInRun {
            self_check: self.self_check,
            arrivals: self.arrivals,
            shared: Arc::new(shared),
        };
        Ok((run, self.recording, preview))
    }
}

impl StandInRun {
    /// The URLs of all stand-ins, as shown to users.
    pub fn urls(&self) -> String {
        let targets = self.shared.targets();
        let shown = targets.iter().take(URLS_SHOWN).map(ToString::to_string);
        let mut urls = shown.collect::<Vec<_>>().join(", ");
        if targets.len() > URLS_SHOWN {
            urls += &format!(" and {} more", targets.len() - URLS_SHOWN);
        }
        urls
    }

    /// The addresses of the stand-ins, and the requests.
    pub fn requests(&self, args: &ReplayArgs, run_id: &str) -> anyhow::Result<Receiving> {
        let reach = |target: &cctf_load::plan::target::Target| {
            let remedy = || format!("cannot connect to {target}: check that the stand-in runs there");
            target.reachable_address().with_context(remedy)
        };
        let addresses = self.shared.targets().iter().map(reach);
        let addresses = addresses.collect::<anyhow::Result<Vec<_>>>()?;
        let sender = Sender::new(
            self.arrivals.arrivals(),
            Arc::clone(&self.shared),
            args.sending.headers.clone(),
            run_id.to_owned(),
        )?;
        Ok((addresses, Box::new(sender)))
    }
}

/// The description that a stand-in will return when it is started.
fn expected(stand_in: &StandIn) -> Probe {
    Probe {
        stand_in: PLAN_VERSION,
        module: stand_in.module.clone(),
        instance: stand_in.instance.clone(),
        slots: stand_in.counted_slots(),
        slot_policy: stand_in.slot_policy().to_owned(),
        mips_per_core: stand_in.mips_per_core,
    }
}
