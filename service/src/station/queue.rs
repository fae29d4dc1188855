//! The bounded first-come, first-served queue in front of the worker slots.
//!
//! Waking a thread costs as much CPU time as a short request. A slot is therefore woken only if no woken slot is about to
//! take the item. The slot that fell asleep last is woken, because its memory is still in a CPU's cache.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

/// Maximum number of requests that wait for a downstream call without a slot (policy `released`). At this number, new
/// requests are refused.
pub const SUSPENDED_MAX: usize = 4096;

/// A queue. Its limit applies to waiting items, except those that an idle slot is about to take.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    limit: usize,
}

/// An item that a slot has taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken<T> {
    pub item: T,
    /// Time since which a slot had been free for it. The item gets the slot that has been free longest, even if the thread of
    /// another slot takes the item.
    pub free_since_ns: u64,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Times since which the idle slots have been free, earliest first. At most one per slot.
    free_since_ns: VecDeque<u64>,
    /// Sleeping slots; the last one fell asleep last. While this is not empty, each waiting item has a woken slot.
    asleep: Vec<Thread>,
    /// Number of slots that were woken for an item and have not taken it yet.
    woken: usize,
    suspended: usize,
    closed: bool,
}

impl<T> State<T> {
    fn take(&mut self) -> Option<Taken<T>> {
        let item = self.waiting.pop_front()?;
        let free_since_ns = self.free_since_ns.pop_front().unwrap_or_default();
        Some(Taken { item, free_since_ns })
    }

    fn idle_slots(&self) -> usize {
        self.asleep.len() + self.woken
    }
}

impl<T> Queue<T> {
    /// A queue of at most `limit` waiting items.
    pub fn new(limit: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            free_since_ns: VecDeque::new(),
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

    /// Appends an item, or returns it if the queue is full or closed.
    pub fn offer(&self, item: T) -> Result<(), T> {
        let state = self.lock();
        let room = state.waiting.len() < self.limit + state.idle_slots() && state.suspended < SUSPENDED_MAX;
        if state.closed || !room {
            return Err(item);
        }
        self.push(state, item);
        Ok(())
    }

    /// Counts an item that releases its slot and will return through [`Queue::resume`].
    pub fn suspend(&self) {
        self.lock().suspended += 1;
    }

    /// Queues a suspended item again. It was admitted before, so only [`SUSPENDED_MAX`] bounds the number of such items.
    /// A closed queue drops it.
    pub fn resume(&self, item: T) {
        let mut state = self.lock();
        state.suspended = state.suspended.saturating_sub(1);
        if !state.closed {
            self.push(state, item);
        }
    }

    /// Marks the calling slot as free since a time. Returns the oldest waiting item.
    pub fn release(&self, free_since_ns: u64) -> Option<Taken<T>> {
        let mut state = self.lock();
        // Usually, the new time is the latest, so it goes to the end. Rarely, another slot read the clock later but got the
        // lock earlier.
        let index = state
            .free_since_ns
            .partition_point(|other| *other <= free_since_ns);
        state.free_since_ns.insert(index, free_since_ns);
        state.take()
    }

    /// Waits for an item. A slot calls this after its [`Queue::release`] returned none. Returns none once the queue is closed
    /// and empty.
    pub fn take(&self) -> Option<Taken<T>> {
        let mut state = self.lock();
        loop {
            if let Some(taken) = state.take() {
                return Some(taken);
            }
            if state.closed {
                return None;
            }
            state = self.sleep(state);
        }
    }

    /// Number of items waiting for a slot.
    pub fn len(&self) -> usize {
        let state = self.lock();
        state.waiting.len().saturating_sub(state.idle_slots())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes the queue; slots still take the waiting items.
    pub fn close(&self) {
        self.end(|_| ());
    }

    /// Closes the queue and drops the waiting items.
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
        // The woken slots take the items before this one. Another slot is needed only if there are more items than woken slots.
        let sleeper = (state.waiting.len() > state.woken)
            .then(|| state.asleep.pop())
            .flatten();
        state.woken += usize::from(sleeper.is_some());
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
    }

    /// Returns when another thread has removed this one from the sleeping slots.
    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        let this = thread::current();
        let id = this.id();
        state.asleep.push(this);
        // park may return spuriously.
        while state.asleep.iter().any(|sleeper| sleeper.id() == id) {
            drop(state);
            thread::park();
            state = self.lock();
        }
        state.woken -= 1;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code panics while holding the lock, so poisoning is ignored.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn take<T>(queue: &Queue<T>) -> Option<T> {
        queue.take().map(|taken| taken.item)
    }

    fn release<T>(queue: &Queue<T>, free_since_ns: u64) -> Option<T> {
        queue.release(free_since_ns).map(|taken| taken.item)
    }

    #[test]
    fn first_come_is_first_served_and_the_limit_holds() {
        let queue = Queue::new(2);
        assert_eq!(queue.offer(1), Ok(()));
        assert_eq!(queue.offer(2), Ok(()));
        assert_eq!(queue.offer(3), Err(3));
        assert_eq!(take(&queue), Some(1));
        assert_eq!(queue.offer(4), Ok(()));
        assert_eq!(
            (take(&queue), release(&queue, 0), release(&queue, 0)),
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
            move || take(&queue)
        });
        while queue.offer(2).is_err() {
            std::thread::yield_now();
        }
        assert_eq!(taker.join().unwrap(), Some(2));
    }

