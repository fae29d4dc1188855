//! The bounded first-come queue in front of the worker slots.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Requests that may wait for a downstream call without a slot (policy `released`), beyond which new ones are refused.
pub const SUSPENDED_MAX: usize = 4096;

/// A queue whose bound counts what waits; what an idle slot is about to take does not wait.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    limit: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    idle_slots: usize,
    suspended: usize,
    closed: bool,
}

impl<T> Queue<T> {
    /// A queue in which at most `limit` items wait.
    pub fn new(limit: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            idle_slots: 0,
            suspended: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            ready: Condvar::new(),
            limit,
        }
    }

    /// Puts a new item at the end, or gives it back when the queue is full or closed.
    pub fn offer(&self, item: T) -> Result<(), T> {
        let state = self.lock();
        let room = state.waiting.len() < self.limit + state.idle_slots && state.suspended < SUSPENDED_MAX;
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
            state.idle_slots += 1;
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle_slots -= 1;
        }
    }

    /// Items that wait for a slot now.
    pub fn len(&self) -> usize {
        let state = self.lock();
        state.waiting.len().saturating_sub(state.idle_slots)
    }

    /// Whether nothing waits for a slot.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets the slots finish what waits and then end.
    pub fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_all();
    }

    /// Closes the queue and drops what waits: the time to finish it is over.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.ready.notify_all();
        drop(waiting);
    }

    fn push(&self, mut state: MutexGuard<'_, State<T>>, item: T) {
        state.waiting.push_back(item);
        let wake = state.idle_slots > 0;
        drop(state);
        if wake {
            self.ready.notify_one();
        }
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
}
