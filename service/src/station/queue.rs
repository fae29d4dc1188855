//! The bounded first-come queue in front of the worker slots.
//!
//! Waking a thread costs as much as a short request's work, so a slot is woken only for an item that nobody else is on
//! the way to, and it is the one that fell asleep last: its memory is still in a CPU's cache.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

/// Requests that may wait for a downstream call without a slot (policy `released`), beyond which new ones are refused.
pub const SUSPENDED_MAX: usize = 4096;

/// A queue whose bound counts what waits; what an idle slot is about to take does not wait.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    limit: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Slots that sleep, the one that fell asleep last at the end. While any does, each waiting item has a woken slot.
    asleep: Vec<Thread>,
    /// Slots that were woken for an item and have not come for it yet.
    woken: usize,
    suspended: usize,
    closed: bool,
}

impl<T> State<T> {
    fn idle_slots(&self) -> usize {
        self.asleep.len() + self.woken
    }
}

impl<T> Queue<T> {
    /// A queue in which at most `limit` items wait.
    pub fn new(limit: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            asleep: Vec::new(),
            woken: 0,
            suspended: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            limit,
        }
    }

    /// Puts a new item at the end, or gives it back when the queue is full or closed.
    pub fn offer(&self, item: T) -> Result<(), T> {
        let state = self.lock();
        let room = state.waiting.len() < self.limit + state.idle_slots() && state.suspended < SUSPENDED_MAX;
        if state.closed || !room {
            return Err(item);
        }
        self.push(state, item);
        Ok(())
    }

    /// Notes that an item has left its slot and will come back by [`Queue::resume`].
    pub fn suspend(&self) {
        self.lock().suspended += 1;
    }

    /// Queues a suspended item again. It has been admitted before, so the limit does not apply;
    /// [`SUSPENDED_MAX`] bounds how many there can be. A closed queue drops it.
    pub fn resume(&self, item: T) {
        let mut state = self.lock();
        state.suspended = state.suspended.saturating_sub(1);
        if !state.closed {
            self.push(state, item);
        }
    }

    /// The oldest item if one waits.
    pub fn try_take(&self) -> Option<T> {
        self.lock().waiting.pop_front()
    }

    /// The oldest item, waiting for one if need be; none once the queue is closed and empty.
    pub fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.waiting.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.sleep(state);
        }
    }

    /// Items that wait for a slot now.
    pub fn len(&self) -> usize {
        let state = self.lock();
        state.waiting.len().saturating_sub(state.idle_slots())
    }

    /// Whether nothing waits for a slot.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets the slots finish what waits and then end.
    pub fn close(&self) {
        self.end(|_| ());
    }

    /// Closes the queue and drops what waits: the time to finish it is over.
    pub fn abandon(&self) {
        let waiting = self.end(|state| std::mem::take(&mut state.waiting));
        drop(waiting);
    }

    fn end<R>(&self, last: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.lock();
        state.closed = true;
        let result = last(&mut state);
        let asleep = std::mem::take(&mut state.asleep);
        state.woken += asleep.len();
        drop(state);
        asleep.iter().for_each(Thread::unpark);
        result
    }

    fn push(&self, mut state: MutexGuard<'_, State<T>>, item: T) {
        state.waiting.push_back(item);
        // Slots on their way take the items before this one.
        let sleeper = (state.waiting.len() > state.woken)
            .then(|| state.asleep.pop())
            .flatten();
        state.woken += usize::from(sleeper.is_some());
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
    }

    /// Returns when somebody has taken this thread off the list of those that sleep.
    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        let this = thread::current();
        let id = this.id();
        state.asleep.push(this);
        // A thread may come back from park without having been woken for an item.
        while state.asleep.iter().any(|sleeper| sleeper.id() == id) {
            drop(state);
            thread::park();
            state = self.lock();
        }
        state.woken -= 1;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code that can panic runs under the lock, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn first_come_is_first_served_and_the_limit_holds() {
        let queue = Queue::new(2);
        assert_eq!(queue.offer(1), Ok(()));
        assert_eq!(queue.offer(2), Ok(()));
        assert_eq!(queue.offer(3), Err(3));
        assert_eq!(queue.take(), Some(1));
        assert_eq!(queue.offer(4), Ok(()));
        assert_eq!(
            (queue.take(), queue.try_take(), queue.try_take()),
            (Some(2), Some(4), None)
        );
        assert!(queue.is_empty());
    }

    #[test]
    fn a_limit_of_zero_admits_what_an_idle_slot_takes_at_once() {
        let queue = Arc::new(Queue::new(0));
        assert_eq!(queue.offer(1), Err(1));
        let taker = std::thread::spawn({
            let queue = queue.clone();
            move || queue.take()
        });
        while queue.offer(2).is_err() {
            std::thread::yield_now();
        }
        assert_eq!(taker.join().unwrap(), Some(2));
    }

    #[test]
    fn a_closed_queue_is_emptied_and_takes_nothing_more() {
        let queue = Queue::new(4);
        queue.offer(1).unwrap();
        queue.close();
        assert_eq!(queue.offer(2), Err(2));
        assert_eq!(queue.take(), Some(1));
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn an_abandoned_queue_is_empty() {
        let queue = Queue::new(4);
        queue.offer(1).unwrap();
        queue.abandon();
        assert_eq!((queue.take(), queue.offer(2)), (None, Err(2)));
    }

    #[test]
    fn what_comes_back_from_a_call_is_queued_beyond_the_limit() {
        let queue = Queue::new(1);
        queue.suspend();
        queue.offer(1).unwrap();
        queue.resume(2);
        assert_eq!((queue.take(), queue.take()), (Some(1), Some(2)));
    }

    #[test]
    fn too_many_suspended_items_refuse_new_ones() {
        let queue = Queue::new(1);
        for _ in 0..SUSPENDED_MAX {
            queue.suspend();
        }
        assert_eq!(queue.offer(1), Err(1));
        queue.resume(2);
        assert_eq!(queue.take(), Some(2));
        assert_eq!(queue.offer(1), Ok(()));
    }

    /// Fails if an item is put beside sleeping slots and nobody is woken, or if a woken slot that finds its item taken
    /// by another is not counted as asleep again (seen with `woken` not counted down).
    #[test]
    fn every_item_finds_a_slot_however_slots_and_senders_meet() {
        const SLOTS: usize = 3;
        const SENDERS: usize = 2;
        const ITEMS: usize = 20_000;
        let queue = Arc::new(Queue::new(SENDERS * ITEMS));
        let (taken, all_taken) = std::sync::mpsc::channel();
        let slots: Vec<_> = (0..SLOTS)
            .map(|_| {
                let (queue, taken) = (queue.clone(), taken.clone());
                std::thread::spawn(move || {
                    while let Some(item) = queue.take() {
                        taken.send(item).unwrap();
                    }
                })
            })
            .collect();
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let queue = queue.clone();
                std::thread::spawn(move || {
                    for number in 0..ITEMS {
                        queue.offer(sender * ITEMS + number).unwrap();
                        // Slots must fall asleep in between, or nobody has to be woken.
                        if number % 4 == 0 {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let patience = std::time::Duration::from_secs(60);
        let mut seen: Vec<usize> = (0..SENDERS * ITEMS)
            .map(|_| all_taken.recv_timeout(patience).unwrap())
            .collect();
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..SENDERS * ITEMS));
        // All slots have gone back to sleep, and all of them can be woken at once.
        let counts = || {
            let state = queue.lock();
            (state.asleep.len(), state.woken)
        };
        let deadline = std::time::Instant::now() + patience;
        while counts() != (SLOTS, 0) && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(counts(), (SLOTS, 0));
        queue.close();
        slots.into_iter().for_each(|slot| slot.join().unwrap());
    }
}
