//! `events_client.jsonl`: one line per request in vegeta's JSON encoding, extended by ids, lateness and the replayed request.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::exchange::Exchange;
use crate::ids::{Ids, write_hex};
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
    #[error("cannot append to {0}: another load driver writes it; choose another file with --out")]
    Locked(PathBuf),
    /// The path is a pipe. If its reader stops reading, a write waits forever.
    #[error(
        "cannot append to {0}: it is a pipe, whose reader can stop the driver; choose a regular file with --out"
    )]
    Pipe(PathBuf),
    #[error("cannot write {path}: {source}; free space there, or choose another file with --out")]
    Write { path: PathBuf, source: io::Error },
}

/// Appends whole lines to the file.
#[derive(Debug)]
pub struct EventsWriter {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    ids: Ids,
}

impl EventsWriter {
    /// Opens `path` for appending, and creates its folder if necessary. `ids` are those of the session.
    pub fn open(path: &Path, ids: Ids) -> Result<Self, EventsError> {
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
        // This is checked after the open, because the path could change between an earlier check and the open. The open does not
        // wait for a reader of the pipe, because it opens the file for reading, too.
        let kind = file.metadata().map_err(failed)?.file_type();
        if kind.is_fifo() {
            return Err(EventsError::Pipe(path.to_owned()));
        }
        // Without the lock, the lines of two drivers would be mixed. A file system that does not support locks is accepted.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(EventsError::Locked(path.to_owned()));
        }
        if ends_torn(&mut file).map_err(failed)? {
            return Err(EventsError::TornLine(path.to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            buffer: Vec::with_capacity(2 * BUFFER_BYTES),
            ids,
        })
    }

