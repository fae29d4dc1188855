//! [`IoConfig`]: the inputs and outputs of the io loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};

use crate::backlog::Backlog;
use crate::ids::Ids;
use crate::pacer::{FromPacer, ToPacer};
use crate::progress::DriveProgress;
use crate::record::recorder::RecorderInput;

/// Inputs and outputs of the loop.
pub struct IoConfig {
    pub targets: Vec<SocketAddr>,
    pub ids: Ids,
    /// Maximum number of connections to all targets together.
    pub connections_max: usize,
    /// Maximum time from the scheduled time to the send, and again from the send to the complete response, nanoseconds.
    pub timeout_ns: u64,
    pub progress: Arc<DriveProgress>,
    pub backlog: Arc<Backlog>,
    pub from_pacer: Receiver<FromPacer>,
    /// Passes connections to the pacer.
    pub to_pacer: Sender<ToPacer>,
    /// Receives ended exchanges.
    pub recorder: SyncSender<RecorderInput>,
}
