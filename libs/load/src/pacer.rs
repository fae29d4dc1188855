//! [`Pacer`]: the thread that writes each request to an idle connection at the scheduled time, or passes the request to the io
//! loop.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use mio::net::TcpStream;

use crate::backlog::Backlog;
use crate::clock;
use crate::composer::{Feed, Next};
use crate::exchange::{Exchange, Failure, Request, Sent};
use crate::http::request::traceparent;
use crate::ids::Ids;
use crate::progress::DriveProgress;
use crate::stream::Prepared;

/// Time from when the first requests are prepared to the start of the schedule, nanoseconds. It gives the other threads time to
/// start.
const LEAD_NS: u64 = 20_000_000;

/// Messages from the pacer to the io loop. Each request causes `Sent` (perhaps followed by `Unfinished`), `HandOver` or `Refused`.
/// While too many refusals are unread, further refusals are only counted.
/// `Finished` is the last message.
#[derive(Debug)]
pub enum FromPacer {
    /// The request is being written to the connection with this token. The pacer sends this message before it writes the
    /// first byte, so that the io loop knows every request before its response can arrive.
    Sent(usize, Sent, Arc<Prepared>),
    /// The socket has taken only a part of the request: the io loop writes the rest.
    Unfinished {
        token: usize,
        /// Bytes that the socket has taken.
        written: usize,
    },
    /// No connection to the target was idle, so the io loop must send the request as soon as possible. If the pacer has an idle
    /// connection to another target, it hands this connection over, too: the io loop may have to close this connection before it
    /// can open another one.
    HandOver(Request, Arc<Prepared>, Option<usize>),
    /// The request was not sent, because too many requests wait for a connection.
    Refused(Exchange),
    Finished {
        /// Whether the pacer stopped before the last request.
        interrupted: bool,
    },
}

/// Messages from the io loop to the pacer.
#[derive(Debug)]
pub enum ToPacer {
    /// A connection is idle, and the pacer may use it.
    Free {
        target: usize,
        token: usize,
        stream: Arc<TcpStream>,
    },
    /// The server has closed an idle connection.
    Gone { target: usize, token: usize },
}

pub struct Pacer {
    pub feed: Feed,
    pub to_io: Sender<FromPacer>,
    /// Wakes the io loop if no socket event will do so.
    pub io_waker: Arc<mio::Waker>,
    /// Receives idle connections.
    pub from_io: Receiver<ToPacer>,
    pub backlog: Arc<Backlog>,
    pub ids: Ids,
    pub first_number: u64,
    pub stop: &'static AtomicBool,
    pub progress: Arc<DriveProgress>,
    /// The idle connections, by target.
    pub idle: Vec<Vec<(usize, Arc<TcpStream>)>>,
    /// Whether the io loop has failed. The pacer then stops, and the load ends with an error.
    pub io_ended: bool,
}

impl Pacer {
    /// Sends each request at its scheduled time. `gap_ns` is the mean time between requests. Returns the number of requests that
    /// were due, including those passed to the io loop.
    pub fn run(mut self, gap_ns: u64) -> u64 {
        clock::set_finest_timer_slack();
        let spin_ns = clock::spin_ns(gap_ns);
        self.feed.wait_until_filled();
        let start_ns = clock::monotonic_ns() + LEAD_NS;
        let mut due = 0;
        let stop = self.stop;
        let is_stopped = || stop.load(Ordering::Relaxed);
        let interrupted = loop {
            let prepared = match self.feed.next(is_stopped) {
                Next::Request(prepared) => prepared,
                Next::End => break false,
                Next::Stopped => break true,
            };
            let intended_ns = start_ns.saturating_add(prepared.offset_ns);
            if !clock::wait_until(intended_ns, spin_ns, is_stopped) {
                break true;
            }
            let number = self.first_number + due;
            let offset_ns = prepared.offset_ns;
            take_back(&self.from_io, &mut self.idle);
            self.send(Request { number, intended_ns }, prepared);
            due += 1;
            self.progress.last_offset_ns.store(offset_ns, Ordering::Relaxed);
            self.progress.due.store(due, Ordering::Relaxed);
            if self.io_ended {
                break true;
            }
        };
        self.send_to_io(FromPacer::Finished { interrupted });
        self.wake_io();
        due
    }

    fn send(&mut self, request: Request, prepared: Arc<Prepared>) {
        let idle = self.idle.get_mut(prepared.target).and_then(Vec::pop);
        let Some((token, stream)) = idle else {
            self.hand_over(request, prepared);
            return;
        };
        let traceparent = traceparent(self.ids, request.number);
        let sent = Sent::now(request);
        self.send_to_io(FromPacer::Sent(token, sent, Arc::clone(&prepared)));
        // An error counts as nothing written, because the io loop will get the same error and handle it.
        let written = (&*stream)
            .write_vectored(&prepared.slices_from(&traceparent, 0))
            .unwrap_or(0);
        let is_unfinished = written < prepared.len_bytes();
        if is_unfinished {
            self.send_to_io(FromPacer::Unfinished { token, written });
        }
        // If the io loop has dropped the connection in the meantime, the socket causes no event.
        if is_unfinished || Arc::strong_count(&stream) == 1 {
            self.wake_io();
        }
        self.progress.count_sent(&sent);
    }

    fn hand_over(&mut self, request: Request, prepared: Arc<Prepared>) {
        let message = if self.backlog.try_add(prepared.held_bytes()) {
            let spare = self.idle.iter_mut().find_map(Vec::pop).map(|(token, _)| token);
            FromPacer::HandOver(request, prepared, spare)
        } else if self.progress.count_refused() {
            FromPacer::Refused(Exchange::failed(
                Sent::now(request),
                &prepared,
                Failure::QueueFull,
            ))
        } else {
            // Many refusals are unread, so the io loop is not reading messages at present, and need not be woken.
            return;
        };
        self.send_to_io(message);
        self.wake_io();
    }

