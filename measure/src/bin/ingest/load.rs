//! Sends load to a receiver, at full speed or at a given rate.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::connection::{Answer, Connection};
use super::requests::Requests;
use super::trace::{REQUESTS_A_BLOCK, ROWS_A_TRACE};

/// Number of connections to each address.
pub const CONNECTIONS: usize = 8;
/// Time after which a refused request is repeated. After this time, few requests are refused again. Receivers ask for a
/// longer time, but would be idle until then.
const SEND_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Maximum number of requests that wait for a connection in a load with a given rate. Further requests are delayed and count as
/// late.
const MADE_MAX: usize = 256;
/// Maximum number of unanswered requests in a load with a given rate. If there are more, the receiver has failed.
const UNANSWERED_MAX: usize = 4096;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Sent requests and their answers.
pub struct Sent {
    /// Number of spans. All were accepted.
    pub spans: u64,
    /// Number of requests that were refused at least once.
    pub refused: u64,
    /// Nanoseconds from a request's scheduled time to its acknowledgement.
    pub ack_ns: Histogram<u64>,
    pub begun: Instant,
    pub ended: Instant,
}

/// Length of a load.
#[derive(Clone, Copy)]
pub enum Until {
    /// Blocks are sent for this time. A block that has started is completed.
    Passed(Duration),
    /// This number of blocks is sent.
    Blocks(u64),
}

/// The load on one receiver. Block numbers (and so trace numbers) continue from one phase to the next.
pub struct Load {
    runtime: tokio::runtime::Runtime,
    lanes: Vec<Lane>,
    requests: Arc<Requests>,
    next_block: u64,
}

impl Load {
    pub fn new(address: SocketAddr, requests: Arc<Requests>) -> anyhow::Result<Self> {
        Self::shared(&[address], requests)
    }

    /// Connects to each address. Blocks are sent to the addresses in turn, so that all spans of a trace go to the same address.
    pub fn shared(addresses: &[SocketAddr], requests: Arc<Requests>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let lanes = runtime.block_on(async {
            let mut lanes = Vec::with_capacity(CONNECTIONS);
            for _ in 0..CONNECTIONS {
                lanes.push(Lane::open(addresses).await?);
            }
            anyhow::Ok(lanes)
        })?;
        Ok(Self {
            runtime,
            lanes,
            requests,
            next_block: 0,
        })
    }

    /// Number of traces sent so far, all of them complete.
    pub fn traces(&self) -> u64 {
        self.next_block * self.requests.spans_a_request() as u64
    }

