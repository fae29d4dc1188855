//! [`query`]: the query of a span's URL. It is used only for sources whose queries are kept.

use super::conventions::Slot;
use super::slots::AttributeSlots;

/// The query without its question mark, from its own attribute, or else from the target or the URL.
pub fn query<'a>(slots: &AttributeSlots<'a>) -> Option<&'a str> {
    let whole = || {
        [Slot::HttpTarget, Slot::UrlFull]
            .into_iter()
            .find_map(|slot| query_of(slots.text(slot)?))
    };
    // Node's instrumentation includes the question mark.
    let own = slots
        .text(Slot::UrlQuery)
        .map(|query| query.strip_prefix('?').unwrap_or(query));
    own.or_else(whole).filter(|query| !query.is_empty())
}

fn query_of(url: &str) -> Option<&str> {
    let (before_fragment, _) = url.split_once('#').unwrap_or((url, ""));
    before_fragment.split_once('?').map(|(_, query)| query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_the_text_between_question_mark_and_fragment() {
        for (url, query) in [
            ("http://h:80/a?x=1&y=2", Some("x=1&y=2")),
            ("/a?x=1#f", Some("x=1")),
            ("/a#f?x=1", None),
            ("/a?", Some("")),
            ("/a?u=/b?c", Some("u=/b?c")),
            ("/a", None),
        ] {
            assert_eq!(query_of(url), query, "{url}");
        }
    }
}
