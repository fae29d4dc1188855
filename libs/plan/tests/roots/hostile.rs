//! Files that are damaged, or that are made to cause harm.

use proptest::prelude::*;

use crate::run::{Files, all, answer, call, invocation};

const AT: i64 = 1_795_000_000_000_123_457;

/// Bytes that have a meaning in a line.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![prop::sample::select(b"\"{}[]\\,:.-0n\n".to_vec()), any::<u8>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Each line is a root, is joined with a root, or is damaged. Nothing panics.
    #[test]
    fn any_bytes_in_a_file_are_a_row_or_a_damaged_line(
        changes in prop::collection::vec((any::<prop::sample::Index>(), byte()), 0..6),
    ) {
        let lines = [
            call(1, 1, AT).text(),
            call(2, 2, AT).with("flags", "[\"truncated\"]").text(),
        ];
        let mut text = lines.concat().into_bytes();
        for (index, byte) in &changes {
            let at = index.index(text.len());
            text[at] = *byte;
        }
        let files = Files::of(&[], &[answer(1, 11, 1, AT), invocation(3, 3, AT)]);
        let complete = text.iter().filter(|byte| **byte == b'\n').count() as u64;
        // The run has ended, so an incomplete last line counts as damaged.
        let lines = complete + u64::from(!text.ends_with(b"\n"));
        files.raw_bytes(1, "calls.jsonl", &text);
        let roots = files.read();
        let found = all(&roots).len() as u64;
        // A valid line may have got a parent because another line changed, and an answer may have lost its call.
        prop_assert!(roots.damaged <= lines);
        prop_assert!(found <= lines - roots.damaged + 2);
        prop_assert!(found + roots.damaged + 2 >= complete.min(2));
        if changes.is_empty() {
            prop_assert_eq!((found, roots.damaged), (3, 0));
        }
    }
}

#[test]
fn texts_from_telemetry_arrive_as_they_are() {
    let hostile = r#""\u0000<script>\ud83e\udd80 \\ \" é\r\n""#;
    let line = call(1, 1, AT)
        .with("peer", hostile)
        .with("peer_module", hostile)
        .with("path", hostile);
    let root = all(&Files::of(&[line], &[]).read()).remove(0);
    let text = "\0<script>\u{1f980} \\ \" é\r\n";
    assert_eq!(
        (&*root.module, root.path.as_deref(), root.peer.as_deref()),
        (text, Some(text), Some(text))
    );
    assert!(!root.kind.can_be_sent());
}

#[test]
fn more_paths_than_a_table_takes_stay_exact() {
    // There are more different texts than fit into the table of shared texts.
    let count = (1 << 16) + 500;
    let calls: Vec<_> = (1..=count)
        .map(|id| call(u128::from(id), id, AT + id as i64).with("path", &format!("\"/items/{id}\"")))
        .collect();
    let roots = Files::of(&calls, &[]).read_within(1 << 16);
    for (id, root) in (1..=count).zip(roots.iter()) {
        assert_eq!(
            root.unwrap().path.as_deref(),
            Some(format!("/items/{id}").as_str())
        );
    }
    assert_eq!(roots.survey.endpoints().len(), 10_000);
    assert_eq!(roots.survey.other_endpoints, count - 10_000);
}
