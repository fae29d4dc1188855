//! [`Mailbox`]: the answers to the calls of one invocation. The invocation reads them on its slot's thread. An invocation
//! without a thread is parked in the mailbox and continues when an answer arrives.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use crate::meter::Reading;

/// An answer to a call, or its failure.
#[derive(Debug)]
pub struct Answered {
    pub call: usize,
    pub at_ns: u64,
    pub result: Result<u16, Failure>,
    /// Response time of the callee, if it has executed a plan.
    pub response_ns: Option<u64>,
    pub cpu: CallCpu,
}

/// CPU time of a call.
#[derive(Debug, Clone, Copy)]
pub enum CallCpu {
    /// CPU time on the slot's own thread after the call was sent. It is a part of the CPU time that the slot measures.
    OnSlot(u64),
    /// CPU time and run-queue delay on the thread of calls, from the start of the call.
    Elsewhere(Reading),
}

/// The reason why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Connect,
    Broken,
    /// The stand-ins file has no stand-in for the callee's module.
    NoStandIn,
    /// Too many calls are in flight.
    TooMany,
}

impl Failure {
    /// The `error.type` that the span reports.
    pub fn error_type(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::NoStandIn => "no_stand_in",
            Self::TooMany => "too_many_calls",
        }
    }
}

/// An invocation that waits without a thread.
pub trait Parked: Send {
    /// Continues the invocation, after an answer or at its time.
    fn advance(self: Box<Self>);
}

#[derive(Default)]
enum Reader {
    #[default]
    Nobody,
    Thread(Thread),
    Parked(Box<dyn Parked>),
}

/// An action that runs after an answer, and gets the time of the answer. It does not need the invocation.
pub type OnAnswer = Box<dyn FnOnce(u64) + Send>;

#[derive(Default)]
struct State {
    /// Answers that were not taken yet; at most one for each call.
    answered: Vec<Answered>,
    /// Actions by call; at most as many as the plan has callees.
    followers: Vec<(usize, OnAnswer)>,
    reader: Reader,
    /// The earliest time at which a timer will wake the parked invocation.
    wakes_at_ns: Option<u64>,
}

#[derive(Default)]
pub struct Mailbox(Mutex<State>);

impl Mailbox {
    /// From now on, wakes this thread at every answer.
    pub fn read_by(&self, thread: Thread) {
        self.lock().reader = Reader::Thread(thread);
    }

    /// Adds an answer. A parked invocation continues on the current thread.
    pub fn put(&self, answered: Answered) {
        let mut state = self.lock();
        let (call, at_ns) = (answered.call, answered.at_ns);
        state.answered.push(answered);
        let followers = state.followers.extract_if(.., |(of, _)| *of == call);
        let followers: Vec<_> = followers.collect();
        self.wake(state);
        followers.into_iter().for_each(|(_, follow)| follow(at_ns));
    }

    /// Registers an action that runs at the answer to a call, whoever reads this mailbox.
    pub fn on_answer(&self, call: usize, follow: OnAnswer) {
        let mut state = self.lock();
        let answer = state.answered.iter().find(|answered| answered.call == call);
        match answer.map(|answered| answered.at_ns) {
            None => state.followers.push((call, follow)),
            Some(at_ns) => {
                drop(state);
                follow(at_ns);
            }
        }
    }

    /// The time of the first answer that was not taken yet.
    pub fn first_ns(&self) -> Option<u64> {
        let state = self.lock();
        state.answered.iter().map(|answered| answered.at_ns).min()
    }

    /// Takes all answers, in the order of their times.
    pub fn take(&self) -> Vec<Answered> {
        let mut answered = std::mem::take(&mut self.lock().answered);
        answered.sort_by_key(|answered| answered.at_ns);
        answered
    }

