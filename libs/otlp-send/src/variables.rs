//! [`Variables`]: the `OTEL_*` variables of the environment, according to OpenTelemetry's specification.
//!
//! An empty variable counts as unset. A boolean is true only for `true`. An invalid number or name is ignored with a warning.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

const PREFIX: &str = "OTEL_";

/// The variables, and warnings about invalid values read so far.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl Variables {
    /// The variables of this process.
    pub fn from_process() -> Self {
        let texts = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            // All valid values are UTF-8. A lossy conversion of another value does not make it valid.
            name.starts_with(PREFIX)
                .then(|| (name, value.to_string_lossy().into_owned()))
        });
        Self::from_pairs(texts)
    }

    pub fn from_pairs(pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        let values = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .filter(|(_, value)| !value.trim().is_empty());
        Self {
            values: values.collect(),
            warnings: Vec::new(),
        }
    }

    /// A text; none if the variable is empty or unset.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A boolean: true for `true` in upper or lower case, false otherwise.
    pub fn boolean(&mut self, name: &str) -> bool {
        let text = self.text(name).unwrap_or("false").trim().to_ascii_lowercase();
        if text != "true" && text != "false" {
            self.warn(format!("{name} is neither true nor false and counts as false"));
        }
        text == "true"
    }

    /// A whole number within a range.
    pub fn number(&mut self, name: &str, range: impl RangeBounds<u64>) -> Option<u64> {
        self.parsed(name, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    /// A parsed value. `parse` gets it without surrounding spaces; a value that it refuses is ignored with a warning.
    pub fn parsed<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?.trim();
        let parsed = parse(text);
        if parsed.is_none() {
            let warning = format!("{name} is ignored: invalid value {text:?}");
            self.warn(warning);
        }
        parsed
    }

    pub fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The warnings about variables read so far.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> Variables {
        Variables::from_pairs([("OTEL_X", value)])
    }

    #[test]
    fn a_boolean_is_true_for_true_only() {
        for (value, expected, warnings) in [
            ("true", true, 0),
            ("TRUE", true, 0),
            ("True", true, 0),
            ("false", false, 0),
            ("False", false, 0),
            ("", false, 0),
            ("1", false, 1),
            ("yes", false, 1),
            ("on", false, 1),
            ("t", false, 1),
        ] {
            let mut variables = one(value);
            assert_eq!(variables.boolean("OTEL_X"), expected, "{value}");
            assert_eq!(variables.take_warnings().len(), warnings, "{value}");
        }
        assert!(!Variables::default().boolean("OTEL_X"));
    }

    #[test]
    fn an_invalid_number_is_ignored_with_a_warning() {
        for value in ["-1", "0", "11", "1.5", "many", "99999999999999999999"] {
            let mut variables = one(value);
            assert_eq!(variables.number("OTEL_X", 1..=10), None, "{value}");
            let warnings = variables.take_warnings();
            assert!(warnings[0].contains("OTEL_X") && warnings[0].contains(value));
        }
        assert_eq!(one("10").number("OTEL_X", 1..=10), Some(10));
        let mut empty = one("");
        assert_eq!(empty.number("OTEL_X", 1..), None);
        assert!(empty.take_warnings().is_empty());
    }

    #[test]
    fn empty_is_unset() {
        assert_eq!(one("").text("OTEL_X"), None);
        assert_eq!(one(" ").text("OTEL_X"), None);
        assert_eq!(one("a").text("OTEL_X"), Some("a"));
    }
}
