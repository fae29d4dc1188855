//! The io loop and its pacer, in one thread.

use std::sync::mpsc::{channel, sync_channel};

use super::*;
use crate::ids::Ids;
use crate::plan::target::{Endpoint, Target};

fn io_loop(address: SocketAddr) -> (IoLoop, Arc<mio::Waker>) {
    let target = Target::parse(&format!("http://{address}")).unwrap();
    let endpoint = Endpoint::resolve("/x", None, 0).unwrap();
    let facts = DriveFacts {
        name: "x".to_owned(),
        method: "GET".to_owned(),
        url: "http://h/x".to_owned(),
        host: "h".to_owned(),
        port: 1,
        bodies_bytes: vec![0],
        run_id: "r".to_owned(),
        ids: Ids::new(1),
    };
    let config = IoConfig {
        address,
        template: RequestTemplate::new(&target, &endpoint, "r", &[], vec![Vec::new()]),
        facts: Arc::new(facts),
        connections_max: 1,
        timeout_ns: TICK_NS,
        progress: Arc::default(),
        from_pacer: channel().1,
        to_pacer: channel().0,
        recorder: sync_channel(1).0,
    };
    IoLoop::new(config).unwrap()
}

/// Seen to fail if the pacer's waker is the only one: its closed descriptor is no event, and the loop keeps sleeping.
#[test]
fn the_last_wake_up_of_a_finished_pacer_arrives() {
    let (mut io_loop, waker) = io_loop(SocketAddr::from(([127, 0, 0, 1], 1)));
    waker.wake().unwrap();
    drop(waker);
    let mut events = Events::with_capacity(EVENTS_MAX);
    io_loop.poll_once(&mut events).unwrap();
    assert!(events.iter().any(|event| event.token() == WAKER));
}
