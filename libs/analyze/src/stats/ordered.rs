//! [`in_order`]: distributes work over all cores and processes the results in order, so that the outcome does not depend on the
//! threads.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Maximum number of results per thread that wait for an earlier result.
const AHEAD_MAX: usize = 2;

struct State<T, E, F> {
    /// Number of pieces of work that threads have taken.
    taken: usize,
    /// Number of results that were processed.
    absorbed: usize,
    waiting: BTreeMap<usize, T>,
    absorb: F,
    error: Option<E>,
}

/// Calls `work` for each number below `count`, on `threads` threads. Calls `absorb` with the results, in the order of the
/// numbers. Each thread has its own buffer.
///
/// # Errors
/// The first error of `work`. It ends all threads.
pub fn in_order<T: Send, E: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize, &mut Vec<u8>) -> Result<T, E> + Sync,
    absorb: impl FnMut(T) + Send,
) -> Result<(), E> {
    let threads = threads.clamp(1, count.max(1));
    let state = Mutex::new(State {
        taken: 0,
        absorbed: 0,
        waiting: BTreeMap::new(),
        absorb,
        error: None,
    });
    let advanced = Condvar::new();
    let worker = || {
        let mut buffer = Vec::new();
        while let Some(number) = take(&state, &advanced, count, threads) {
            let result = work(number, &mut buffer);
            let mut state = lock(&state);
            match result {
                Ok(result) => absorb_ready(&mut state, number, result),
                Err(error) => state.error = Some(error),
            }
            advanced.notify_all();
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    state.error.map_or(Ok(()), Err)
}

/// The next number. Waits while too many results wait for an earlier one. `None` at the end.
fn take<T, E, F>(
    state: &Mutex<State<T, E, F>>,
    advanced: &Condvar,
    count: usize,
    threads: usize,
) -> Option<usize> {
    let mut state = lock(state);
    loop {
        if state.error.is_some() || state.taken == count {
            return None;
        }
        if state.taken < state.absorbed + AHEAD_MAX * threads {
            state.taken += 1;
            return Some(state.taken - 1);
        }
        state = advanced.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

fn absorb_ready<T, E>(state: &mut State<T, E, impl FnMut(T)>, number: usize, result: T) {
    state.waiting.insert(number, result);
    while let Some(result) = state.waiting.remove(&state.absorbed) {
        (state.absorb)(result);
        state.absorbed += 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_on_any_number_of_threads() {
        for threads in [1, 2, 7] {
            let mut found = Vec::new();
            let work = |number: usize, _: &mut Vec<u8>| Ok::<_, ()>(number * 2);
            in_order(100, threads, work, |result| found.push(result)).unwrap();
            assert_eq!(found, (0..100).map(|number| number * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_all_threads() {
        let work = |number: usize, _: &mut Vec<u8>| if number == 5 { Err("five") } else { Ok(()) };
        assert_eq!(in_order(1000, 3, work, |()| {}), Err("five"));
        assert_eq!(in_order(0, 3, work, |()| {}), Ok(()));
    }
}
