//! [`treat`]: reads a row of a given type, replaces its values and writes it. [`treat_row_of`]: does so for a row of a given
//! file.

use cctf_proto::cctf::{
    Call, File, Flag, Flags, HostMetric, Invocation, Link, LinkMetric, Module, Node, PlacementEvent, Row,
    RunMeta, SystemStat, Untreatable, decode,
};
use rundir::fields::Fields;

use crate::replacer::Anonymiser;
use crate::summary::Unknown;

/// The reason why a row cannot be written without names.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("not UTF-8")]
    NotUtf8,
    #[error(transparent)]
    NotARow(#[from] serde_json::Error),
    #[error(transparent)]
    Untreatable(#[from] Untreatable),
}

/// State that all rows share.
pub struct Context<'c> {
    pub by: &'c mut Anonymiser,
    pub unknown: &'c mut Unknown,
}

/// Reads a row, calls `on_row` and appends the row without names. After an error, `out` is unchanged.
///
/// # Errors
/// If the text is not a row of this type, or a value has no replacement.
pub fn treat<'a, R: Row<'a>>(
    bytes: &'a [u8],
    context: &mut Context<'_>,
    out: &mut Vec<u8>,
    on_row: impl FnOnce(&R),
) -> Result<(), Damage> {
    let text = std::str::from_utf8(bytes).map_err(|_| Damage::NotUtf8)?;
    // `decode` accepts exactly the form that the encoder writes, and this form has no unknown field.
    let row: R = match decode(text) {
        Some(row) => row,
        None => {
            let row = serde_json::from_str(text)?;
            note_unknown::<R>(bytes, context.unknown);
            row
        }
    };
    append(&row, context, out)?;
    on_row(&row);
    Ok(())
}

/// Appends a row that was read earlier. After an error, `out` is unchanged.
///
/// # Errors
/// If a value has no replacement.
pub fn append<'a, R: Row<'a>>(row: &R, context: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), Damage> {
    let begin = out.len();
    let encoded = row.encode_anonymised(context.by, out);
    if encoded.is_err() {
        out.truncate(begin);
    }
    Ok(encoded?)
}

/// Counts the fields of an object that the contract does not have.
pub fn note_unknown<'a, R: Row<'a>>(object: &[u8], unknown: &mut Unknown) {
    let Ok(mut fields) = Fields::new(object) else {
        return;
    };
    while let Ok(Some(field)) = fields.next_field() {
        if !R::FIELDS.iter().any(|known| known.name.as_bytes() == field.name) {
            unknown.add(&String::from_utf8_lossy(field.name));
        }
    }
}

/// Facts about a row that the counts need.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    pub is_orphan: bool,
    pub is_late: bool,
    /// Module, method, and route or path of an invocation.
    pub endpoint: Option<(&'a str, Option<&'a str>, Option<&'a str>)>,
}

/// Reads a row of `file`, calls `on_facts` if the row is an invocation or a call, and appends the row without names.
///
/// # Errors
/// The same errors as [`treat`].
pub fn treat_row_of(
    file: File,
    bytes: &[u8],
    context: &mut Context<'_>,
    out: &mut Vec<u8>,
    on_facts: impl FnOnce(&Facts<'_>),
) -> Result<(), Damage> {
    let flagged = |flags: Option<Flags>| {
        let flags = flags.unwrap_or_default();
        (flags.has(Flag::Orphan), flags.has(Flag::Late))
    };
    match file {
        File::Invocations => treat::<Invocation<'_>>(bytes, context, out, |row| {
            let (is_orphan, is_late) = flagged(row.flags);
            let place = row.route.as_deref().or(row.path.as_deref());
            on_facts(&Facts {
                is_orphan,
                is_late,
                endpoint: Some((&*row.module_id, row.method.as_deref(), place)),
            });
        }),
        File::Calls => treat::<Call<'_>>(bytes, context, out, |row| {
            let (is_orphan, is_late) = flagged(row.flags);
            on_facts(&Facts {
                is_orphan,
                is_late,
                endpoint: None,
            });
        }),
        File::HostMetrics => treat::<HostMetric<'_>>(bytes, context, out, |_| {}),
        File::LinkMetrics => treat::<LinkMetric<'_>>(bytes, context, out, |_| {}),
        File::PlacementEvents => treat::<PlacementEvent<'_>>(bytes, context, out, |_| {}),
        File::SystemStats => treat::<SystemStat<'_>>(bytes, context, out, |_| {}),
        File::Nodes => treat::<Node<'_>>(bytes, context, out, |_| {}),
        File::Links => treat::<Link<'_>>(bytes, context, out, |_| {}),
        File::ModuleInventory => treat::<Module<'_>>(bytes, context, out, |_| {}),
        File::RunMeta => treat::<RunMeta<'_>>(bytes, context, out, |_| {}),
    }
}
