//! The pacing thread: at each scheduled time it writes one request to an idle connection, or passes it to the io loop.

use std::io::{IoSlice, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use mio::net::TcpStream;

use crate::clock;
use crate::exchange::{DriveProgress, Request, Sent};
use crate::http::template::RequestTemplate;
use crate::ids::Ids;

/// Messages from the pacer to the io loop, in this order for each request.
#[derive(Debug)]
pub enum FromPacer {
    /// The request is being written to the connection. Sent before the first byte, so that the io loop knows every request
    /// before its response can arrive.
    Sent { token: usize, sent: Sent },
    /// The socket has taken only a part: the io loop writes the rest.
    Unfinished {
        token: usize,
        /// Bytes that the socket has taken.
        written: usize,
    },
    /// No connection was idle: the io loop sends the request as soon as possible.
    HandOver(Request),
    Finished {
        /// Whether the reason is an interrupt.
        interrupted: bool,
    },
}

/// Messages from the io loop to the pacer.
#[derive(Debug)]
pub enum ToPacer {
    /// A connection is idle, and the pacer may use it.
    Free { token: usize, stream: Arc<TcpStream> },
    /// The server has closed an idle connection.
    Gone { token: usize },
}

pub struct Pacer {
    pub to_io: Sender<FromPacer>,
    /// Wakes the io loop when no socket event will.
    pub io_waker: Arc<mio::Waker>,
    /// Receives idle connections.
    pub from_io: Receiver<ToPacer>,
    pub template: RequestTemplate,
    pub ids: Ids,
    pub first_number: u64,
    pub stop: &'static AtomicBool,
    pub progress: Arc<DriveProgress>,
}

impl Pacer {
    /// Sends one request at each of `offsets_ns` after `start_ns` of the monotonic clock. `gap_ns` is the mean gap.
    /// Returns how many were due, including those passed to the io loop.
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
        self.send_to_io(FromPacer::Finished { interrupted });
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
            self.send_to_io(FromPacer::HandOver(request));
            self.wake_io();
            return;
        };
        self.template.set_request(request.number, self.ids);
        let (head, body) = self.template.parts_from(0);
        self.send_to_io(FromPacer::Sent {
            token,
            sent: Sent::now(request),
        });
        // An error counts as nothing written: the io loop meets the same error and handles it.
        let written = (&*stream)
            .write_vectored(&[IoSlice::new(head), IoSlice::new(body)])
            .unwrap_or(0);
        let is_unfinished = written < self.template.len_bytes();
        if is_unfinished {
            self.send_to_io(FromPacer::Unfinished { token, written });
        }
        // If the io loop has dropped the connection meanwhile, its socket causes no event.
        if is_unfinished || Arc::strong_count(&stream) == 1 {
            self.wake_io();
        }
    }

    /// Fails only if the io loop has failed, which ends the drive with an error.
    fn send_to_io(&self, message: FromPacer) {
        let _ = self.to_io.send(message);
    }

    fn wake_io(&self) {
        // Fails only if the io loop has ended. A running loop also wakes up by itself every few milliseconds.
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
    use crate::plan::target::{Endpoint, Target};

    static GO_ON: AtomicBool = AtomicBool::new(false);

    /// The pacer must wake the io loop not only for unfinished writes, but also if the loop has dropped the connection.
    #[test]
    fn the_io_loop_is_woken_for_a_connection_that_it_has_dropped() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let mut poll = Poll::new().unwrap();
        let (to_io, received) = channel();
        let target = Target::parse(&format!("http://{address}")).unwrap();
        let endpoint = Endpoint::resolve("/x", None, 0).unwrap();
        let mut pacer = Pacer {
            to_io,
            io_waker: Arc::new(mio::Waker::new(poll.registry(), Token(0)).unwrap()),
            from_io: channel().1,
            template: RequestTemplate::new(&target, &endpoint, "r", &[], vec![Vec::new()]),
            ids: Ids::new(1),
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
        assert!(events.is_empty(), "its response will wake the loop");
        send(1, own);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(!events.is_empty());
        assert_eq!(received.try_iter().count(), 2);
    }
}