    /// Appends a line for each exchange of the batch.
    pub fn append(&mut self, batch: &[Exchange]) -> Result<(), EventsError> {
        for exchange in batch {
            append_line(&mut self.buffer, self.ids, exchange);
        }
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

fn append_line(out: &mut Vec<u8>, ids: Ids, exchange: &Exchange) {
    let number = exchange.sent.request.number;
    out.extend_from_slice(exchange.facts.line_start());
    append_number(out, number);
    out.extend_from_slice(br#","code":"#);
    append_number(out, exchange.status);
    out.extend_from_slice(br#","timestamp":""#);
    append_rfc3339(exchange.sent.unix_ns, out);
    out.extend_from_slice(br#"","latency":"#);
    append_number(out, exchange.latency_ns);
    out.extend_from_slice(br#","bytes_out":"#);
    append_number(out, exchange.body_bytes_out);
    out.extend_from_slice(br#","bytes_in":"#);
    append_number(out, exchange.body_bytes_in);
    out.extend_from_slice(br#","error":"#);
    match exchange.error_text() {
        error if error.is_empty() => out.extend_from_slice(br#""""#),
        error => out.extend_from_slice(serde_json::Value::from(error).to_string().as_bytes()),
    }
    out.extend_from_slice(exchange.facts.line_end());
    append_hex(out, &ids.trace_id(number));
    out.extend_from_slice(br#"","span_id":""#);
    append_hex(out, &ids.span_id(number));
    out.extend_from_slice(br#"","lateness_ns":"#);
    append_number(out, exchange.sent.lateness_ns());
    if let Some(original) = &exchange.original {
        out.extend_from_slice(br#","replay_of_trace_id":""#);
        append_hex(out, &original.trace_id);
        out.extend_from_slice(br#"","replay_of_span_id":""#);
        append_hex(out, &original.span_id);
        out.extend_from_slice(br#"","replay_of_code":"#);
        match original.status {
            Some(status) => append_number(out, status),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b"}\n");
}

fn append_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let from = out.len();
    out.resize(from + 2 * bytes.len(), b'0');
    write_hex(bytes, &mut out[from..]);
}

fn append_number(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cctf_proto::cctf::{DriverEvent, Row as _};

    use super::*;
    use crate::exchange::{Failure, Request, Sent};
    use crate::facts::RequestFacts;
    use crate::plan::target::Target;
    use crate::stream::Original;

    fn exchange(failure: Option<Failure>, original: Option<Original>) -> Exchange {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        let facts = RequestFacts::new("say \"json\"", "POST", &target, "/json/validate", "r");
        let request = Request {
            number: 7,
            intended_ns: 1_000,
        };
        let sent = Sent {
            request,
            monotonic_ns: 1_500,
            unix_ns: 1_760_000_000_123_456_789,
        };
        Exchange {
            facts: Arc::new(facts),
            original,
            body_bytes_out: 8192,
            sent,
            latency_ns: 42,
            status: if failure.is_some() { 0 } else { 200 },
            body_bytes_in: 15,
            failure,
            resends: 0,
        }
    }

    fn line(exchange: Exchange) -> serde_json::Value {
        let mut line = Vec::new();
        append_line(&mut line, ids(), &exchange);
        let text = std::str::from_utf8(line.strip_suffix(b"\n").unwrap()).unwrap();
        assert!(text.ends_with('}'));
        // It is the row that the contract declares, in the same order of fields.
        let row: DriverEvent<'_> = serde_json::from_str(text).unwrap();
        let mut encoded = Vec::new();
        row.encode(&mut encoded);
        assert_eq!(String::from_utf8(encoded).unwrap(), text);
        serde_json::from_str(text).unwrap()
    }

    fn ids() -> Ids {
        static IDS: std::sync::OnceLock<Ids> = std::sync::OnceLock::new();
        *IDS.get_or_init(|| Ids::new(1))
    }

    #[test]
    fn a_line_has_every_field_of_vegetas_encoding_and_ours() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut expected = serde_json::json!({
            "attack": "say \"json\"", "seq": 7, "code": 200, "timestamp": "2025-10-09T08:53:20.123456789Z",
            "latency": 42, "bytes_out": 8192, "bytes_in": 15, "error": "", "body": null, "method": "POST",
            "url": "http://127.0.0.1:8080/json/validate", "headers": null,
            "trace_id": hex(&ids().trace_id(7)), "span_id": hex(&ids().span_id(7)),
            "lateness_ns": 500,
        });
        assert_eq!(line(exchange(None, None)), expected);
        for (status, code) in [(Some(503), 503.into()), (None, serde_json::Value::Null)] {
            let original = Original {
                trace_id: [0xab; 16],
                span_id: [0x01; 8],
                status,
            };
            expected["replay_of_trace_id"] = "ab".repeat(16).into();
            expected["replay_of_span_id"] = "01".repeat(8).into();
            expected["replay_of_code"] = code;
            assert_eq!(line(exchange(None, Some(original))), expected);
        }
    }

    #[test]
    fn a_failure_is_recorded_with_its_text_and_code_0() {
        let line = line(exchange(Some(Failure::Timeout), None));
        assert_eq!(
            (line["code"].as_u64(), line["error"].as_str()),
            (Some(0), Some("timeout: no whole response in time"))
        );
    }

    #[test]
    fn a_pipe_is_refused_though_it_has_no_reader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let refused = EventsWriter::open(&path, ids()).unwrap_err();
        assert!(matches!(refused, EventsError::Pipe(_)), "{refused}");
        // A device has no reader that can stop.
        assert!(EventsWriter::open(Path::new("/dev/null"), ids()).is_ok());
    }

    #[test]
    fn a_second_driver_appends_and_an_incomplete_line_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/events_client.jsonl");
        for _ in 0..2 {
            let mut writer = EventsWriter::open(&path, ids()).unwrap();
            writer.append(&[exchange(None, None)]).unwrap();
            writer.flush().unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        std::fs::write(&path, "{\"attack\":").unwrap();
        assert!(matches!(
            EventsWriter::open(&path, ids()),
            Err(EventsError::TornLine(_))
        ));
    }
}
