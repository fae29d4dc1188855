//! [`Reader`]: parses a row and checks its form: valid JSON, types and order of fields, six decimals.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::report::{Findings, Place};
use super::rules::Broken;
use crate::cctf::{Field, Kind, Milliseconds, Row, Text, decode, reason};

/// Decimal places of every timestamp and duration.
const DECIMAL_PLACES: usize = 6;

/// 2000-01-01. A timestamp before this date was probably written in seconds instead of milliseconds.
const YEAR_2000: Milliseconds = Milliseconds::from_ns(946_684_800_000 * 1_000_000);

const EPOCH: Milliseconds = Milliseconds::from_ns(0);

/// Reads rows. Owns the buffer into which each row is encoded again.
#[derive(Debug, Default)]
pub(super) struct Reader {
    encoded: Vec<u8>,
}

impl Reader {
    /// Parses a row. Adds a finding and returns `None` if the text is not a row of this type.
    pub fn row<'a, R: Row<'a>>(&mut self, text: &'a str, place: Place, findings: &mut Findings) -> Option<R> {
        // Nearly all rows are exactly as the encoder writes them, so their form is valid.
        if let Some(row) = decode(text) {
            return Some(row);
        }
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

    /// Encodes the row again, and compares the bytes. The reason for a difference is searched only if there is one, because
    /// nearly all rows are equal.
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

/// The text of a line or a file. Adds a finding and returns `None` if it is not UTF-8.
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

/// Reports a text that is not JSON, or JSON of another type than expected.
pub(super) fn add_unreadable(text: &str, error: &serde_json::Error, place: Place, findings: &mut Findings) {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => findings.add(Broken::Schema, place, || describe(error)),
        Err(syntax) => findings.add(Broken::NotJson, place, || describe(&syntax)),
    }
}

/// Replaces the line number of the parser's message by the column, because each row is parsed as a separate text.
fn describe(error: &serde_json::Error) -> String {
    let text = reason(error);
    let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
    format!("{what} (column {})", error.column())
}

/// Names and values of an object, as JSON texts.
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
        let Some(index) = fields.iter().position(|field| field.name == &**name) else {
            continue;
        };
        if index < latest {
            findings.add(Broken::FieldOrder, place, || {
                format!("{} comes after {}", fields[index].name, fields[latest].name)
            });
        }
        latest = latest.max(index);
        if matches!(fields[index].kind, Kind::Milliseconds)
            && value.get() != "null"
            && !has_six_decimals(value.get())
        {
            findings.add(Broken::SixDecimals, place, || {
                format!("{} is written {}", fields[index].name, value.get())
            });
        }
    }
}

fn has_six_decimals(number: &str) -> bool {
    number
        .split_once('.')
        .is_some_and(|(_, decimals)| decimals.len() == DECIMAL_PLACES)
}

/// Checks that a timestamp is positive and plausible.
pub(super) fn check_timestamp(field: &str, timestamp: Milliseconds, place: Place, findings: &mut Findings) {
    if timestamp <= EPOCH {
        findings.add(Broken::TimestampPositive, place, || {
            format!("{field} is {timestamp}")
        });
    } else if timestamp < YEAR_2000 {
        findings.add(Broken::TimestampInMilliseconds, place, || {
            format!("{field} is {timestamp}")
        });
    }
}

/// Checks that durations are absent or not negative.
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