    fn send_to_io(&mut self, message: FromPacer) {
        self.io_ended |= self.to_io.send(message).is_err();
    }

    fn wake_io(&self) {
        // Fails only if the io loop has ended. The io loop also wakes up by itself every few milliseconds.
        let _ = self.io_waker.wake();
    }
}

fn take_back(from_io: &Receiver<ToPacer>, idle: &mut [Vec<(usize, Arc<TcpStream>)>]) {
    while let Ok(message) = from_io.try_recv() {
        match message {
            ToPacer::Free {
                target,
                token,
                stream,
            } => idle[target].push((token, stream)),
            ToPacer::Gone { target, token } => {
                idle[target].retain(|(idle_token, _)| *idle_token != token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;
    use crate::composer::composer;
    use crate::progress::REFUSALS_MAX;
    use crate::stream::{Requests, SourceError};
    use crate::testing::get;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    struct Nothing;

    impl Requests for Nothing {
        fn next(&mut self) -> Result<Option<Prepared>, SourceError> {
            Ok(None)
        }
    }

    struct Endless;

    impl Requests for Endless {
        fn next(&mut self) -> Result<Option<Prepared>, SourceError> {
            Ok(Some(get(0)))
        }
    }

    fn pacer(waker: mio::Waker, to_io: Sender<FromPacer>, targets: usize) -> Pacer {
        Pacer {
            feed: composer(Box::new(Nothing), targets).1,
            to_io,
            io_waker: Arc::new(waker),
            from_io: channel().1,
            backlog: Arc::default(),
            ids: Ids::new(1),
            first_number: 0,
            stop: &GO_ON,
            progress: Arc::default(),
            idle: vec![Vec::new(); targets],
            io_ended: false,
        }
    }

    fn prepared(target: usize) -> Arc<Prepared> {
        Arc::new(get(target))
    }

    fn request(number: u64) -> Request {
        Request {
            number,
            intended_ns: 0,
        }
    }

    fn connect(server: &TcpListener) -> Arc<TcpStream> {
        let stream = std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap();
        Arc::new(TcpStream::from_std(stream))
    }

    /// The pacer must wake the io loop for unfinished writes, and also if the loop has dropped the connection.
    #[test]
    fn the_io_loop_is_woken_for_a_connection_that_it_has_dropped() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut poll = Poll::new().unwrap();
        let (to_io, received) = channel();
        let mut pacer = pacer(mio::Waker::new(poll.registry(), Token(0)).unwrap(), to_io, 1);
        let (shared, own) = (connect(&server), connect(&server));
        let mut events = Events::with_capacity(1);
        pacer.idle[0].push((1, Arc::clone(&shared)));
        pacer.send(request(0), prepared(0));
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty(), "its response will wake the loop");
        pacer.idle[0].push((1, own));
        pacer.send(request(1), prepared(0));
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(!events.is_empty());
        assert_eq!(received.try_iter().count(), 2);
    }

    #[test]
    fn a_hand_over_gives_back_an_idle_connection_of_another_target() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let poll = Poll::new().unwrap();
        let (to_io, received) = channel();
        let mut pacer = pacer(mio::Waker::new(poll.registry(), Token(0)).unwrap(), to_io, 3);
        pacer.idle[2].push((7, connect(&server)));
        pacer.send(request(0), prepared(1));
        pacer.send(request(1), prepared(2));
        let spares: Vec<Option<usize>> = received
            .try_iter()
            .map(|message| match message {
                FromPacer::HandOver(_, _, spare) => spare,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(spares, [Some(7), None]);
    }

    /// While the io loop waits for the recorder, it does not read messages.
    #[test]
    fn refusals_that_nobody_reads_are_bounded_and_the_others_counted() {
        let poll = Poll::new().unwrap();
        let (to_io, received) = channel();
        let mut pacer = pacer(mio::Waker::new(poll.registry(), Token(0)).unwrap(), to_io, 1);
        assert!(pacer.backlog.try_add(512 << 20), "the backlog is full");
        let prepared = prepared(0);
        for number in 0..REFUSALS_MAX + 5 {
            pacer.hand_over(request(number), Arc::clone(&prepared));
        }
        assert_eq!(received.try_iter().count() as u64, REFUSALS_MAX);
        assert_eq!(pacer.progress.undescribed.load(Ordering::Relaxed), 5);
        assert_eq!(pacer.progress.failed.load(Ordering::Relaxed), 5);
        assert_eq!(pacer.progress.in_flight(), 0);
        pacer.progress.count_read_refusal();
        pacer.hand_over(request(0), prepared);
        assert_eq!(received.try_iter().count(), 1);
    }

    /// If the pacer went on, the failure would be noticed only at the end of the schedule.
    #[test]
    fn a_pacer_stops_when_the_io_loop_has_failed() {
        let poll = Poll::new().unwrap();
        let (to_io, received) = channel();
        let (composer, feed) = composer(Box::new(Endless), 1);
        let pacer = Pacer {
            feed,
            ..pacer(mio::Waker::new(poll.registry(), Token(0)).unwrap(), to_io, 1)
        };
        drop(received);
        let composing = std::thread::spawn(move || composer.run().is_ok());
        assert_eq!(pacer.run(1), 1);
        assert!(composing.join().unwrap());
    }
}
