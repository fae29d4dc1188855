//! [`Shared`]: the state that every stage reads or changes: clock, settings, sources, runs, names, totals.

pub mod accounts;
pub mod clock;
pub mod facts;
pub mod figures;
pub mod memory;
pub mod parts;
pub mod registry;
pub mod run;
pub mod runs;
pub mod settings;
pub mod source;
pub mod sources;
pub mod totals;

use std::borrow::Cow;

use aggregate::ids::RunId;
use aggregate::names::Names;
use serde::{Deserialize, Serialize};

use self::accounts::{Accounts, Fate};
use self::clock::{Clock, Windows};
use self::facts::OpenedRun;
use self::figures::Figures;
use self::memory::MemoryShares;
use self::parts::RollLimits;
use self::run::Phase;
use self::runs::Runs;
use self::settings::Settings;
use self::source::Source;
use self::sources::Sources;
use self::totals::Totals;
use super::output::Output;
use crate::mapping::StageTable;

/// The state that every stage reads or changes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shared {
    pub settings: Settings,
    pub windows: Windows,
    pub roll: RollLimits,
    pub shares: MemoryShares,
    /// Size of the tables that change slowly, bytes, counted now and then.
    pub inventory_bytes: u64,
    pub clock: Clock,
    pub totals: Totals,
    pub sources: Sources,
    pub runs: Runs,
    /// Endpoints of all modules.
    pub endpoints: Names,
    /// Receivers of all calls.
    pub peers: Names,
    /// For the live page.
    #[serde(skip)]
    pub figures: Figures,
    /// Spans counted for the normalizer's own run before it was opened.
    unplaced: Accounts,
    /// Numbers of spans and points before the item that is being taken.
    counted_before: (u64, u64),
    /// Empty between two records.
    #[serde(skip)]
    opened: Vec<OpenedRun>,
}

impl Shared {
    pub fn new(settings: Settings) -> Self {
        Self {
            windows: Windows::from_settings(&settings),
            roll: RollLimits::from_settings(&settings),
            shares: MemoryShares::from_settings(&settings),
            inventory_bytes: 0,
            clock: Clock::default(),
            totals: Totals::default(),
            sources: Sources::new(stages(&settings)),
            runs: Runs::new(&settings.run_id, settings.open_runs_max),
            endpoints: Names::default(),
            peers: Names::default(),
            figures: Figures::default(),
            unplaced: Accounts::default(),
            counted_before: (0, 0),
            opened: Vec::new(),
            settings,
        }
    }

    /// Changes the settings. Rows that wait keep their deadline.
    pub fn apply(&mut self, settings: Settings) {
        self.windows = Windows::from_settings(&settings);
        self.roll = RollLimits::from_settings(&settings);
        self.shares = MemoryShares::from_settings(&settings);
        self.runs.set_own(&settings.run_id, settings.open_runs_max);
        self.sources.set_stages(stages(&settings));
        self.settings = settings;
    }

    /// Size of sources, names and runs, bytes.
    pub fn bytes(&self) -> u64 {
        self.sources.bytes() + self.endpoints.bytes() + self.peers.bytes() + self.runs.bytes()
    }

    /// Notes the totals before an item: the run that the item opens counts it.
    pub fn begin_item(&mut self) {
        self.counted_before = (self.totals.spans, self.totals.points);
    }

    /// Opens a run, unless it is known. `Err` is the reason for which the item that names it is rejected.
    pub fn open_run(
        &mut self,
        id: &str,
        explicit: bool,
        started_unix_ns: u64,
        output: &mut Output,
    ) -> Result<RunId, &'static str> {
        if self.settings.runs_ignore_case && self.runs.is_taken_in_other_case(id) {
            return Err("run_id_differs_in_case");
        }
        let (run, is_new) = self.runs.open(id, explicit, self.clock.now, output)?;
        if is_new {
            let totals_at_open = self.totals_before(id);
            let opened = &mut self.runs[run];
            opened.part.totals_at_open = totals_at_open;
            opened.started_unix_ns = started_unix_ns;
            if id == self.runs.own_id() {
                self.place_accounts(run);
            }
            self.opened.push(OpenedRun { run, started_unix_ns });
        }
        Ok(run)
    }

    /// The totals before the item that opens a run. The normalizer's own run counts all items.
    fn totals_before(&self, run_id: &str) -> Totals {
        if run_id == self.runs.own_id() {
            return Totals::default();
        }
        let (spans, points) = self.counted_before;
        Totals {
            spans,
            points,
            ..self.totals.clone()
        }
    }

    /// Opens the normalizer's own run.
    pub fn open_own(&mut self, started_unix_ns: u64, output: &mut Output) -> Result<RunId, &'static str> {
        let own = self.runs.own_id().to_owned();
        self.open_run(&own, false, started_unix_ns, output)
    }

    /// Opens the normalizer's own run if no run is open, for data that belongs to every open run.
    pub fn open_own_if_none(&mut self, output: &mut Output) {
        if self.runs.live().next().is_none() {
            self.open_own(self.clock.now, output).ok();
        }
    }

    /// Removes and returns a run that was opened and has not been announced.
    #[inline]
    pub fn take_opened(&mut self) -> Option<OpenedRun> {
        self.opened.pop()
    }

    /// The runs that are open at the time of a sample; if there is none, the normalizer's own.
    pub fn runs_at(&mut self, unix_ns: u64, output: &mut Output) -> Vec<RunId> {
        let runs = &self.runs;
        let mut open: Vec<RunId> = runs.live().filter(|&run| runs[run].covers(unix_ns)).collect();
        if open.is_empty() {
            let own = self.open_own(unix_ns, output);
            let own = own.map_err(|reason| self.totals.reject(reason, 1)).ok();
            open.extend(own.filter(|&run| self.runs[run].phase == Phase::Open));
        }
        open
    }

    /// The open run that a source's data belongs to if no span names a run.
    pub fn open_run_of(&self, source: &Source) -> Option<RunId> {
        let of_resource = || {
            let run = self.runs.find(source.identity.run_id.as_deref()?)?;
            Some(run).filter(|&run| self.runs[run].is_live())
        };
        self.runs.only_driven().or_else(of_resource)
    }

    /// Counts spans without a row in a run, or in the normalizer's own run if none is known.
    pub fn account(&mut self, run: Option<RunId>, fate: Fate, spans: u64) {
        self.accounts_of(run).count(fate, spans);
    }

    /// Counts an unusable span.
    pub fn reject_span(&mut self, run: Option<RunId>, reason: &'static str) {
        self.totals.reject_spans(reason, 1);
        let rejected = &mut self.accounts_of(run).rejected;
        *rejected.entry(Cow::Borrowed(reason)).or_default() += 1;
    }

    fn accounts_of(&mut self, run: Option<RunId>) -> &mut Accounts {
        match run.or_else(|| self.runs.find_own()) {
            Some(run) => {
                let run = &mut self.runs[run];
                run.dirty = true;
                &mut run.part.accounts
            }
            None => &mut self.unplaced,
        }
    }

    /// Whether spans were counted that belong to no run.
    pub fn has_unplaced(&self) -> bool {
        !self.unplaced.is_empty()
    }

    /// Moves the spans counted before to the normalizer's own run, which has just been opened.
    pub fn place_accounts(&mut self, own: RunId) {
        let unplaced = std::mem::take(&mut self.unplaced);
        self.runs[own].part.accounts.add(unplaced);
    }
}

fn stages(settings: &Settings) -> StageTable {
    StageTable {
        by_name: settings.stages.clone(),
        default: settings.default_stage,
    }
}
