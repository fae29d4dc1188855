//! The journal: a log of records in order, each with its arrival time. It is the pipeline's only input.
//!
//! ```text
//! receiver ─▶ Journal ─▶ Committer ─▶ Reader ─▶ pipeline
//!                         │     └─▶ answers to the clients
//!                         └─▶ Store: segments on disk
//! ```
//! [`Journal`] and [`Reader`] are the two ends of one bounded queue. The committer is a thread between them. Through its handle
//! on the queue, the [`CommitEnd`], it takes each batch of records. It releases a batch to the [`Reader`] only after the store
//! has written it. A journal in memory has no committer.
//!
//! The store writes each record as one frame into a file, the segment. It syncs the file once per batch. After a crash,
//! [`recover`] reads the segments.

mod accepted;
mod clock;
mod committer;
mod direct;
mod frame;
mod limits;
mod queue;
mod record;
mod recovery;
mod segment;
mod store;

pub use accepted::{Accepted, Answer, AppendError, Uncommitted};
pub use clock::{Clock, wall_clock};
pub use committer::Committer;
pub use frame::BODY_LEN_MAX;
pub use limits::{QueueLimits, QueueUsage};
pub use queue::{CommitEnd, DiskFull, Journal, Reader, TICK_INTERVAL, open, open_durable};
pub use record::{Content, Record, Signal};
pub use recovery::{Recovered, Recovery, RecoveryError, read_kept, recover};
pub use segment::{SegmentFile, delete_segments, sync_folder};
pub use store::{Durability, Store, StoreError, StoreSettings};
