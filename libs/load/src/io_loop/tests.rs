//! The io loop and its pacer, in one thread.

use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};

use super::*;
use crate::backlog::Backlog;
use crate::exchange::Request;
use crate::ids::Ids;
use crate::testing::get;

/// A loop with the other ends of its channels.
struct Rig {
    io_loop: IoLoop,
    waker: Arc<mio::Waker>,
    to_io: Sender<FromPacer>,
    from_io: Receiver<ToPacer>,
    servers: Vec<TcpListener>,
}

fn rig(targets: usize, connections_max: usize) -> Rig {
    let servers: Vec<TcpListener> = (0..targets)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let (to_io, from_pacer) = channel();
    let (to_pacer, from_io) = channel();
    let backlog = Arc::<Backlog>::default();
    // The tests hand over what the pacer would have counted.
    (0..8).for_each(|_| assert!(backlog.try_add(1 << 20)));
    let config = IoConfig {
        targets: servers
            .iter()
            .map(|server| server.local_addr().unwrap())
            .collect(),
        ids: Ids::new(1),
        connections_max,
        // No request times out within a test.
        timeout_ns: u64::MAX / 2,
        progress: Arc::default(),
        backlog,
        from_pacer,
        to_pacer,
        recorder: sync_channel(64).0,
    };
    let (io_loop, waker) = IoLoop::new(config).unwrap();
    Rig {
        io_loop,
        waker,
        to_io,
        from_io,
        servers,
    }
}

impl Rig {
    fn hand_over(&self, number: u64, target: usize, spare: Option<usize>) {
        let request = Request {
            number,
            intended_ns: monotonic_ns(),
        };
        let message = FromPacer::HandOver(request, Arc::new(get(target)), spare);
        self.to_io.send(message).unwrap();
        self.waker.wake().unwrap();
    }

    /// Polls until `done`, or fails.
    fn poll_until(&mut self, done: impl Fn(&IoLoop) -> bool) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        for _ in 0..1_000 {
            if done(&self.io_loop) {
                return;
            }
            self.io_loop.poll_once(&mut events).unwrap();
        }
        panic!("the loop never got there");
    }
}

/// This test fails if the pacer's waker is the only one: closing its descriptor causes no event, and the loop keeps sleeping.
#[test]
fn the_last_wake_up_of_a_finished_pacer_arrives() {
    let Rig {
        mut io_loop,
        waker,
        to_io: _to_io,
        ..
    } = rig(1, 1);
    waker.wake().unwrap();
    drop(waker);
    let mut events = Events::with_capacity(EVENTS_MAX);
    io_loop.poll_once(&mut events).unwrap();
    assert!(events.iter().any(|event| event.token() == WAKER));
}

#[test]
fn an_idle_connection_is_closed_for_a_target_that_has_none() {
    let mut rig = rig(2, 1);
    rig.io_loop.warm_up(1).unwrap();
    let Ok(ToPacer::Free { target, token, .. }) = rig.from_io.try_recv() else {
        panic!("no connection");
    };
    assert_eq!(target, 0);
    rig.hand_over(0, 1, Some(token));
    rig.poll_until(|io_loop| io_loop.pool.carrying() == 1);
    let lanes = &rig.io_loop.pool.lanes;
    assert_eq!((lanes.connections(0), lanes.connections(1)), (0, 1));
    assert!(rig.servers[1].accept().is_ok());
}

#[test]
fn a_spare_connection_goes_back_to_the_pacer_while_there_is_room() {
    let mut rig = rig(2, 2);
    rig.io_loop.warm_up(1).unwrap();
    let Ok(ToPacer::Free { token, .. }) = rig.from_io.try_recv() else {
        panic!("no connection");
    };
    rig.hand_over(0, 1, Some(token));
    rig.poll_until(|io_loop| io_loop.pool.carrying() == 1);
    assert_eq!(rig.io_loop.pool.count(), 2);
    assert!(matches!(
        rig.from_io.try_recv(),
        Ok(ToPacer::Free { target: 0, .. })
    ));
}

#[test]
fn a_connection_gives_way_to_the_others_after_each_read() {
    const BUFFER: usize = 1024;
    const BODY: usize = 40 * BUFFER;
    let mut rig = rig(1, 1);
    rig.io_loop.buffer = vec![0; BUFFER];
    rig.hand_over(0, 0, None);
    rig.poll_until(|io_loop| io_loop.pool.carrying() == 1);
    let (stream, _) = rig.servers[0].accept().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n");
    let response = [head.as_bytes(), &[b'x'; BODY]].concat();
    std::io::Write::write_all(&mut &stream, &response).unwrap();
    let turns = std::cell::Cell::new(0);
    rig.poll_until(|io_loop| {
        turns.set(turns.get() + 1);
        io_loop.pool.carrying() == 0
    });
    // One read for an event and one for the bytes that remained: two a turn at most.
    assert!(turns.get() >= BODY / BUFFER / 2, "{} turns", turns.get());
    assert!(rig.io_loop.unread.is_empty());
}

#[test]
fn a_waiting_target_gets_the_next_free_connection_in_its_turn() {
    let mut rig = rig(2, 1);
    rig.hand_over(0, 0, None);
    rig.hand_over(1, 1, None);
    rig.hand_over(2, 0, None);
    for target in [0, 1, 0] {
        rig.poll_until(|io_loop| io_loop.pool.carrying() == 1 && io_loop.pool.lanes.connections(target) == 1);
        let (stream, _) = rig.servers[target].accept().unwrap();
        std::io::Write::write_all(&mut &stream, b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        rig.poll_until(|io_loop| io_loop.pool.carrying() == 0 || io_loop.pool.lanes.connections(target) == 0);
    }
    assert!(rig.io_loop.pool.lanes.is_empty());
}

/// This test failed when the connection stayed with the finished pacer: the request then waited for its timeout.
#[test]
fn a_request_handed_over_last_gets_the_connection_that_the_pacer_left() {
    for last_target in [0, 1] {
        let mut rig = rig(2, 1);
        rig.io_loop.warm_up(1).unwrap();
        // The pacer has not read yet that the connection is free.
        rig.hand_over(0, last_target, None);
        let mut events = Events::with_capacity(EVENTS_MAX);
        rig.io_loop.poll_once(&mut events).unwrap();
        assert_eq!(rig.io_loop.pool.carrying(), 0);
        rig.to_io
            .send(FromPacer::Finished { interrupted: false })
            .unwrap();
        rig.waker.wake().unwrap();
        rig.poll_until(|io_loop| io_loop.pool.carrying() == 1);
        assert_eq!(rig.io_loop.pool.lanes.connections(last_target), 1);
    }
}
