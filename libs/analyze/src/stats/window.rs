//! [`Window`]: the period of a run that the figures describe.

use std::time::Duration;

use cctf_proto::cctf::Milliseconds;
use memchr::memmem::Finder;
use rundir::ReadError;
use rundir::chunks::ChunkedFile;

use super::ordered::in_order;

/// Offsets from the run's first `ts_start`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// Rows that start before this offset are ignored.
    pub from: Duration,
    /// Rows that start at this offset or later are ignored.
    pub to: Option<Duration>,
}

impl Window {
    /// Whether it is the whole run.
    pub fn is_whole(&self) -> bool {
        self.from.is_zero() && self.to.is_none()
    }
}

/// The window as timestamps in nanoseconds; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub begin: i64,
    pub end: i64,
}

impl Bounds {
    /// Used before the run's first timestamp is known.
    pub const EVERYTHING: Self = Self {
        begin: i64::MIN,
        end: i64::MAX,
    };

    pub fn new(window: Window, first: i64) -> Self {
        let after = |offset: Duration| {
            let ns = i64::try_from(offset.as_nanos()).unwrap_or(i64::MAX);
            first.saturating_add(ns)
        };
        Self {
            begin: after(window.from),
            end: window.to.map_or(i64::MAX, after),
        }
    }

    #[inline]
    pub fn has(&self, stamp: i64) -> bool {
        self.begin <= stamp && stamp < self.end
    }
}

/// The first `ts_start` in these files of invocations; `None` without rows.
///
/// # Errors
/// If a file cannot be read.
pub fn first_start(
    files: &[&ChunkedFile],
    threads: usize,
    mut on_bytes: impl FnMut(u64) + Send,
) -> Result<Option<i64>, ReadError> {
    let pieces: Vec<(usize, u64)> = files
        .iter()
        .enumerate()
        .flat_map(|(file, chunked)| (0..chunked.chunks()).map(move |chunk| (file, chunk)))
        .collect();
    // The name cannot occur within a text, because quotes in texts are escaped.
    const NAME: &[u8] = b"\"ts_start\":";
    let finder = Finder::new(NAME);
    let mut first = None;
    let work = |piece: usize, buffer: &mut Vec<u8>| {
        let (file, chunk) = pieces[piece];
        let lines = files[file].read(chunk, buffer)?;
        let starts = lines.filter_map(|(line, _)| {
            let value = &line[finder.find(line)? + NAME.len()..];
            let end = value.iter().position(|byte| matches!(byte, b',' | b'}' | b' '))?;
            Milliseconds::parse_bytes(&value[..end]).map(Milliseconds::as_ns)
        });
        Ok::<_, ReadError>((starts.min(), files[file].bytes_of(chunk)))
    };
    in_order(pieces.len(), threads, work, |(start, bytes)| {
        first = [first, start].into_iter().flatten().min();
        on_bytes(bytes);
    })?;
    Ok(first)
}
