//! [`Position`]: where a record is in a file. [`Damages`]: counts the records that were left out, and lists the first of them
//! with place and reason.

use std::fmt;

use serde::Serialize;

/// Number of damages that are listed. All are counted.
const SHOWN_MAX: usize = 20;

/// Where a record begins in its decompressed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Position {
    /// Line, counted from 1, if the file is a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Offset, bytes.
    pub byte: u64,
}

impl Position {
    pub fn in_line(line: u64, byte: u64) -> Self {
        Self {
            line: Some(line),
            byte,
        }
    }

    pub fn at_byte(byte: u64) -> Self {
        Self { line: None, byte }
    }
}

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Path of the file. If it is in an archive, the path within the archive follows that of the archive.
    pub file: String,
    /// Offset of the message that contains the record, if the file consists of messages with their lengths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_at: Option<u64>,
    #[serde(flatten)]
    pub position: Position,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            message_at,
            position,
        } = self;
        match (message_at, position.line) {
            (Some(message), Some(line)) => write!(out, "{file}, message at byte {message}, line {line}"),
            (Some(message), None) => write!(out, "{file}, message at byte {message}"),
            (None, Some(line)) => write!(out, "{file}, line {line} (byte {})", position.byte),
            (None, None) => write!(out, "{file}, byte {}", position.byte),
        }
    }
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    #[serde(flatten)]
    pub place: Place,
    pub reason: String,
}

/// Everything that was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Damages {
    pub count: u64,
    /// The first of them.
    pub shown: Vec<Damage>,
}

impl Damages {
    pub fn add(&mut self, place: Place, reason: String) {
        self.count += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(Damage { place, reason });
        }
    }

    /// Adds the damages that were found later.
    pub fn unite(&mut self, later: Self) {
        self.count += later.count;
        let room = SHOWN_MAX.saturating_sub(self.shown.len());
        self.shown.extend(later.shown.into_iter().take(room));
    }
}
