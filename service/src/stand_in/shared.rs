//! [`StandIn`]: the state that all planned requests share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use tokio::runtime::Handle;

use super::addresses::Addresses;
use super::call_cost::CallCost;
use super::calls::Calls;
use super::counters::Counters;
use super::debt::Debt;
use super::estimate::Estimate;
use super::mailbox::{Mailbox, Parked};
use super::open_files;
use super::timer::Timer;
use crate::service::Service;
use crate::settings::Settings;
use crate::station::{scheduling, slot};

/// Maximum number of slots of an instance with unlimited slots. Each slot is a thread, which waits most of the time.
pub const SLOTS_MAX: usize = 2_048;
/// Stack size of a slot's thread. Its work does not recurse.
const STACK_BYTES: usize = 512 << 10;
/// Maximum number of invocations with work after their answer. The work of further ones is dropped after the answer, and
/// counted.
const AFTERWARDS_MAX: usize = 16_384;
/// Maximum estimate of the CPU time for ending a request. The usual value is a tenth of it.
const TAIL_NS_MAX: u64 = 50_000;
/// Maximum estimate of the CPU time of one call. A call with a small body takes a twentieth of it, and a call with a megabyte a
/// third.
const CALL_NS_MAX: u64 = 1_000_000;
/// Maximum estimate of the time from the end of the answer's gap to the end of the request. The usual value is a fifth of it. A
/// request that takes longer was interrupted.
pub const FINISH_NS_MAX: u64 = 20_000;
/// Maximum estimate of the time by which the own time of an invocation with calls is longer than planned. If the difference is
/// larger, the thread was interrupted.
pub const EXCESS_NS_MAX: u64 = 100_000;
/// Maximum estimate of the time by which threads wake up late. A sleep is shorter by the estimate, and the thread uses CPU time
/// until the planned time.
const LATENESS_NS_MAX: u64 = 150_000;
/// Sleeps of at least this length are long: an idle CPU enters a deep sleep state, and wakes up later.
const LONG_SLEEP_NS: u64 = 1_000_000;

pub struct StandIn {
    pub service: Arc<Service>,
    pub addresses: Addresses,
    pub calls: Calls,
    pub counters: Arc<Counters>,
    timer: Timer,
    /// Number of slot threads, if slots are unlimited.
    slots: AtomicUsize,
    afterwards: Arc<AtomicUsize>,
    /// CPU time of a request after its last planned CPU time.
    pub tail: Estimate,
    /// CPU time of executing one call.
    pub call: CallCost,
    /// CPU time that requests used beyond their plans.
    pub debt: Debt,
    /// Time from the end of the answer's gap to the end of the request.
    pub finish: Estimate,
    /// Time by which the own time of an invocation with calls is longer than planned.
    pub excess: Estimate,
    /// The part of a call's CPU time that is used while the slot waits for the answer.
    pub polls: Estimate,
    /// Lateness of threads: time from the planned end of a sleep until the thread runs. One estimate for short sleeps, one for
    /// long ones.
    lateness: [Estimate; 2],
}

/// Counts an invocation with work after its answer, until this value is dropped.
pub struct Unfinished(Arc<AtomicUsize>);

impl StandIn {
    /// # Errors
    /// The system refuses a thread.
    pub fn start(service: Arc<Service>, path: PathBuf, runtime: Handle) -> anyhow::Result<Self> {
        open_files::raise_limit();
        let counters = Arc::<Counters>::default();
        Ok(Self {
            addresses: Addresses::new(path),
            calls: Calls::new(runtime, service.clock, counters.clone()),
            timer: Timer::start(service.clock).context("cannot start the thread for timers")?,
            slots: AtomicUsize::new(service.settings.first_slots()),
            service,
            counters,
            afterwards: Arc::default(),
            tail: Estimate::new(TAIL_NS_MAX),
            call: CallCost::new(CALL_NS_MAX),
            debt: Debt::default(),
            finish: Estimate::new(FINISH_NS_MAX),
            excess: Estimate::new(EXCESS_NS_MAX),
            polls: Estimate::new(CALL_NS_MAX),
            lateness: [const { Estimate::new(LATENESS_NS_MAX) }; 2],
        })
    }

    /// The answer to `GET /stand-in`.
    pub fn probe(settings: &Settings) -> standin::Probe {
        let identity = &settings.identity;
        standin::Probe {
            stand_in: standin::PLAN_VERSION,
            module: identity.module_id.clone().unwrap_or_default(),
            instance: identity.instance_id.clone().unwrap_or_default(),
            slots: settings.slots().and_then(|slots| u32::try_from(slots).ok()),
            slot_policy: settings.slot_policy.as_str().to_owned(),
            mips_per_core: identity.mips_per_core,
        }
    }

    /// Starts another slot thread if requests wait and slots are unlimited.
    pub fn start_slot_if_needed(&self) {
        if self.service.settings.slots().is_some() || self.service.queue.is_empty() {
            return;
        }
        let number = self.slots.fetch_add(1, Ordering::Relaxed);
        if number < SLOTS_MAX {
            let (service, calls) = (self.service.clone(), self.calls.runtime().clone());
            let started = std::thread::Builder::new()
                .name(format!("slot-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    scheduling::request_short_slices();
                    scheduling::request_exact_wakeups();
                    slot::run(&service, &calls);
                });
            match started {
                Ok(_detached) => return,
                Err(error) => tracing::warn!(%error, "cannot start a further slot; requests wait"),
            }
        }
        self.slots.fetch_sub(1, Ordering::Relaxed);
    }

    /// Parks an invocation without a thread, until an answer arrives or its next event is due.
    pub fn park(&self, mailbox: &Arc<Mailbox>, parked: Box<dyn Parked>, until_ns: Option<u64>) {
        match (mailbox.park(parked, until_ns), until_ns) {
            (Ok(true), Some(until_ns)) => self.timer.wake_at(until_ns, mailbox.clone()),
            (Ok(_), _) => {}
            // This recursion ends, because at least one of the invocation's calls was answered each time.
            (Err(parked), _) => parked.advance(),
        }
    }

    /// The estimate for the lateness of a thread after a sleep of this length.
    pub fn lateness(&self, sleep_ns: u64) -> &Estimate {
        &self.lateness[usize::from(sleep_ns >= LONG_SLEEP_NS)]
    }

    /// Counts another invocation with work after its answer. `None` if there are too many.
    pub fn enter_afterwards(&self) -> Option<Unfinished> {
        let others = self.afterwards.fetch_add(1, Ordering::Relaxed);
        let entered = Unfinished(self.afterwards.clone());
        (others < AFTERWARDS_MAX).then_some(entered)
    }

    /// Number of invocations that have work after their answer, and of calls in flight. A request whose answer nobody awaits
    /// would be lost if the process ended before it is written.
    pub fn unfinished(&self) -> usize {
        // With `Acquire`, calls that an invocation sent before it ended are visible in `in_flight`.
        self.afterwards.load(Ordering::Acquire) + self.calls.in_flight()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}
