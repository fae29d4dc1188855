//! [`Sheet`]: a verdict on two runs as sentences and tables, for the page and for a terminal.

pub use page::summary::Verdict as Sign;

/// The content of a verdict, as it is shown. Texts can contain names from telemetry; the code that shows them escapes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sheet {
    /// The verdict: a word or two.
    pub verdict: String,
    pub sign: Option<Sign>,
    /// One sentence with the verdict and its cause.
    pub headline: String,
    /// Sentences that state what the verdict means, what would decide it, and what the reader has to know before he reads the
    /// tables.
    pub sentences: Vec<String>,
    pub tables: Vec<SheetTable>,
    /// Notes about data that is missing or left out.
    pub notes: Vec<String>,
}

/// A table with its title.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SheetTable {
    /// Unique in the sheet, of letters and `-`.
    pub id: &'static str,
    pub title: String,
    pub columns: Vec<SheetColumn>,
    /// A cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// A sentence that states which rows are missing, or how to read the table.
    pub note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SheetColumn {
    /// Name for scripts and tests.
    pub key: &'static str,
    pub head: &'static str,
    /// Numbers are aligned to the right.
    pub is_number: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    /// A sign that marks a judgement.
    pub sign: Option<Sign>,
}

impl SheetColumn {
    pub const fn text(key: &'static str, head: &'static str) -> Self {
        Self {
            key,
            head,
            is_number: false,
        }
    }

    pub const fn number(key: &'static str, head: &'static str) -> Self {
        Self {
            is_number: true,
            ..Self::text(key, head)
        }
    }
}

impl Cell {
    pub fn signed(text: impl Into<String>, sign: Sign) -> Self {
        Self {
            text: text.into(),
            sign: Some(sign),
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            sign: None,
        }
    }
}
