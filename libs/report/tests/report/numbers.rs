//! Numbers in the page and in its script. Both must have the same form. A check in a browser uses the same cases.

use page::number::{Unit, exact};
use serde_json::Value;

#[test]
fn numbers_have_the_form_that_the_script_gives_them() {
    let cases: Value = serde_json::from_str(include_str!("../numbers.json")).unwrap();
    let cases = cases.as_object().unwrap();
    for (name, cases) in cases {
        let cases = cases.as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let value = case[0].as_f64().unwrap();
            let text = match name.as_str() {
                "duration" => Unit::Nanoseconds.format(value),
                "rate" => Unit::PerSecond.format(value),
                "share" => Unit::Share.format(value),
                "exact" => exact(value as u64),
                _ => panic!("{name} is no form of a number"),
            };
            assert_eq!(text, case[1], "{name} of {value}");
        }
    }
}
