//! Joins invocations with the calls that they answer.

use plan::roots::{JoinCounts, Origin};

use crate::run::{Files, all, call, invocation, span};

/// A time in 2026 that a double cannot represent exactly.
const AT: i64 = 1_795_000_000_000_123_457;

/// The row has only the id of its parent span, and this span may have no row.
#[test]
fn an_answer_that_outlived_its_call_is_no_root_of_its_own() {
    let late = invocation(1, 3, AT).with("parent_span_id", &span(2));
    for (calls, origin) in [(vec![call(1, 2, AT)], Origin::Call), (vec![], Origin::Invocation)] {
        let roots = all(&Files::of(&calls, std::slice::from_ref(&late)).read());
        assert_eq!((roots.len(), roots[0].origin), (1, origin));
    }
}

#[test]
fn a_call_and_its_answer_may_share_one_id() {
    let files = Files::of(&[call(1, 1, AT)], &[invocation(1, 1, AT + 1)]);
    let roots = files.read();
    assert_eq!((roots.survey.roots, roots.counts), (1, JoinCounts::default()));
    assert!(all(&roots)[0].is_answered);
}
