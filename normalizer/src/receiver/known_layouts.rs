//! [`KnownLayouts`]: the layouts of spans that the receiver has learned, for all threads that check requests.

use std::num::NonZero;
use std::sync::Mutex;
use std::thread::available_parallelism;

use cctf_proto::otlp::WireError;
use cctf_proto::otlp::admission::{Admission, admit_trace_request};
use cctf_proto::otlp::admission_by_layout::admit_trace_request_by_layout;
use cctf_proto::otlp::layouts::Layouts;

/// Maximum number of tables. It bounds their memory to 16 MiB.
const TABLES_MAX: usize = 8;

/// One table for each thread that may check a request at the same time.
pub(super) struct KnownLayouts(Box<[Mutex<Layouts>]>);

impl Default for KnownLayouts {
    fn default() -> Self {
        let tables = available_parallelism().map_or(1, NonZero::get).min(TABLES_MAX);
        Self(std::iter::repeat_with(Mutex::default).take(tables).collect())
    }
}

impl KnownLayouts {
    /// Checks a trace request. A thread never waits for a table: without one, it checks field by field.
    pub(super) fn admit(&self, message: &[u8]) -> Result<Admission, WireError> {
        match self.0.iter().find_map(|table| table.try_lock().ok()) {
            Some(mut layouts) => admit_trace_request_by_layout(message, &mut layouts),
            None => admit_trace_request(message),
        }
    }
}
