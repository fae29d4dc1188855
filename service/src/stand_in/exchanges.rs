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

/// At most one exchange for each call of the plan.
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
    pub fn start(&mut self, call: usize, exchange: Exchange, calls: &Calls, clock: Clock, mailbox: &Mailbox) {
        let mut open = Open {
            call,
            exchange,
            woken: Arc::new(Woken {
                thread: thread::current(),
                clock,
                at_ns: AtomicU64::new(0),
            }),
            cpu_ns: 0,
        };
        match open.poll(calls) {
            Poll::Ready(exchanged) => mailbox.put(exchanged.of_call(call, CallCpu::OnSlot(0))),
            Poll::Pending => self.open.push(open),
        }
    }

    /// Continues the exchanges that can continue. `was_busy` is whether the thread did other work. An answer then counts from
    /// the time when it could be read.
    pub fn poll(&mut self, calls: &Calls, clock: Clock, mailbox: &Mailbox, was_busy: bool) {
        self.open.retain_mut(|open| {
            let woken_ns = open.woken.at_ns.swap(0, Ordering::AcqRel);
            if woken_ns == 0 {
                return true;
            }
            let (begin_ns, before) = (clock.now_ns(), meter::read());
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
