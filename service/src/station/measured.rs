//! [`Measured`]: a future whose polls are charged to its request, separately from its waiting time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::clock::saturating_ns;
use crate::meter::{self, Reading};

/// Whether the polling thread also runs other requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thread {
    /// A thread for one request at a time: a held slot. Run-queue delay between polls is then also charged to this request.
    Own,
    /// A thread for several requests. Only time within polls is charged to this request.
    Shared,
}

/// CPU use and waiting time of a future.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// CPU time and run-queue delay of its polls.
    pub used: Reading,
    /// Time between polls, nanoseconds. With [`Thread::Own`], it does not include run-queue delay.
    pub waiting_ns: u64,
}

/// Wraps a future and adds [`Spent`] to its output.
pub struct Measured<F> {
    inner: Pin<Box<F>>,
    thread: Thread,
    spent: Spent,
    pending_since: Option<(Instant, Reading)>,
}

impl<F: Future> Measured<F> {
    pub fn new(inner: F, thread: Thread) -> Self {
        Self {
            inner: Box::pin(inner),
            thread,
            spent: Spent::default(),
            pending_since: None,
        }
    }

    fn count_waiting(&mut self, now: Instant, reading: Reading) {
        let Some((since, at)) = self.pending_since.take() else {
            return;
        };
        let delay_ns = match self.thread {
            Thread::Own => reading.since(at).wait_ns,
            Thread::Shared => 0,
        };
        let waited_ns = saturating_ns(now.saturating_duration_since(since)).saturating_sub(delay_ns);
        self.spent.waiting_ns = self.spent.waiting_ns.saturating_add(waited_ns);
    }
}

impl<F: Future> Future for Measured<F> {
    type Output = (F::Output, Spent);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let before = meter::read();
        self.count_waiting(Instant::now(), before);
        let polled = self.inner.as_mut().poll(context);
        let after = meter::read();
        self.spent.used.add(after.since(before));
        match polled {
            Poll::Ready(output) => Poll::Ready((output, self.spent)),
            Poll::Pending => {
                self.pending_since = Some((Instant::now(), after));
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::thread_cpu_ns;
    use std::time::Duration;

    fn burn(cpu_ns: u64) {
        let end = thread_cpu_ns() + cpu_ns;
        while thread_cpu_ns() < end {}
    }

    #[test]
    fn waiting_is_not_work_and_work_is_not_waiting() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let future = async {
            burn(4_000_000);
            tokio::time::sleep(Duration::from_millis(30)).await;
            burn(4_000_000);
            7
        };
        let before = meter::read();
        let (output, spent) = runtime.block_on(Measured::new(future, Thread::Own));
        let delay_ns = meter::read().since(before).wait_ns;
        assert_eq!(output, 7);
        assert!(spent.used.cpu_ns >= 8_000_000, "{spent:?}");
        // On a busy machine, a part of the sleep can be run-queue delay.
        assert!(
            spent.waiting_ns + delay_ns >= 30_000_000,
            "{spent:?} and {delay_ns} ns"
        );
    }
}