    /// Parks an invocation without a thread. If answers are waiting, returns the invocation instead. The result is true if the
    /// caller must start a timer for `until_ns`, because no earlier timer is running.
    pub fn park(&self, parked: Box<dyn Parked>, until_ns: Option<u64>) -> Result<bool, Box<dyn Parked>> {
        let mut state = self.lock();
        if !state.answered.is_empty() {
            return Err(parked);
        }
        state.reader = Reader::Parked(parked);
        let needs_timer = until_ns
            .is_some_and(|until_ns| state.wakes_at_ns.is_none_or(|wakes_at_ns| until_ns < wakes_at_ns));
        if needs_timer {
            state.wakes_at_ns = until_ns;
        }
        Ok(needs_timer)
    }

    /// Handles the end of a timer. A timer that was replaced by an earlier one has no effect.
    pub fn time_has_come(&self, due_ns: u64) {
        let mut state = self.lock();
        if state.wakes_at_ns != Some(due_ns) {
            return;
        }
        state.wakes_at_ns = None;
        if matches!(state.reader, Reader::Parked(_)) {
            self.wake(state);
        }
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        match std::mem::take(&mut state.reader) {
            Reader::Nobody => {}
            Reader::Thread(thread) => {
                // A thread that handles its own call must not wake itself: its next wait would end immediately.
                if thread.id() != thread::current().id() {
                    thread.unpark();
                }
                state.reader = Reader::Thread(thread);
            }
            Reader::Parked(parked) => {
                drop(state);
                parked.advance();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while holding the lock, so poisoning is ignored.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counts(Arc<AtomicUsize>);

    impl Parked for Counts {
        fn advance(self: Box<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn answered(at_ns: u64) -> Answered {
        Answered {
            call: 0,
            at_ns,
            result: Ok(200),
            response_ns: None,
            cpu: CallCpu::OnSlot(0),
        }
    }

    #[test]
    fn a_parked_invocation_continues_at_its_earliest_time_only() {
        let mailbox = Mailbox::default();
        let woken = Arc::<AtomicUsize>::default();
        let count = || woken.load(Ordering::Relaxed);
        let park = |until_ns| mailbox.park(Box::new(Counts(woken.clone())), Some(until_ns)).ok();
        assert_eq!(park(100), Some(true));
        assert_eq!(park(50), Some(true));
        // No new timer is needed, because the one at 50 fires earlier.
        assert_eq!(park(70), Some(false));
        mailbox.time_has_come(100);
        assert_eq!(count(), 0);
        mailbox.time_has_come(50);
        mailbox.time_has_come(50);
        assert_eq!(count(), 1);
    }

    #[test]
    fn what_follows_an_answer_needs_no_reader_and_may_come_after_it() {
        let mailbox = Mailbox::default();
        let times = Arc::<Mutex<Vec<u64>>>::default();
        let follow = |mailbox: &Mailbox, call| {
            let times = times.clone();
            mailbox.on_answer(call, Box::new(move |at_ns| times.lock().unwrap().push(at_ns)));
        };
        follow(&mailbox, 0);
        follow(&mailbox, 1);
        assert!(times.lock().unwrap().is_empty());
        mailbox.put(answered(5));
        follow(&mailbox, 0);
        assert_eq!(*times.lock().unwrap(), [5, 5]);
    }

    #[test]
    fn answers_wake_and_come_in_the_order_of_their_times() {
        let mailbox = Mailbox::default();
        let woken = Arc::<AtomicUsize>::default();
        let parked = || Box::new(Counts(woken.clone()));
        assert_eq!(mailbox.park(parked(), None).ok(), Some(false));
        mailbox.put(answered(9));
        mailbox.put(answered(5));
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert_eq!(mailbox.first_ns(), Some(5));
        assert!(mailbox.park(parked(), None).is_err());
        let times: Vec<_> = mailbox.take().iter().map(|answered| answered.at_ns).collect();
        assert_eq!(times, [5, 9]);
        assert_eq!(mailbox.first_ns(), None);
    }
}
