//! [`Events`]: the stream of server-sent events, one state a second for a bounded number of viewers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// Maximum number of viewers. Each costs a connection and a copy of 10 to 200 kB a second.
pub const VIEWERS_MAX: usize = 16;
/// Number of states that can wait for one viewer, in addition to those in the connection's buffers (`HTTP1_BUFFER_BYTES_MAX`).
/// A viewer that reads slowly misses states.
const STATES_QUEUED_MAX: usize = 1;
/// If a viewer reads nothing for this time, its stream ends, and a new viewer can take its place.
const STALLED_MAX: Duration = Duration::from_secs(60);
/// Time after which a browser that has lost its connection connects again, milliseconds.
const RETRY_MS: u64 = 2_000;
/// Maximum age of a state that a new viewer gets.
const STATE_AGE_MAX: Duration = Duration::from_secs(1);

/// The last state, which all viewers share.
#[derive(Clone)]
struct Message {
    bytes: Bytes,
    made: Option<Instant>,
}

pub struct Events {
    places: Arc<Semaphore>,
    last: watch::Sender<Message>,
    number: AtomicU64,
    ended: watch::Sender<bool>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(VIEWERS_MAX)),
            last: watch::Sender::new(Message {
                bytes: Bytes::new(),
                made: None,
            }),
            number: AtomicU64::new(0),
            ended: watch::Sender::new(false),
        }
    }
}

impl Events {
    pub fn has_viewers(&self) -> bool {
        self.places.available_permits() < VIEWERS_MAX
    }

    /// Sends a state to all viewers. It must be compact JSON, which contains no line break.
    pub fn publish(&self, state: &str) {
        let id = self.number.fetch_add(1, Ordering::Relaxed);
        self.last.send_replace(Message {
            bytes: format!("id: {id}\nretry: {RETRY_MS}\ndata: {state}\n\n").into(),
            made: Some(Instant::now()),
        });
    }

    /// The body for a new viewer; `None` if there are too many viewers. The body begins with a state. `state` is called only
    /// if the last state is too old.
    pub fn subscribe(&self, state: impl FnOnce() -> String) -> Option<Stream> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let is_recent = |last: &Message| last.made.is_some_and(|made| made.elapsed() < STATE_AGE_MAX);
        if !is_recent(&self.last.borrow()) {
            self.publish(&state());
        }
        let (sender, states) = mpsc::channel(STATES_QUEUED_MAX);
        let mut last = self.last.subscribe();
        last.mark_changed();
        let ended = self.ended.subscribe();
        tokio::spawn(async move { forward(last, ended, sender, place).await });
        Some(Stream { states })
    }

    /// Ends all streams.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }
}

/// Passes on each state until the viewer disconnects or stops reading.
async fn forward(
    mut last: watch::Receiver<Message>,
    mut ended: watch::Receiver<bool>,
    sender: mpsc::Sender<Bytes>,
    _place: OwnedSemaphorePermit,
) {
    while let Ok(Ok(room)) = tokio::time::timeout(STALLED_MAX, sender.reserve()).await {
        let changed = tokio::select! {
            biased;
            changed = last.changed() => changed,
            () = sender.closed() => return,
            _ = ended.wait_for(|ended| *ended) => return,
        };
        if changed.is_err() {
            return;
        }
        room.send(last.borrow_and_update().bytes.clone());
    }
}

/// A viewer's body.
pub struct Stream {
    states: mpsc::Receiver<Bytes>,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let state = self.states.poll_recv(context);
        state.map(|state| state.map(|state| Ok(Frame::data(state))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn next(stream: &mut Stream) -> String {
        let frame = stream.frame().await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_viewer_that_never_reads_holds_one_state_and_stops_nobody() {
        let events = Events::default();
        let mut silent = events.subscribe(|| "first".to_owned()).unwrap();
        let mut reading = events.subscribe(|| panic!("there is a recent state")).unwrap();
        assert_eq!(next(&mut reading).await, "id: 0\nretry: 2000\ndata: first\n\n");
        for number in 1..1000 {
            events.publish(&number.to_string());
            assert!(next(&mut reading).await.contains(&format!("data: {number}\n")));
            assert!(silent.states.len() <= STATES_QUEUED_MAX);
        }
        // The viewer first gets the state that it had not read, and then the latest one.
        assert!(next(&mut silent).await.contains("data: first\n"));
        assert!(next(&mut silent).await.contains("data: 999\n"));
        events.end();
        assert!(silent.frame().await.is_none() && reading.frame().await.is_none());
    }

    #[tokio::test]
    async fn the_place_of_a_viewer_that_has_left_is_free() {
        let events = Events::default();
        let mut viewers: Vec<Stream> = (0..VIEWERS_MAX)
            .map(|_| events.subscribe(String::new).unwrap())
            .collect();
        assert!(events.subscribe(String::new).is_none());
        viewers.truncate(VIEWERS_MAX - 1);
        while events.places.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(events.subscribe(String::new).is_some());
        drop(viewers);
        while events.has_viewers() {
            tokio::task::yield_now().await;
        }
    }
}
