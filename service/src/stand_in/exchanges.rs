//! [`Exchanges`]: the calls in progress that an invocation's slot executes on its own thread, as the services of this project do.
//! A change of threads takes 15 to 30 us, so a call that another thread executes takes longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::calls::{Calls, Exchange, Exchanged};
use super::mailbox::{CallCpu, Mailbox};
use crate::clock::Clock;
use crate::meter;

/// The exchanges in progress; at most one for each call of the plan.
#[derive(Default)]
pub struct Exchanges {
    open: Vec<Open>,
}

struct Open {
    call: usize,
    exchange: Exchange,
    woken: Arc<Woken>,
    /// CPU time after the first poll, which sends the request.
    cpu_ns: u64,
}

/// Wakes the slot's thread.
struct Woken {
    thread: Thread,
    clock: Clock,
    /// The time of the first wake-up that was not handled yet; 0 if there is none.
    at_ns: AtomicU64,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let now_ns = self.clock.now_ns();
        // A failure means that an earlier wake-up is not handled yet.
        let _ = self
            .at_ns
            .compare_exchange(0, now_ns, Ordering::AcqRel, Ordering::Relaxed);
        self.thread.unpark();
    }
}

impl Open {
    fn poll(&mut self, calls: &Calls) -> Poll<Exchanged> {
        let _context = calls.runtime().enter();
        let waker = Waker::from(self.woken.clone());
        self.exchange.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Exchanges {
    /// Sends a request on the current thread.
    pub fn start(&mut self, call: usize, exchange: Exchange, calls: &Calls, mailbox: &Mailbox) {
        let mut open = Open {
            call,
            exchange,
            woken: Arc::new(Woken {
                thread: thread::current(),
                clock: calls.clock(),
                at_ns: AtomicU64::new(0),
            }),
            cpu_ns: 0,
        };
        match open.poll(calls) {
            Poll::Ready(exchanged) => mailbox.put(exchanged.of_call(call, CallCpu::OnSlot(0))),
            Poll::Pending => self.open.push(open),
        }
    }

    /// Continues the exchanges that can continue. `was_busy` is whether the thread did other work. If it did, an answer counts
    /// from the time at which it could be read.
    pub fn poll(&mut self, calls: &Calls, mailbox: &Mailbox, was_busy: bool) {
        self.open.retain_mut(|open| {
            let woken_ns = open.woken.at_ns.swap(0, Ordering::AcqRel);
            if woken_ns == 0 {
                return true;
            }
            let (begin_ns, before) = (calls.clock().now_ns(), meter::read());
            let polled = open.poll(calls);
            open.cpu_ns += meter::read().since(before).cpu_ns;
            let Poll::Ready(mut exchanged) = polled else {
                return true;
            };
            if was_busy {
                let late_ns = begin_ns.saturating_sub(woken_ns);
                exchanged.at_ns = exchanged.at_ns.saturating_sub(late_ns);
            }
            mailbox.put(exchanged.of_call(open.call, CallCpu::OnSlot(open.cpu_ns)));
            false
        });
    }

    /// Hands the exchanges in progress to the thread of calls, because the invocation leaves its thread.
    pub fn hand_over(&mut self, calls: &Calls, mailbox: &Arc<Mailbox>) {
        for open in self.open.drain(..) {
            calls.spawn(open.exchange, Some((mailbox.clone(), open.call)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;
    use crate::stand_in::counters::Counters;

    const CALL: usize = 3;

    /// Exchanges with one call, which is answered through the channel `answer`.
    struct Scene {
        clock: Clock,
        calls: Calls,
        mailbox: Arc<Mailbox>,
        exchanges: Exchanges,
        answer: oneshot::Sender<u16>,
        _runtime: tokio::runtime::Runtime,
    }

    fn started() -> Scene {
        let clock = Clock::start();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let calls = Calls::new(runtime.handle().clone(), clock, Arc::<Counters>::default());
        let (answer, answered) = oneshot::channel();
        let exchange: Exchange = Box::pin(async move {
            let status = answered.await.unwrap();
            Exchanged {
                at_ns: clock.now_ns(),
                result: Ok(status),
                response_ns: None,
            }
        });
        let (mailbox, mut exchanges) = (Arc::<Mailbox>::default(), Exchanges::default());
        exchanges.start(CALL, exchange, &calls, &mailbox);
        Scene {
            clock,
            calls,
            mailbox,
            exchanges,
            answer,
            _runtime: runtime,
        }
    }

    #[test]
    fn a_busy_thread_counts_an_answer_from_its_arrival() {
        let mut scene = started();
        scene.exchanges.poll(&scene.calls, &scene.mailbox, true);
        assert_eq!(scene.mailbox.first_ns(), None);
        scene.answer.send(200).unwrap();
        let arrived_ns = scene.clock.now_ns();
        thread::sleep(Duration::from_millis(5));
        let begin_ns = scene.clock.now_ns();
        scene.exchanges.poll(&scene.calls, &scene.mailbox, true);
        let took_ns = scene.clock.now_ns() - begin_ns;
        let at_ns = scene.mailbox.first_ns().unwrap();
        assert!(at_ns <= arrived_ns + took_ns, "{at_ns} {arrived_ns} {took_ns}");
    }

    #[test]
    fn a_call_continues_without_the_thread_that_started_it() {
        let mut scene = started();
        scene.exchanges.hand_over(&scene.calls, &scene.mailbox);
        scene.mailbox.read_by(thread::current());
        scene.answer.send(503).unwrap();
        while scene.mailbox.first_ns().is_none() {
            thread::park_timeout(Duration::from_secs(30));
        }
        let answers = scene.mailbox.take();
        assert_eq!((answers[0].call, answers[0].result), (CALL, Ok(503)));
        assert!(matches!(answers[0].cpu, CallCpu::Elsewhere(_)), "{answers:?}");
    }
}
