//! Checks of the gallery's page. They read it like a browser.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../examples/gallery/content.rs"]
mod content;
#[path = "../../examples/gallery/data.rs"]
mod data;
#[path = "../../examples/gallery/graphs.rs"]
mod graphs;
#[path = "../../examples/gallery/hostile.rs"]
mod hostile;
mod markup;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use page::document::Document;
use sha2::{Digest, Sha256};

use markup::{Tag, tags};

/// The names of all elements in the pages. If telemetry became markup, there would be others.
const ELEMENTS: [&str; 53] = [
    "a",
    "body",
    "button",
    "caption",
    "circle",
    "dd",
    "defs",
    "desc",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "g",
    "h1",
    "h2",
    "h3",
    "head",
    "header",
    "html",
    "li",
    "line",
    "link",
    "main",
    "meta",
    "nav",
    "p",
    "path",
    "pattern",
    "rect",
    "script",
    "section",
    "small",
    "span",
    "style",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "text",
    "th",
    "thead",
    "title",
    "tr",
    "tspan",
    "ul",
    "ol",
    "code",
    "pre",
    "polyline",
];

fn page() -> String {
    content::document().html()
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    let found = tag.attributes.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn telemetry_adds_no_element_and_no_handler() {
    let page = page();
    for tag in tags(&page) {
        assert!(ELEMENTS.contains(&tag.name.as_str()), "{tag:?}");
        for (name, value) in &tag.attributes {
            assert!(name != "style" && !name.starts_with("on"), "{tag:?}");
            assert!(!(name == "href" && value.starts_with("javascript")), "{tag:?}");
        }
    }
    for raw in ["<img", "alert('x')", "\u{202e}", "\u{0}"] {
        assert!(!page.contains(raw), "{raw}");
    }
    let shown = "&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;";
    assert!(
        page.matches(shown).count() > 20,
        "the hostile text is shown as text"
    );
}

#[test]
fn elements_end_in_the_order_in_which_they_start() {
    let page = page();
    let mut open: Vec<String> = Vec::new();
    for tag in tags(&page) {
        let is_void = ["meta", "link"].contains(&tag.name.as_str());
        if tag.is_end {
            assert_eq!(open.pop().as_ref(), Some(&tag.name), "{tag:?}");
        } else if !tag.is_empty && !is_void {
            open.push(tag.name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn ids_are_unique_and_references_lead_to_them() {
    let page = page();
    let tags = tags(&page);
    let mut ids = BTreeSet::new();
    for id in tags.iter().filter_map(|tag| attribute(tag, "id")) {
        assert!(ids.insert(id), "{id} is used twice");
    }
    for tag in &tags {
        for name in ["aria-labelledby", "aria-describedby"] {
            assert!(attribute(tag, name).is_none_or(|id| ids.contains(id)), "{tag:?}");
        }
        let fill = attribute(tag, "fill").and_then(|fill| fill.strip_prefix("url(#"));
        let fill = fill.map(|fill| fill.trim_end_matches(')'));
        let link = attribute(tag, "href").and_then(|link| link.strip_prefix('#'));
        for id in fill.into_iter().chain(link) {
            assert!(ids.contains(id), "{tag:?}");
        }
    }
}

#[test]
fn every_chart_has_a_name_and_a_table_behind_it() {
    let page = page();
    let figures: Vec<&str> = page.split("<figure>").skip(1).collect();
    assert_eq!(figures.len(), 12);
    for figure in figures {
        let figure = figure.split("</figure>").next().unwrap();
        assert!(figure.contains("<details><summary>Table"), "{figure:.200}");
        assert!(figure.contains("aria-label="), "{figure:.200}");
    }
}

/// The content of all elements that begin with `start`.
fn blocks<'a>(page: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    page.split(start)
        .skip(1)
        .map(|rest| rest.split(end).next().unwrap())
        .collect()
}

fn policy(page: &str) -> String {
    let tags = tags(page);
    let is_policy = |tag: &&Tag| attribute(tag, "http-equiv") == Some("Content-Security-Policy");
    let policy = attribute(tags.iter().find(is_policy).unwrap(), "content").unwrap();
    policy.replace("&#39;", "'")
}

#[test]
fn the_policy_allows_exactly_the_inline_blocks() {
    let document = Document {
        scripts: vec!["\"first\";\n", "\"second\";"],
        styles: vec![".x { color: red }"],
        ..content::document()
    };
    let page = document.html();
    let hash = |block: &&str| format!("'sha256-{}'", BASE64.encode(Sha256::digest(block)));
    let scripts: Vec<String> = blocks(&page, "<script>", "</script>").iter().map(hash).collect();
    let styles: Vec<String> = blocks(&page, "<style>", "</style>").iter().map(hash).collect();
    assert_eq!((scripts.len(), styles.len()), (3, 1));
    let expected = format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src {}; script-src {}",
        styles.join(" "),
        scripts.join(" ")
    );
    assert_eq!(policy(&page), expected);
    let live = Document {
        connects_to_origin: true,
        ..document
    };
    assert_eq!(policy(&live.html()), expected + "; connect-src 'self'");
}

#[test]
fn data_is_a_block_that_no_browser_runs() {
    let page = page();
    let start = "<script type=\"application/octet-stream;base64\" id=\"blob\">";
    let data = blocks(&page, start, "</script>");
    let bytes = BASE64.decode(data[0]).unwrap();
    assert_eq!(bytes, b"</script><script>alert(1)</script>");
}
