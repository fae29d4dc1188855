//! [`Variables`]: the `OTEL_*` variables of the environment, read as OpenTelemetry's specification says.
//!
//! Empty is unset. A boolean is true for `true` alone. A number or name that cannot be used is ignored with a warning.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

/// What the variables of OpenTelemetry begin with.
const PREFIX: &str = "OTEL_";

/// The variables, and what is wrong with those that were read.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl Variables {
    /// Those of this process.
    pub fn of_process() -> Self {
        let texts = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            // What is no UTF-8 is none of the values that the specification names.
            name.starts_with(PREFIX)
                .then(|| (name, value.to_string_lossy().into_owned()))
        });
        Self::from_pairs(texts)
    }

    /// Such variables.
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

    /// A boolean: true for `true` in any case, false otherwise.
    pub fn boolean(&mut self, name: &str) -> bool {
        let text = self.text(name).unwrap_or("false").trim().to_ascii_lowercase();
        if text != "true" && text != "false" {
            self.warn(format!("{name} is not true and counts as false"));
        }
        text == "true"
    }

    /// A whole number within a range.
    pub fn number(&mut self, name: &str, range: impl RangeBounds<u64>) -> Option<u64> {
        self.parsed(name, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    /// What `parse` makes of a value without the blanks around it. A value of which it makes nothing is ignored.
    pub fn parsed<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?.trim();
        let parsed = parse(text);
        if parsed.is_none() {
            let warning = format!("{name} is ignored: invalid value {text:?}");
            self.warn(warning);
        }
        parsed
    }

    /// Adds a warning.
    pub fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// What is wrong with the variables that were read so far, for the operator.
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
    fn a_number_that_cannot_be_used_is_ignored_with_a_warning() {
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
