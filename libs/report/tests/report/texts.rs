//! Texts from telemetry: none of them becomes markup anywhere in the page.

use report::render::render;

use crate::data::{Extent, SMALL};

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</script><b>x",
    "' onmouseover='alert(1)",
    "\u{202e}evil\u{2066}",
    "]]><!--",
];

#[test]
fn no_name_becomes_markup_and_each_is_shown_as_text() {
    for name in HOSTILE {
        let extent = Extent { name, ..SMALL };
        let runs = [extent.run(name), extent.run("other")];
        for page in [render(&runs[..1], false).html, render(&runs, true).html] {
            for markup in [
                "<script>alert",
                "<img",
                "<b>x",
                "<!--",
                "' onmouseover='",
                "\u{202e}",
                "\u{2066}",
            ] {
                assert!(!page.contains(markup), "{name}: {markup}");
            }
            assert!(page.contains(&page::text::escape(&format!("1 {name}"))), "{name}");
        }
    }
}

#[test]
fn the_page_has_only_its_own_scripts_and_each_id_once() {
    let runs = [SMALL.run("first"), SMALL.run("second")];
    for page in [
        render(&runs[..1], false).html,
        render(&runs, false).html,
        render(&runs, true).html,
    ] {
        // These are the script of all pages, the script for numbers, and the script for the window of this page. Data is not in
        // a script that a browser runs.
        assert_eq!(page.matches("<script>").count(), 3);
        let mut ids: Vec<&str> = page
            .split(" id=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        for link in page
            .split(" href=\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            assert!(ids.binary_search(&link).is_ok(), "{link}");
        }
    }
}
