//! Converts the trace of invocations of Azure Functions of 2021. Each row is an invocation without a caller.
//!
//! Source: `AzureFunctionsInvocationTrace2021.md` in the repository Azure/AzurePublicDataset.

use crate::decimal::nanoseconds;
use crate::fields::Fields;
use crate::hash::{hash64, trace_id};
use crate::tables::Table;
use crate::wire::{Batch, Span};

/// Nanoseconds of a second, the unit of the table.
const S: i64 = 1_000_000_000;
/// The start of the trace by its documentation, 2021-01-31. The times in the trace count from this day. By the documentation,
/// they were modified.
const ORIGIN_NS: i64 = 1_612_051_200 * S;
/// Maximum time since the start, and maximum duration: ten years.
const TIME_NS_MAX: i64 = 10 * 366 * 24 * 3600 * S;

/// Columns of the table.
const APP: usize = 0;
const FUNC: usize = 1;
const END: usize = 2;
const DURATION: usize = 3;

/// Collects invocations until they are a request.
#[derive(Default)]
pub struct Invocations {
    pub batch: Batch,
    /// Buffer for the values from which ids follow.
    key: Vec<u8>,
}

impl Invocations {
    /// Takes a row. The ids of its span follow from its values and its line. So equal rows are different invocations, but a file
    /// that is read twice gives the same invocations.
    ///
    /// # Errors
    /// The reason why the row cannot be used.
    pub fn take(&mut self, table: &Table, fields: &Fields, line: u64) -> Result<(), &'static str> {
        let get = |column| table.get(fields, column);
        let end_ns = nanoseconds(get(END), S).ok_or("end_timestamp is not a number")?;
        let duration_ns = nanoseconds(get(DURATION), S).ok_or("duration is not a number")?;
        if !(0..=TIME_NS_MAX).contains(&end_ns) {
            return Err("end_timestamp is negative or exceeds ten years");
        }
        if !(0..=TIME_NS_MAX).contains(&duration_ns) {
            return Err("duration is negative or exceeds ten years");
        }
        let (app, func) = (get(APP), get(FUNC));
        if app.is_empty() || func.is_empty() {
            return Err("the row has no app or no func");
        }
        self.key.clear();
        for part in [app, func] {
            self.key.extend_from_slice(part);
            self.key.push(b'/');
        }
        let attributes = [("service.namespace", app), ("service.name", func)];
        let resource = self.batch.resource(hash64(&self.key), || attributes);
        for number in [end_ns.cast_unsigned(), duration_ns.cast_unsigned(), line] {
            self.key.extend_from_slice(&number.to_be_bytes());
        }
        let end_ns = ORIGIN_NS + end_ns;
        let span = Span {
            trace_id: trace_id(&self.key),
            id: hash64(&self.key),
            name: func,
            begin_ns: (end_ns - duration_ns).max(1).cast_unsigned(),
            end_ns: end_ns.cast_unsigned(),
            attributes: &[("faas.name", func)],
        };
        self.batch.push_span(resource, &span);
        Ok(())
    }
}
