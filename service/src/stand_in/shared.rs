//! [`StandIn`]: the state that all planned requests share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use tokio::runtime::Handle;

use super::addresses::Addresses;
use super::calls::Calls;
use super::counters::Counters;
use super::mailbox::{Mailbox, Parked};
use super::timer::Timer;
use crate::service::Service;
use crate::settings::Settings;
use crate::station::{scheduling, slot};

/// Maximum number of slots if they are unlimited. Each is a thread, which wait for most of their time.
pub const SLOTS_MAX: usize = 2_048;
/// Stack of a slot's thread. The work on it does not recurse.
const STACK_BYTES: usize = 512 << 10;
/// Maximum number of invocations with work after their answer. Further ones are cut off at their answer, and counted.
const AFTERWARDS_MAX: usize = 16_384;
/// Maximum of the correction of CPU times, nanoseconds. What follows the last use of CPU takes a tenth of it.
const TAIL_NS_MAX: usize = 50_000;
/// One request changes the correction by this part of its own error, so that one that was interrupted changes it little.
const TAIL_WEIGHT: usize = 16;

pub struct StandIn {
    pub service: Arc<Service>,
    pub addresses: Addresses,
    pub calls: Calls,
    pub counters: Arc<Counters>,
    timer: Timer,
    runtime: Handle,
    /// Threads of slots, if they are unlimited.
    slots: AtomicUsize,
    afterwards: Arc<AtomicUsize>,
    /// CPU time that a request uses after its last planned use, nanoseconds: an estimate.
    tail_ns: AtomicUsize,
}

/// Counts an invocation with work after its answer, until it is dropped.
pub struct Unfinished(Arc<AtomicUsize>);

impl StandIn {
    /// # Errors
    /// The system refuses a thread.
    pub fn start(service: Arc<Service>, path: PathBuf, runtime: Handle) -> anyhow::Result<Self> {
        let counters = Arc::<Counters>::default();
        Ok(Self {
            addresses: Addresses::new(path),
            calls: Calls::new(runtime.clone(), service.clock, counters.clone()),
            timer: Timer::start(service.clock).context("cannot start the thread for timers")?,
            slots: AtomicUsize::new(service.settings.first_slots()),
            service,
            counters,
            runtime,
            afterwards: Arc::default(),
            tail_ns: AtomicUsize::new(0),
        })
    }

    /// What `GET /stand-in` answers.
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

    /// Starts a slot's thread if requests wait and slots are unlimited.
    pub fn start_slot_if_needed(&self) {
        if self.service.settings.slots().is_some() || self.service.queue.is_empty() {
            return;
        }
        let number = self.slots.fetch_add(1, Ordering::Relaxed);
        if number < SLOTS_MAX {
            let (service, calls) = (self.service.clone(), self.runtime.clone());
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

    /// Leaves an invocation until an answer comes, or until its next event.
    pub fn park(&self, mailbox: &Arc<Mailbox>, parked: Box<dyn Parked>, until_ns: Option<u64>) {
        match (mailbox.park(parked, until_ns), until_ns) {
            (Ok(true), Some(until_ns)) => self.timer.wake_at(until_ns, mailbox.clone()),
            (Ok(_), _) => {}
            // Each time, at least one of its calls was answered, so that this ends.
            (Err(parked), _) => parked.advance(),
        }
    }

    /// `None` if too many invocations have work after their answer.
    pub fn enter_afterwards(&self) -> Option<Unfinished> {
        let others = self.afterwards.fetch_add(1, Ordering::Relaxed);
        let entered = Unfinished(self.afterwards.clone());
        (others < AFTERWARDS_MAX).then_some(entered)
    }

    /// Invocations that have work after their answer.
    pub fn unfinished(&self) -> usize {
        self.afterwards.load(Ordering::Relaxed)
    }

    pub fn tail_ns(&self) -> u64 {
        self.tail_ns.load(Ordering::Relaxed) as u64
    }

    /// Corrects the estimate by the difference between used and planned CPU time of one request.
    pub fn correct_tail(&self, used_ns: u64, planned_ns: u64) {
        let now = self.tail_ns.load(Ordering::Relaxed);
        let part = usize::try_from(used_ns.abs_diff(planned_ns)).unwrap_or(TAIL_NS_MAX) / TAIL_WEIGHT;
        let corrected = match used_ns > planned_ns {
            true => now.saturating_add(part).min(TAIL_NS_MAX),
            false => now.saturating_sub(part),
        };
        // A correction by another thread meanwhile is lost, which does no harm.
        self.tail_ns.store(corrected, Ordering::Relaxed);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
