//! `events_client.jsonl`: one line per request in vegeta's JSON encoding, extended by ids and lateness.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::exchange::{Batch, DriveFacts, Exchange};
use crate::ids::write_hex;
use crate::record::utc::append_rfc3339;

/// Lines are buffered up to this many bytes, then written by one call.
const BUFFER_BYTES: usize = 256 * 1024;

/// A file of events that cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    #[error("cannot open {path}: {source}; choose another file with --out or make its folder writable")]
    Open { path: PathBuf, source: io::Error },
    /// A driver was killed while it wrote the file.
    #[error("cannot append to {0}: its last line is incomplete because a driver was killed; move the file")]
    TornLine(PathBuf),
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

/// Appends whole lines to the file.
#[derive(Debug)]
pub struct EventsWriter {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    shared: Option<SharedParts>,
}

impl EventsWriter {
    /// Opens `path` for appending, and creates its folder if necessary.
    pub fn open(path: &Path) -> Result<Self, EventsError> {
        let failed = |source| EventsError::Open {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)
            .map_err(failed)?;
        if ends_torn(&mut file).map_err(failed)? {
            return Err(EventsError::TornLine(path.to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            buffer: Vec::with_capacity(2 * BUFFER_BYTES),
            shared: None,
        })
    }

    /// Appends a line for each exchange of the batch.
    pub fn append(&mut self, batch: &Batch) -> Result<(), EventsError> {
        let shared = match self.shared.take() {
            Some(shared) if Arc::ptr_eq(&shared.facts, &batch.facts) => shared,
            _ => SharedParts::new(&batch.facts),
        };
        for exchange in &batch.exchanges {
            append_line(&mut self.buffer, &shared, exchange);
        }
        self.shared = Some(shared);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes the buffered lines.
    pub fn flush(&mut self) -> Result<(), EventsError> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|source| EventsError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

fn ends_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// The parts of a line that are the same for all requests of a drive.
#[derive(Debug)]
struct SharedParts {
    facts: Arc<DriveFacts>,
    attack: Vec<u8>,
    tail: Vec<u8>,
}

impl SharedParts {
    fn new(facts: &Arc<DriveFacts>) -> Self {
        let DriveFacts {
            name, method, url, ..
        } = facts.as_ref();
        let text = |value: &str| serde_json::Value::from(value).to_string();
        let (attack, method, url) = (text(name), text(method), text(url));
        Self {
            facts: Arc::clone(facts),
            attack: format!(r#"{{"attack":{attack},"seq":"#).into_bytes(),
            tail: format!(r#","body":null,"method":{method},"url":{url},"headers":null,"trace_id":""#)
                .into_bytes(),
        }
    }
}

fn append_line(out: &mut Vec<u8>, shared: &SharedParts, exchange: &Exchange) {
    let number = exchange.sent.request.number;
    out.extend_from_slice(&shared.attack);
    append_number(out, number);
    out.extend_from_slice(br#","code":"#);
    append_number(out, u64::from(exchange.status));
    out.extend_from_slice(br#","timestamp":""#);
    append_rfc3339(exchange.sent.unix_ns, out);
    out.extend_from_slice(br#"","latency":"#);
    append_number(out, exchange.latency_ns);
    out.extend_from_slice(br#","bytes_out":"#);
    append_number(out, shared.facts.body_bytes_out(number));
    out.extend_from_slice(br#","bytes_in":"#);
    append_number(out, exchange.body_bytes_in);
    out.extend_from_slice(br#","error":"#);
    match exchange.error_text() {
        error if error.is_empty() => out.extend_from_slice(br#""""#),
        error => out.extend_from_slice(serde_json::Value::from(error).to_string().as_bytes()),
    }
    out.extend_from_slice(&shared.tail);
    append_hex(out, &shared.facts.ids.trace_id(number));
    out.extend_from_slice(br#"","span_id":""#);
    append_hex(out, &shared.facts.ids.span_id(number));
    out.extend_from_slice(br#"","lateness_ns":"#);
    append_number(out, exchange.lateness_ns());
    out.extend_from_slice(b"}\n");
}

fn append_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let from = out.len();
    out.resize(from + 2 * bytes.len(), b'0');
    write_hex(bytes, &mut out[from..]);
}

fn append_number(out: &mut Vec<u8>, value: u64) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Failure, Request, Sent};
    use crate::ids::Ids;

    fn batch(failure: Option<Failure>) -> Batch {
        let facts = DriveFacts {
            name: "say \"json\"".into(),
            method: "POST".into(),
            url: "http://127.0.0.1:8080/json/validate".into(),
            host: "127.0.0.1".into(),
            port: 8080,
            bodies_bytes: vec![8192],
            run_id: "r".into(),
            ids: Ids::new(1),
        };
        let request = Request {
            number: 7,
            intended_ns: 1_000,
        };
        let sent = Sent {
            request,
            monotonic_ns: 1_500,
            unix_ns: 1_760_000_000_123_456_789,
        };
        let status = if failure.is_some() { 0 } else { 200 };
        let exchange = Exchange {
            sent,
            latency_ns: 42,
            status,
            body_bytes_in: 15,
            failure,
            resends: 0,
        };
        Batch {
            facts: Arc::new(facts),
            exchanges: vec![exchange],
        }
    }

    #[test]
    fn a_line_has_every_field_of_vegetas_encoding_and_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/events_client.jsonl");
        let mut writer = EventsWriter::open(&path).unwrap();
        let batch = batch(None);
        writer.append(&batch).unwrap();
        writer.flush().unwrap();
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let expected = serde_json::json!({
            "attack": "say \"json\"", "seq": 7, "code": 200, "timestamp": "2025-10-09T08:53:20.123456789Z",
            "latency": 42, "bytes_out": 8192, "bytes_in": 15, "error": "", "body": null, "method": "POST",
            "url": "http://127.0.0.1:8080/json/validate", "headers": null,
            "trace_id": hex(&batch.facts.ids.trace_id(7)), "span_id": hex(&batch.facts.ids.span_id(7)),
            "lateness_ns": 500,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_failure_is_recorded_with_its_text_and_code_0() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events_client.jsonl");
        let mut writer = EventsWriter::open(&path).unwrap();
        writer.append(&batch(Some(Failure::Timeout))).unwrap();
        writer.flush().unwrap();
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            (line["code"].as_u64(), line["error"].as_str()),
            (Some(0), Some("timeout: no whole response in time"))
        );
    }

    #[test]
    fn a_second_driver_appends_and_an_incomplete_line_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events_client.jsonl");
        for _ in 0..2 {
            let mut writer = EventsWriter::open(&path).unwrap();
            writer.append(&batch(None)).unwrap();
            writer.flush().unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        std::fs::write(&path, "{\"attack\":").unwrap();
        assert!(matches!(EventsWriter::open(&path), Err(EventsError::TornLine(_))));
    }
}