    #[test]
    fn a_closed_queue_is_emptied_and_refuses_new_items() {
        let queue = Queue::new(4);
        queue.offer(1).unwrap();
        queue.close();
        assert_eq!(queue.offer(2), Err(2));
        assert_eq!(take(&queue), Some(1));
        assert_eq!(take(&queue), None);
    }

    #[test]
    fn an_abandoned_queue_is_empty() {
        let queue = Queue::new(4);
        queue.offer(1).unwrap();
        queue.abandon();
        assert_eq!((take(&queue), queue.offer(2)), (None, Err(2)));
    }

    #[test]
    fn a_resumed_item_is_queued_beyond_the_limit() {
        let queue = Queue::new(1);
        queue.suspend();
        queue.offer(1).unwrap();
        queue.resume(2);
        assert_eq!((take(&queue), take(&queue)), (Some(1), Some(2)));
    }

    #[test]
    fn too_many_suspended_items_refuse_new_ones() {
        let queue = Queue::new(1);
        for _ in 0..SUSPENDED_MAX {
            queue.suspend();
        }
        assert_eq!(queue.offer(1), Err(1));
        queue.resume(2);
        assert_eq!(take(&queue), Some(2));
        assert_eq!(queue.offer(1), Ok(()));
    }

    /// Fails if no slot is woken for an item while slots sleep. Also fails if a woken slot whose item was taken is not
    /// counted as asleep again (seen without the decrement of `woken`).
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
                    while let Some(item) = take(&queue) {
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
                        // Lets slots fall asleep in between, so that they must be woken.
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

    /// Fails if a thread that takes an item uses its own slot although another slot has been free for longer.
    #[test]
    fn the_first_item_gets_the_slot_that_has_been_free_longest() {
        let queue = Queue::new(8);
        // Two slots are free since 10 and 20, but report it in reverse order. A third becomes free at 30, when an item waits.
        assert_eq!((release(&queue, 20), release(&queue, 10)), (None, None));
        queue.offer(1).unwrap();
        let taken = queue.release(30);
        assert_eq!(
            taken.map(|taken| (taken.item, taken.free_since_ns)),
            Some((1, 10))
        );
        for (item, free_since_ns) in [(2, 20), (3, 30)] {
            queue.offer(item).unwrap();
            assert_eq!(queue.take(), Some(Taken { item, free_since_ns }));
        }
    }
}