    /// Each connection sends its next request as soon as the previous one is answered.
    pub fn full_speed(&mut self, until: Until) -> anyhow::Result<Sent> {
        let begun = Instant::now();
        let plan = Arc::new(Plan::new(self.next_block, until, begun));
        let tally = Arc::new(Tally::new()?);
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for lane in &self.lanes {
                let (mut lane, plan, tally) = (lane.clone(), plan.clone(), tally.clone());
                let requests = self.requests.clone();
                tasks.spawn(async move {
                    while let Some((block, request)) = plan.take() {
                        let frame = requests.frame(block, request, 0);
                        tally.send(lane.of(block), frame, Instant::now()).await?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            anyhow::Ok(())
        })?;
        let first = std::mem::replace(&mut self.next_block, plan.next_block());
        Ok(tally.sent(self.spans(self.next_block - first), begun))
    }

    /// Sends each request at its scheduled time, even if earlier ones are not answered. Requests of the outermost service are
    /// sent `callers_late` after those of the innermost one. Records the acknowledgement of each request in `acknowledged`.
    pub fn paced(
        &mut self,
        spans_a_second: u64,
        duration: Duration,
        callers_late: Duration,
        acknowledged: &Arc<Acknowledged>,
    ) -> anyhow::Result<Sent> {
        let spans_a_request = self.requests.spans_a_request() as u64;
        let interval = Duration::from_nanos(spans_a_request * 1_000_000_000 / spans_a_second);
        let turn = interval * REQUESTS_A_BLOCK as u32;
        let blocks = duration.as_nanos().div_ceil(turn.as_nanos()) as u64;
        let late_turns = callers_late.as_nanos().div_ceil(turn.as_nanos()) as u64;
        let first_block = self.next_block;
        let begun = Instant::now();
        let tally = Arc::new(Tally::new()?);
        let (made, mut to_send) = mpsc::channel::<Made>(MADE_MAX);
        let requests = self.requests.clone();
        // The pacer has its own thread, because timers of the runtime have a resolution of a millisecond.
        let pacer = std::thread::spawn(move || {
            for turn in 0..blocks + late_turns {
                for request in 0..REQUESTS_A_BLOCK {
                    let due = begun + interval * (turn as u32 * REQUESTS_A_BLOCK as u32 + request as u32);
                    let late = late_turns * halves_late(request) / 2;
                    let Some(block) = turn.checked_sub(late).filter(|&block| block < blocks) else {
                        continue;
                    };
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    let late_ns = late * interval.as_nanos() as u64 * REQUESTS_A_BLOCK as u64;
                    let block = first_block + block;
                    let frame = requests.frame(block, request, late_ns);
                    let request = Made {
                        due,
                        block,
                        request,
                        frame,
                    };
                    if made.blocking_send(request).is_err() {
                        return;
                    }
                }
            }
        });
        self.runtime.block_on(async {
            let unanswered = Arc::new(Semaphore::new(UNANSWERED_MAX));
            let mut tasks = JoinSet::new();
            let mut turn = self.lanes.iter().cycle();
            while let Some(made) = to_send.recv().await {
                let permit = unanswered.clone().try_acquire_owned();
                let permit = permit.context("thousands of requests are unanswered")?;
                let mut lane = turn.next().context("no connection")?.clone();
                let (tally, acknowledged) = (tally.clone(), acknowledged.clone());
                tasks.spawn(async move {
                    tally.send(lane.of(made.block), made.frame, made.due).await?;
                    acknowledged.now(made.block, made.request);
                    drop(permit);
                    anyhow::Ok(())
                });
                while let Some(done) = tasks.try_join_next() {
                    done??;
                }
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            anyhow::Ok(())
        })?;
        ensure!(pacer.join().is_ok(), "the pacing thread panicked");
        self.next_block += blocks;
        Ok(tally.sent(self.spans(blocks), begun))
    }

    /// Sends frames one after the other.
    pub fn send_each(&mut self, frames: impl Iterator<Item = Bytes>) -> anyhow::Result<()> {
        let tally = Tally::new()?;
        let mut lane = self.lanes[0].clone();
        self.runtime.block_on(async {
            for frame in frames {
                tally.send(lane.of(0), frame, Instant::now()).await?;
            }
            Ok(())
        })
    }

    fn spans(&self, blocks: u64) -> u64 {
        blocks * (REQUESTS_A_BLOCK * self.requests.spans_a_request()) as u64
    }
}

/// A connection to each address.
#[derive(Clone)]
struct Lane(Vec<Connection>);

impl Lane {
    async fn open(addresses: &[SocketAddr]) -> anyhow::Result<Self> {
        let mut connections = Vec::with_capacity(addresses.len());
        for &address in addresses {
            connections.push(Connection::open(address).await?);
        }
        Ok(Self(connections))
    }

    /// The connection of a block's requests.
    fn of(&mut self, block: u64) -> &mut Connection {
        let at = block as usize % self.0.len();
        &mut self.0[at]
    }
}

/// Delay of a request in halves of the whole delay: 0 for the innermost service, 1 for its caller, 2 for all others.
fn halves_late(request: usize) -> u64 {
    match request {
        0 => 0,
        1..4 => 1,
        _ => 2,
    }
}

/// A request and its scheduled time.
struct Made {
    due: Instant,
    block: u64,
    request: usize,
    frame: Bytes,
}

/// Creates the requests in the order in which connections fetch them.
struct Plan {
    state: Mutex<PlanState>,
    until: Option<Instant>,
}

struct PlanState {
    block: u64,
    request: usize,
    end: u64,
}

impl Plan {
    fn new(first_block: u64, until: Until, begun: Instant) -> Self {
        let (end, until) = match until {
            Until::Passed(duration) => (u64::MAX, Some(begun + duration)),
            Until::Blocks(blocks) => (first_block + blocks, None),
        };
        let state = PlanState {
            block: first_block,
            request: 0,
            end,
        };
        Self {
            state: Mutex::new(state),
            until,
        }
    }

    fn take(&self) -> Option<(u64, usize)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.request == 0 && self.until.is_some_and(|until| Instant::now() >= until) {
            state.end = state.block;
        }
        if state.block >= state.end {
            return None;
        }
        let taken = (state.block, state.request);
        state.request += 1;
        if state.request == REQUESTS_A_BLOCK {
            state.request = 0;
            state.block += 1;
        }
        Some(taken)
    }

    /// The first block that no connection has fetched.
    fn next_block(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).block
    }
}

/// Counts answers.
struct Tally {
    refused: AtomicU64,
    ack_ns: Mutex<Histogram<u64>>,
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            refused: AtomicU64::new(0),
            ack_ns: Mutex::new(Histogram::new(SIGNIFICANT_DIGITS)?),
        })
    }

    /// Sends a request until the receiver accepts it.
    async fn send(&self, connection: &mut Connection, frame: Bytes, due: Instant) -> anyhow::Result<()> {
        while connection.export(frame.clone()).await? == Answer::Refused {
            self.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(SEND_AGAIN_AFTER).await;
        }
        let took = due.elapsed().as_nanos() as u64;
        let mut ack_ns = self.ack_ns.lock().unwrap_or_else(PoisonError::into_inner);
        ack_ns.record(took)?;
        Ok(())
    }

    fn sent(&self, spans: u64, begun: Instant) -> Sent {
        Sent {
            spans,
            refused: self.refused.load(Ordering::Relaxed),
            ack_ns: self.ack_ns.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            begun,
            ended: Instant::now(),
        }
    }
}

