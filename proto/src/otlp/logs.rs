//! Number of records in an ExportLogsServiceRequest. Logs are accepted and counted, but not used.

use super::wire::{Cursor, LENGTH_DELIMITED, WireError, key};

/// The bytes of an ExportLogsServiceRequest.
#[derive(Debug, Clone, Copy)]
pub struct LogsRequest<'a> {
    request: Cursor<'a>,
}

impl<'a> LogsRequest<'a> {
    /// Views these bytes without reading them.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        LogsRequest {
            request: Cursor::new(bytes),
        }
    }

    /// Number of log records.
    pub fn log_record_count(&self) -> Result<u64, WireError> {
        let mut count = 0;
        each(self.request, 1, |resource_logs| {
            each(resource_logs, 2, |scope_logs| {
                each(scope_logs, 2, |_| {
                    count += 1;
                    Ok(())
                })
            })
        })?;
        Ok(count)
    }
}

fn each<'a>(
    mut message: Cursor<'a>,
    field: u32,
    mut visit: impl FnMut(Cursor<'a>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    while !message.is_empty() {
        let found = message.key()?;
        if found == key(field, LENGTH_DELIMITED) {
            visit(message.message()?)?;
        } else {
            message.skip(found)?;
        }
    }
    Ok(())
}
