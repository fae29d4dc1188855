//! The pacing thread: at each absolute time it writes one request to an idle connection, or hands it over if none is idle.

use std::io::{IoSlice, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use mio::net::TcpStream;

use super::clock;
use super::exchange::{Progress, Request, Sent};
use super::ids::Ids;
use super::request::RequestTemplate;

/// What the pacer tells the io loop, in this order for each request.
#[derive(Debug)]
pub enum FromPacer {
    /// This request's bytes are being written to the connection. Said before the first byte, so that no response can
    /// arrive that the io loop knows nothing of.
    Sent {
        /// The connection.
        token: usize,
        /// The request with its stamps.
        sent: Sent,
    },
    /// The socket did not take it all: the io loop writes the rest.
    Unfinished {
        /// The connection.
        token: usize,
        /// Bytes that the socket took.
        written: usize,
    },
    /// No connection was idle: the io loop sends this one as soon as it can.
    HandOver(Request),
    /// No more requests will come.
    Finished {
        /// Whether that is because of an interrupt.
        interrupted: bool,
    },
}

/// What the io loop tells the pacer.
#[derive(Debug)]
pub enum ToPacer {
    /// A connection is idle and now the pacer's to use.
    Free {
        /// The connection.
        token: usize,
        /// Its socket.
        stream: Arc<TcpStream>,
    },
    /// An idle connection was closed by the server.
    Gone {
        /// The connection.
        token: usize,
    },
}

/// The pacing thread's state.
pub struct Pacer {
    /// Sends to the io loop.
    pub to_io: Sender<FromPacer>,
    /// Wakes the io loop where no socket event would.
    pub io_waker: Arc<mio::Waker>,
    /// Idle connections come in here.
    pub from_io: Receiver<ToPacer>,
    /// What is sent.
    pub template: RequestTemplate,
    /// Ids by request number.
    pub ids: Ids,
    /// Number of the first request.
    pub first_number: u64,
    /// Stops the pacer early.
    pub stop: &'static AtomicBool,
    /// Counts requests that were due.
    pub progress: Arc<Progress>,
}

impl Pacer {
    /// Sends one request at each of `offsets_ns` after `start_ns` (monotonic clock). `gap_ns` is the mean gap.
    /// Returns how many were due, including those handed over.
    pub fn run(mut self, offsets_ns: impl Iterator<Item = u64>, start_ns: u64, gap_ns: u64) -> u64 {
        clock::set_finest_timer_slack();
        let spin_ns = clock::spin_ns(gap_ns);
        let mut idle: Vec<(usize, Arc<TcpStream>)> = Vec::new();
        let mut due = 0;
        let mut interrupted = false;
        for offset_ns in offsets_ns {
            let intended_ns = start_ns.saturating_add(offset_ns);
            if !clock::wait_until(intended_ns, spin_ns, || self.stop.load(Ordering::Relaxed)) {
                interrupted = true;
                break;
            }
            self.take_back(&mut idle);
            self.send(
                Request {
                    number: self.first_number + due,
                    intended_ns,
                },
                idle.pop(),
            );
            due += 1;
            self.progress.due.store(due, Ordering::Relaxed);
        }
        self.tell(FromPacer::Finished { interrupted });
        self.wake_io();
        due
    }

    fn take_back(&self, idle: &mut Vec<(usize, Arc<TcpStream>)>) {
        while let Ok(message) = self.from_io.try_recv() {
            match message {
                ToPacer::Free { token, stream } => idle.push((token, stream)),
                ToPacer::Gone { token } => idle.retain(|(idle_token, _)| *idle_token != token),
            }
        }
    }

    fn send(&mut self, request: Request, connection: Option<(usize, Arc<TcpStream>)>) {
        let Some((token, stream)) = connection else {
            self.tell(FromPacer::HandOver(request));
            self.wake_io();
            return;
        };
        self.template.set_request(request.number, self.ids);
        let (head, body) = self.template.parts_from(0);
        self.tell(FromPacer::Sent {
            token,
            sent: Sent::now(request),
        });
        // An error counts as nothing written: the io loop meets it again and decides what to do.
        let written = (&*stream)
            .write_vectored(&[IoSlice::new(head), IoSlice::new(body)])
            .unwrap_or(0);
        let is_unfinished = written < self.template.len_bytes();
        if is_unfinished {
            self.tell(FromPacer::Unfinished { token, written });
        }
        // Where the io loop has let go of the connection meanwhile, no event of its socket comes any more.
        if is_unfinished || Arc::strong_count(&stream) == 1 {
            self.wake_io();
        }
    }

    /// The io loop outlives the pacer except when it has failed, and then nothing is left to tell.
    fn tell(&self, message: FromPacer) {
        let _ = self.to_io.send(message);
    }

    fn wake_io(&self) {
        // Fails only when the io loop's poll is gone; it also wakes by itself every few milliseconds.
        let _ = self.io_waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;
    use crate::target::{Endpoint, Target};

    static GO_ON: AtomicBool = AtomicBool::new(false);

    /// Seen to fail with a wake for unfinished writes only.
    #[test]
    fn the_io_loop_is_woken_for_a_connection_that_it_has_let_go_of() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let mut poll = Poll::new().unwrap();
        let (to_io, heard) = channel();
        let target = Target::parse(&format!("http://{address}")).unwrap();
        let endpoint = Endpoint::resolve("/x", None, 0).unwrap();
        let mut pacer = Pacer {
            to_io,
            io_waker: Arc::new(mio::Waker::new(poll.registry(), Token(0)).unwrap()),
            from_io: channel().1,
            template: RequestTemplate::new(&target, &endpoint, "r", &[], vec![Vec::new()]),
            ids: Ids::of_this_process(1),
            first_number: 0,
            stop: &GO_ON,
            progress: Arc::default(),
        };
        let mut send = |number, stream| {
            pacer.send(
                Request {
                    number,
                    intended_ns: 0,
                },
                Some((1, stream)),
            )
        };
        let connect = || {
            let stream = std::net::TcpStream::connect(address).unwrap();
            Arc::new(TcpStream::from_std(stream))
        };
        let (shared, own) = (connect(), connect());
        let mut events = Events::with_capacity(1);
        send(0, Arc::clone(&shared));
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty(), "an answer will wake it");
        send(1, own);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(!events.is_empty());
        assert_eq!(heard.try_iter().count(), 2);
    }
}
