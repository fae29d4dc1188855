//! Tests of the checks themselves: they must find each fault of `e2e/browser/faulty.html`.

use e2e::exclusive;
use e2e::sources::root;
use serde_json::json;

use super::{file_url, visit};

/// A part of each expected finding, and the check that must report it.
const FAULTS: [(&str, &str); 16] = [
    ("requested ", "axe, light"),
    ("console warning: a warning", "axe, light"),
    ("uncaught ReferenceError: absent", "axe, light"),
    ("Content-Security-Policy: img-src", "axe, light"),
    ("a dialog opened: 1", "axe, light"),
    ("axe image-alt", "axe, light"),
    ("axe color-contrast", "axe, dark"),
    ("wide in a window of 390", "width of 390"),
    ("wide in a window of 1280", "width of 1280"),
    ("a name became markup: <img", "names"),
    ("a script from a name ran", "names"),
    ("the page does not show <b>", "names"),
    ("the focus cannot be seen: <button", "keyboard"),
    ("the focus is outside of the window: <span", "keyboard"),
    ("no table is reached", "keyboard"),
    ("1 animations run", "reduced motion"),
];

#[test]
fn each_fault_of_a_page_is_found() {
    let page = root().join("e2e/browser/faulty.html").canonicalize().unwrap();
    let _machine = exclusive::machine();
    let done = visit(&json!({ "kind": "page", "url": file_url(&page), "names": ["<b>"] }));
    assert_eq!(done.code, Some(1), "{}\n{}", done.stdout, done.stderr);
    let result = done.json().unwrap();
    for (part, check) in FAULTS {
        let found = result["findings"].as_array().unwrap().iter().any(|found| {
            found["finding"].as_str().unwrap().contains(part)
                && found["checks"].as_array().unwrap().contains(&check.into())
        });
        assert!(found, "{check}: {part}\n{}", done.stdout);
    }
}