/// The times at which the requests of a load with a given rate were acknowledged.
pub struct Acknowledged {
    origin: Instant,
    /// Nanoseconds since the origin, by block and request. 0: not acknowledged yet.
    at_ns: Vec<AtomicU64>,
}

impl Acknowledged {
    /// Creates the times for `blocks` blocks.
    pub fn of_blocks(blocks: usize) -> Arc<Self> {
        let at_ns = (0..blocks * REQUESTS_A_BLOCK)
            .map(|_| AtomicU64::new(0))
            .collect();
        Arc::new(Self {
            origin: Instant::now(),
            at_ns,
        })
    }

    fn now(&self, block: u64, request: usize) {
        if let Some(at) = self.at_ns.get(block as usize * REQUESTS_A_BLOCK + request) {
            at.store(self.ns(Instant::now()), Ordering::Release);
        }
    }

    /// Nanoseconds from the acknowledgement of a request to `then`, at least 0.
    pub fn until(&self, block: u64, request: usize, then: Instant) -> u64 {
        let at = self.at_ns.get(block as usize * REQUESTS_A_BLOCK + request);
        let at = at.map_or(0, |at| at.load(Ordering::Acquire));
        match at {
            0 => 0,
            at => self.ns(then).saturating_sub(at),
        }
    }

    /// Number of rows of all acknowledged blocks.
    pub fn rows(&self, spans_a_request: usize) -> u64 {
        let requests = self.at_ns.iter().filter(|at| at.load(Ordering::Acquire) != 0);
        requests.count() as u64 / REQUESTS_A_BLOCK as u64 * spans_a_request as u64 * ROWS_A_TRACE
    }

    fn ns(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.origin).as_nanos() as u64
    }
}
