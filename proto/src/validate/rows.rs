//! Reading one row: is it JSON, does it fit its type, is it written the way the contract writes it.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::report::{Findings, Place};
use super::rules::Broken;
use crate::cctf::{Field, Kind, Milliseconds, Row, Text};

/// The places after the point of every stamp and duration.
const DECIMAL_PLACES: usize = 6;

/// 2000-01-01 in milliseconds since the Unix epoch; a stamp of today in seconds lies before it.
const YEAR_2000: Milliseconds = Milliseconds::from_ns(946_684_800_000 * 1_000_000);

const EPOCH: Milliseconds = Milliseconds::from_ns(0);

/// Reads rows; holds the buffer in which they are written again.
#[derive(Debug, Default)]
pub(super) struct Reader {
    encoded: Vec<u8>,
}

impl Reader {
    /// The row that `text` holds, and `None` once it is reported why it holds none.
    pub fn row<'a, R: Row<'a>>(&mut self, text: &'a str, place: Place, findings: &mut Findings) -> Option<R> {
        match serde_json::from_str::<R>(text) {
            Ok(row) => {
                self.form(&row, text, place, findings);
                Some(row)
            }
            Err(error) => {
                add_unreadable(text, &error, place, findings);
                None
            }
        }
    }

    /// A row that is written again to the same bytes is in the contract's form; only others are looked at closer.
    fn form<'a, R: Row<'a>>(&mut self, row: &R, text: &'a str, place: Place, findings: &mut Findings) {
        self.encoded.clear();
        row.encode(&mut self.encoded);
        if self.encoded != text.as_bytes()
            && let Ok(RawFields(raw)) = serde_json::from_str(text)
        {
            check_form(R::FIELDS, &raw, place, findings);
        }
    }
}

/// The text of a line or a file, and `None` once it is reported that it is not UTF-8.
pub(super) fn utf8<'a>(bytes: &'a [u8], place: Place, findings: &mut Findings) -> Option<&'a str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            findings.add(Broken::NotJson, place, || {
                format!("not UTF-8 from byte {}", error.valid_up_to())
            });
            None
        }
    }
}

/// Reports a text that could not be read as what it should be.
pub(super) fn add_unreadable(text: &str, error: &serde_json::Error, place: Place, findings: &mut Findings) {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => findings.add(Broken::Schema, place, || describe(error)),
        Err(syntax) => findings.add(Broken::NotJson, place, || describe(&syntax)),
    }
}

/// A row has no lines of its own, so only the column tells something.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
    format!("{what} (column {})", error.column())
}

/// An object's names and values as they are written.
struct RawFields<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawFieldsVisitor;
        impl<'de> Visitor<'de> for RawFieldsVisitor {
            type Value = RawFields<'de>;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_map(RawFieldsVisitor)
    }
}

fn check_form(fields: &[Field], raw: &[(Text<'_>, &RawValue)], place: Place, findings: &mut Findings) {
    let mut latest = 0;
    for (name, value) in raw {
        let Some(at) = fields.iter().position(|field| field.name == &**name) else {
            continue;
        };
        if at < latest {
            findings.add(Broken::FieldOrder, place, || {
                format!("{} stands after {}", fields[at].name, fields[latest].name)
            });
        }
        latest = latest.max(at);
        if matches!(fields[at].kind, Kind::Milliseconds)
            && value.get() != "null"
            && !has_six_decimals(value.get())
        {
            findings.add(Broken::SixDecimals, place, || {
                format!("{} is written {}", fields[at].name, value.get())
            });
        }
    }
}

fn has_six_decimals(number: &str) -> bool {
    number
        .split_once('.')
        .is_some_and(|(_, decimals)| decimals.len() == DECIMAL_PLACES)
}

/// Checks one stamp.
pub(super) fn check_stamp(field: &str, stamp: Milliseconds, place: Place, findings: &mut Findings) {
    if stamp <= EPOCH {
        findings.add(Broken::StampPositive, place, || format!("{field} is {stamp}"));
    } else if stamp < YEAR_2000 {
        findings.add(Broken::StampInMilliseconds, place, || {
            format!("{field} is {stamp}")
        });
    }
}

/// Checks durations that may be absent but not negative.
pub(super) fn check_durations(
    durations: &[(&str, Option<Milliseconds>)],
    broken: Broken,
    place: Place,
    findings: &mut Findings,
) {
    for (field, duration) in durations {
        if let Some(duration) = duration.filter(|duration| duration.as_ns() < 0) {
            findings.add(broken, place, || format!("{field} is {duration}"));
        }
    }
}
