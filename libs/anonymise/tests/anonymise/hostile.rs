//! No byte of the result contains a text of a field that is not kept, whatever the text contains.

use std::fs;

use cctf_proto::cctf::File;
use proptest::prelude::*;
use serde_json::Value;

use super::support::{BEGIN_MS, Source, bytes_below, run_of, write};

/// Minimum length of a text's part that cannot occur in a hash by chance, bytes.
const PART_BYTES: usize = 8;

/// Texts of parts with at least four characters. The first character occurs in no hash and in no text of the contract.
fn hostile() -> impl Strategy<Value = String> {
    let part = "Ω[\\PC\"\\\\ .:/\u{7}\u{2028}é🦀?#{}*>-]{3,12}";
    prop_oneof![
        4 => part,
        2 => part.prop_map(|part| format!("/{part}/{part}")),
        2 => part.prop_map(|part| format!("{part}:8080")),
        1 => part.prop_map(|part| format!("http://{part}:80/{part}?{part}#{part}")),
        1 => part.prop_map(|part| part.chars().cycle().take(4096 / 4).collect::<String>()),
        1 => Just("Ωxyz".repeat(4096 / 5)),
    ]
}

/// Whether the bytes contain a text: unchanged, escaped as in JSON, or a part of it.
fn is_in(bytes: &[u8], text: &str) -> bool {
    let escaped = Value::from(text).to_string();
    let forms = [text, &escaped[1..escaped.len() - 1]];
    forms
        .iter()
        .any(|form| memchr::memmem::find(bytes, form.as_bytes()).is_some())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn nothing_of_a_name_is_in_the_result(texts in proptest::collection::vec(hostile(), 40..80)) {
        let folder = tempfile::tempdir().unwrap();
        let (run, out) = (folder.path().join("Ωrun"), folder.path().join("out"));
        let mut source = Source::new(&texts);
        write(&run, &mut source);
        let summary = run_of(&run, &out).unwrap();
        prop_assert_eq!(summary.damaged(), 0, "{:?}", summary);
        let bytes = bytes_below(&out);
        for file in File::ALL {
            prop_assert!(fs::metadata(out.join("cctf").join(file.name())).unwrap().len() > 2);
        }
        for secret in &source.secret {
            prop_assert!(!is_in(&bytes, secret), "{secret:?} is in the result");
            for part in secret.split(['/', '.', ':', '?', '#', '@']).filter(|part| part.len() >= PART_BYTES) {
                prop_assert!(!is_in(&bytes, part), "{part:?} of {secret:?} is in the result");
            }
        }
        // The first character of each part occurs in no other text.
        prop_assert!(!is_in(&bytes, "Ω"));
        // Times within the run have the same first digits.
        prop_assert!(!is_in(&bytes, &(BEGIN_MS / 1_000_000).to_string()));
        prop_assert!(!is_in(&bytes, "2026-01-01T"));
        // One in each complete row: of ten files, and of the driver's file.
        prop_assert_eq!(summary.unknown_fields.values, 11);
    }
}
