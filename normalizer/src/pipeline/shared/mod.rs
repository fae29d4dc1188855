//! [`Shared`]: the state that all stages use: clock, settings, sources, runs, names, totals.

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

/// The state that all stages use.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shared {
    pub settings: Settings,
    pub windows: Windows,
    pub roll: RollLimits,
    pub shares: MemoryShares,
    /// Size of the tables that change slowly, bytes. It is computed at most once a second.
    pub inventory_bytes: u64,
    pub clock: Clock,
    pub totals: Totals,
    pub sources: Sources,
    pub runs: Runs,
    /// Names of the endpoints of all modules.
    pub endpoints: Names,
    /// Names of the receivers of all calls.
    pub peers: Names,
    /// Figures that only the live page shows.
    #[serde(skip)]
    pub figures: Figures,
    /// Counts of spans that belong to the normalizer's own run and arrived before it was opened.
    unplaced: Accounts,
    /// Numbers of spans and points before the current item: the span or metric that is being processed.
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

    /// Size of sources, names and runs in memory, bytes.
    pub fn bytes(&self) -> u64 {
        self.sources.bytes() + self.endpoints.bytes() + self.peers.bytes() + self.runs.bytes()
    }

    /// Records the totals before an item, because the run that the item opens must count the item.
    pub fn begin_item(&mut self) {
        self.counted_before = (self.totals.spans, self.totals.points);
    }

    /// Opens a run if it is unknown. `Err` contains the reason for which the item that names the run is rejected.
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

    /// Opens the normalizer's own run if no run is open. It then gets the data that belongs to every open run.
    pub fn open_own_if_none(&mut self, output: &mut Output) {
        if self.runs.live().next().is_none() {
            self.open_own(self.clock.now, output).ok();
        }
    }

    /// Whether runs were opened in which the start events of running instances are still missing.
    #[inline]
    pub fn has_opened(&self) -> bool {
        !self.opened.is_empty()
    }

    /// Removes and returns a run that was opened and in which the start events of running instances are still missing.
    #[inline]
    pub fn take_opened(&mut self) -> Option<OpenedRun> {
        self.opened.pop()
    }

    /// The runs that were open at the time of a sample, or else the normalizer's own run.
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

    /// The open run for data of a source whose spans name no run.
    pub fn open_run_of(&self, source: &Source) -> Option<RunId> {
        let of_resource = || {
            let run = self.runs.find(source.identity.run_id.as_deref()?)?;
            Some(run).filter(|&run| self.runs[run].is_live())
        };
        self.runs.only_driven().or_else(of_resource)
    }

    /// Counts spans without a row in a run. Without a known run, the normalizer's own run counts them.
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

    /// Moves the counts of earlier spans to the normalizer's own run, which was just opened.
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
