//! [`Names`]: texts from telemetry in the form that the page shows: shortened, and isolated from the text around them.

use std::collections::{BTreeMap, BTreeSet};

use analyze::stats::Stats;
use analyze::stats::cells::{Key, OTHER_NAME, UNKNOWN_NAME};
use page::html::{Html, element};
use page::number::NONE;

/// Maximum length of a shown text, in characters.
const SHOWN_MAX: usize = 60;
/// Maximum length of a text in a chart, in characters.
const LABEL_MAX: usize = 28;
/// Maximum length of the tip that shows more of a shortened text, in characters.
const WHOLE_MAX: usize = 300;

/// The text, shortened to `chars_max` characters. An ellipsis marks a shortened text.
pub fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text
            .chars()
            .take(chars_max.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

/// A text for a chart.
pub fn label(text: &str) -> String {
    cut(text, LABEL_MAX)
}

/// A text for a cell. If its script runs from right to left, the text around it does not change.
pub fn shown(text: &str) -> Html {
    let short = cut(text, SHOWN_MAX);
    let is_cut = short != text;
    element("bdi")
        .attr_if("title", is_cut.then(|| cut(text, WHOLE_MAX)))
        .child(short)
        .build()
}

/// A sentence that can contain names, shortened to `chars_max` characters.
pub fn sentence(text: &str, chars_max: usize) -> Html {
    element("bdi").child(cut(text, chars_max)).build()
}

/// The text, or a dash if there is none.
pub fn shown_or_none(text: Option<&str>) -> Html {
    text.map_or_else(|| Html::text(NONE), shown)
}

/// Names of modules. The application is part of a module's name if several applications have a module of this name.
#[derive(Debug)]
pub struct Names {
    ambiguous: BTreeSet<String>,
}

impl Names {
    pub fn new<'a>(runs: impl IntoIterator<Item = &'a Stats>) -> Self {
        let mut apps: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
        for group in runs.into_iter().flat_map(|stats| &stats.groups) {
            if let Some(module) = group.key.module_id.as_deref() {
                apps.entry(module)
                    .or_default()
                    .insert(group.key.app_id.as_deref());
            }
        }
        let several = apps.into_iter().filter(|(_, apps)| apps.len() > 1);
        Self {
            ambiguous: several.map(|(module, _)| module.to_owned()).collect(),
        }
    }

    /// Full name of a module, or of an endpoint's module.
    pub fn module(&self, key: &Key) -> String {
        let Some(module) = key.module_id.as_deref() else {
            return if key.is_other { OTHER_NAME } else { UNKNOWN_NAME }.to_owned();
        };
        match &key.app_id {
            Some(app) if self.ambiguous.contains(module) => format!("{app}/{module}"),
            _ => module.to_owned(),
        }
    }
}

/// Method and route of an endpoint.
pub fn endpoint(key: &Key) -> String {
    match (key.is_other, &key.method, &key.route) {
        (true, ..) => OTHER_NAME.to_owned(),
        (_, Some(method), Some(route)) => format!("{method} {route}"),
        (_, Some(text), None) | (_, None, Some(text)) => text.clone(),
        (_, None, None) => "(no route)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_its_whole_text_is_bounded() {
        let long = "é".repeat(4096);
        let html = shown(&long).into_string();
        assert!(html.contains('…') && html.chars().count() < 400, "{html}");
        assert_eq!(shown("<b>").into_string(), "<bdi>&lt;b&gt;</bdi>");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
    }

    #[test]
    fn an_endpoint_shows_what_is_known_of_it() {
        let key = |method: Option<&str>, route: Option<&str>| Key {
            method: method.map(str::to_owned),
            route: route.map(str::to_owned),
            ..Key::default()
        };
        assert_eq!(endpoint(&key(Some("GET"), Some("/a"))), "GET /a");
        assert_eq!(endpoint(&key(None, Some("/a"))), "/a");
        assert_eq!(endpoint(&key(None, None)), "(no route)");
    }
}
