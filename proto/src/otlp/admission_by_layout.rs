//! [`admit_trace_request_by_layout`]: admission in a single walk, for requests that are encoded as usual and whose spans repeat
//! known [`Layouts`].

use super::admission::{Admission, admit_span, admit_trace_request, is_run_id_ok};
use super::check;
use super::common::{Pieces, Resource};
use super::layouts::Layouts;
use super::wire::{Cursor, LENGTH_DELIMITED, WireError, key};

/// Like [`admit_trace_request`], with the same answer. Learns layouts for later requests.
pub fn admit_trace_request_by_layout(bytes: &[u8], layouts: &mut Layouts) -> Result<Admission, WireError> {
    match admit(Cursor::new(bytes), layouts) {
        Some(admission) => Ok(admission),
        // Another encoding, or an error. Both are rare, so the request may be walked again. The check finds the first error.
        None => admit_trace_request(bytes),
    }
}

/// `None` if the request has an error, unknown fields, or a resource after its spans.
fn admit(mut request: Cursor<'_>, layouts: &mut Layouts) -> Option<Admission> {
    const RESOURCE_SPANS: u32 = key(1, LENGTH_DELIMITED);

    let mut admission = Admission::default();
    while !request.is_empty() {
        if !request.take_key(RESOURCE_SPANS) {
            return None;
        }
        admit_resource_spans(request.message().ok()?, layouts, &mut admission)?;
    }
    Some(admission)
}

fn admit_resource_spans(
    mut message: Cursor<'_>,
    layouts: &mut Layouts,
    admission: &mut Admission,
) -> Option<()> {
    const RESOURCE: u32 = key(1, LENGTH_DELIMITED);
    const SCOPE_SPANS: u32 = key(2, LENGTH_DELIMITED);
    const SCHEMA_URL: u32 = key(3, LENGTH_DELIMITED);

    let mut run_id_ok = true;
    if message.take_key(RESOURCE) {
        run_id_ok = admit_resource(message.message().ok()?, message, layouts)?;
    }
    while !message.is_empty() {
        match message.key().ok()? {
            SCOPE_SPANS => admit_scope_spans(message.message().ok()?, run_id_ok, layouts, admission)?,
            SCHEMA_URL => drop(message.string().ok()?),
            // A second resource would be merged with the first one.
            _ => return None,
        }
    }
    Some(())
}

/// Whether the run ids of the resource are valid. `after` has the bytes of the parent message after the resource.
fn admit_resource(resource: Cursor<'_>, after: Cursor<'_>, layouts: &mut Layouts) -> Option<bool> {
    let bytes = resource.rest();
    if let Some(is_ok) = layouts.is_run_id_ok(bytes) {
        return Some(is_ok);
    }
    check::envelope::resource(resource).ok()?;
    let mut pieces = Pieces::NONE;
    pieces.push(resource, after);
    let is_ok = is_run_id_ok(&Resource::new(pieces).attributes());
    layouts.remember(bytes, is_ok);
    Some(is_ok)
}

fn admit_scope_spans(
    mut message: Cursor<'_>,
    run_id_ok: bool,
    layouts: &mut Layouts,
    admission: &mut Admission,
) -> Option<()> {
    const SCOPE: u32 = key(1, LENGTH_DELIMITED);
    const SPANS: u32 = key(2, LENGTH_DELIMITED);
    const SCHEMA_URL: u32 = key(3, LENGTH_DELIMITED);

    while !message.is_empty() {
        match message.key().ok()? {
            SPANS => {
                let span = message.message().ok()?;
                let bytes = span.rest();
                match layouts.end_of_usable(bytes).filter(|_| run_id_ok) {
                    Some(end) => admission.count(None, end),
                    None if admit_span(span, run_id_ok, admission).ok()? => layouts.learn(bytes),
                    None => {}
                }
            }
            SCOPE => check::envelope::scope(message.message().ok()?).ok()?,
            SCHEMA_URL => drop(message.string().ok()?),
            _ => return None,
        }
    }
    Some(())
}
