//! Tests of the body of a planned request.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{HEAD_BYTES, body, decode, encode};
use crate::bounds::{BODY_BYTES_MAX, CALLEES_MAX, CALLS_MAX, DURATION_NS_MAX, WORK_BYTES_MAX};
use crate::check::check;
use crate::{Call, Callee, Ends, Kind, StandInError, Wait, What, Work};

fn work(calls: Vec<Call<'_>>) -> Work<'_> {
    Work {
        kind: Kind::Server,
        method: Some("GET"),
        route: Some("/cart/{id}"),
        calls,
        answer: Wait::default(),
        beside_cpu_ns: 7,
        bytes_out: 5,
        status: Some(503),
        error: Some("timeout"),
        is_failed: true,
        fails_with: Vec::new(),
    }
}

fn call<'a>(after: &[u16], callees: Vec<Callee<'a>>) -> Call<'a> {
    Call {
        wait: Wait {
            after: after.to_vec(),
            gap_ns: 3,
            cpu_ns: 2,
            ..Wait::default()
        },
        is_after_answer: false,
        what: What::Request,
        ends: Ends::Duration(9),
        net_ns: 4,
        answer_status: 200,
        retry_of: None,
        peer: Some("redis"),
        method: None,
        path: None,
        bytes_out: 1,
        bytes_in: 2,
        status: None,
        error: None,
        is_failed: false,
        callees,
    }
}

fn refusal(work: &Work) -> String {
    decode(&body(&encode(work), 0).0).unwrap_err().to_string()
}

#[test]
fn a_body_has_the_recorded_size_unless_the_work_is_larger() {
    let encoded = encode(&work(Vec::new()));
    let (padded, is_larger) = body(&encoded, 300);
    assert_eq!((padded.len(), is_larger), (300, false));
    assert_eq!(decode(&padded).unwrap(), work(Vec::new()));
    let (larger, is_larger) = body(&encoded, 10);
    assert_eq!((larger.len(), is_larger), (HEAD_BYTES + encoded.len(), true));
    assert_eq!(decode(&larger).unwrap(), work(Vec::new()));
}

#[test]
fn the_bytes_of_version_1_stay_as_they_are() {
    let nested = encode(&work(Vec::new()));
    let callee = Callee {
        module: "cart",
        instance: "cart-1",
        delay_ns: 300,
        body_bytes: 40,
        work: &nested,
    };
    let (bytes, _) = body(&encode(&work(vec![call(&[], vec![callee])])), 0);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Kind, method, route; then, after the calls: answer, beside_cpu_ns, bytes_out, status, error, is_failed, fails_with.
    let endpoint = "000103474554010a2f636172742f7b69647d";
    let rest = "0000000000070501f703010774696d656f75740100";
    let inner = format!("{endpoint}00{rest}");
    // One call: wait, is_after_answer, what, ends, net_ns, answer_status, retry_of, peer; method to is_failed.
    let call = "00000003020000010904c801000105726564697300000102000000";
    let length = nested.len();
    let callee = format!("01046361727406636172742d31ac0228{length:02x}{inner}");
    assert_eq!(hex, format!("4343534901{endpoint}01{call}{callee}{rest}"));
}

#[test]
fn another_program_or_version_is_recognised() {
    let (good, _) = body(&encode(&work(Vec::new())), 0);
    assert!(matches!(decode(b"{\"a\": 1}"), Err(StandInError::Magic)));
    assert!(matches!(decode(b""), Err(StandInError::Magic)));
    let mut newer = good.to_vec();
    newer[4] = 2;
    assert!(matches!(decode(&newer), Err(StandInError::Version(2))));
    let cut = &good[..good.len() - 1];
    assert!(matches!(decode(cut), Err(StandInError::Damaged)));
}

#[test]
fn calls_that_wait_for_each_other_are_refused() {
    let cycle = work(vec![call(&[1], Vec::new()), call(&[0], Vec::new())]);
    assert_eq!(
        refusal(&cycle),
        "the plan cannot be executed: calls wait for each other"
    );
    let mut late = work(vec![call(&[], Vec::new())]);
    late.calls[0].is_after_answer = true;
    late.answer.after = vec![0];
    assert!(refusal(&late).ends_with("calls wait for each other"));
    let mut own = work(vec![call(&[], Vec::new())]);
    own.calls[0].retry_of = Some(0);
    assert!(refusal(&own).ends_with("calls wait for each other"));
}

#[test]
fn a_plan_above_its_bounds_is_refused_with_the_bound() {
    let many = work(vec![call(&[], Vec::new()); CALLS_MAX + 1]);
    assert_eq!(
        refusal(&many),
        "the plan is above its bounds: an invocation has more than 1,024 calls"
    );
    // The next damaged plan is damaged.
    assert!(matches!(decode(b"CCSI\x01"), Err(StandInError::Damaged)));
    let waiting = work(vec![call(&[0; CALLS_MAX + 1], Vec::new())]);
    assert!(refusal(&waiting).ends_with("a call waits for more than 1,024 calls"));
    let callee = Callee {
        module: "a",
        instance: "a-1",
        delay_ns: 0,
        body_bytes: 0,
        work: b"",
    };
    let fan_out = |calls| work(vec![call(&[], vec![callee; 1_024]); calls]);
    assert!(decode(&body(&encode(&fan_out(16)), 0).0).is_ok());
    let one_call = work(vec![call(&[], vec![callee; CALLEES_MAX + 1])]);
    assert!(refusal(&one_call).ends_with("a call has more than 1,024 callees"));
    let refused = check(&fan_out(17)).unwrap_err().to_string();
    assert!(
        refused.ends_with("an invocation causes more than 16,384 others"),
        "{refused}"
    );
    let mut waits = work(vec![call(&[0; 128], Vec::new()); CALLS_MAX]);
    waits.calls[0].wait.after.push(0);
    let refused = check(&waits).unwrap_err().to_string();
    assert!(
        refused.ends_with("calls wait for more than 131,072 ends"),
        "{refused}"
    );
    // Both are refused while they are read, too, before they take all their memory.
    for large in [fan_out(17), waits] {
        assert_eq!(refusal(&large), check(&large).unwrap_err().to_string());
    }
    let mut long = work(Vec::new());
    long.answer.gap_ns = DURATION_NS_MAX + 1;
    assert!(refusal(&long).ends_with("a time is longer than one hour"));
    let mut cpu = work(vec![call(&[], Vec::new())]);
    cpu.calls[0].wait.cpu_ns = DURATION_NS_MAX;
    assert!(refusal(&cpu).ends_with("a time is longer than one hour"));
    let mut large = work(Vec::new());
    large.bytes_out = BODY_BYTES_MAX + 1;
    assert!(refusal(&large).ends_with("a body is larger than 64 MiB"));
    let text = "x".repeat(4_097);
    let mut texts = work(Vec::new());
    texts.route = Some(&text);
    assert!(refusal(&texts).ends_with("a text is longer than 4,096 bytes"));
}

#[test]
fn a_plan_of_more_than_16_mib_is_too_long_and_padding_is_not() {
    let nested = vec![0; WORK_BYTES_MAX];
    let callee = Callee {
        module: "a",
        instance: "a-1",
        delay_ns: 0,
        body_bytes: 0,
        work: &nested,
    };
    let long = encode(&work(vec![call(&[], vec![callee])]));
    assert!(matches!(decode(&body(&long, 0).0), Err(StandInError::TooLong)));
    let (padded, _) = body(&encode(&work(Vec::new())), 2 * WORK_BYTES_MAX as u32);
    assert!(decode(&padded).is_ok());
}

#[test]
fn a_plan_that_names_missing_calls_is_refused() {
    let missing = work(vec![call(&[1], Vec::new())]);
    assert!(refusal(&missing).ends_with("it names a call that does not exist"));
    let mut fails = work(Vec::new());
    fails.fails_with = vec![0];
    assert!(refusal(&fails).ends_with("it names a call that does not exist"));
    let mut need = work(vec![call(&[], Vec::new())]);
    need.answer.any_of = vec![0];
    need.answer.need = 2;
    assert!(refusal(&need).ends_with("a call waits for more calls than its group has"));
    let mut nobody = work(vec![call(&[], Vec::new())]);
    nobody.calls[0].ends = Ends::Answer;
    assert!(refusal(&nobody).ends_with("nothing answers"));
}

fn any_call(index: u16, nested: &'static [u8]) -> impl Strategy<Value = Call<'static>> {
    let earlier = move || vec(0..index.max(1), 0..usize::from(index.min(4)) + 1);
    let wait = (earlier(), earlier(), 0..1_000_000_u64).prop_map(move |(after, any_of, gap_ns)| Wait {
        need: any_of.len().min(1) as u16,
        after: if index == 0 { Vec::new() } else { after },
        any_of: if index == 0 { Vec::new() } else { any_of },
        gap_ns,
        cpu_ns: gap_ns / 2,
    });
    let ends = prop_oneof![
        (0..DURATION_NS_MAX).prop_map(Ends::Duration),
        (0..DURATION_NS_MAX).prop_map(Ends::Timeout),
        Just(Ends::Answer),
    ];
    let status = option::of(any::<u16>());
    (wait, ends, any::<bool>(), status, option::of(0..index.max(1))).prop_map(
        move |(mut wait, ends, is_failed, status, retry_of)| {
            wait.need = if wait.any_of.is_empty() { 0 } else { wait.need };
            let callee = Callee {
                module: "a\u{fc}\0",
                instance: "a-1",
                delay_ns: wait.gap_ns,
                body_bytes: 10,
                work: nested,
            };
            Call {
                net_ns: wait.gap_ns,
                wait,
                ends,
                is_failed,
                status,
                retry_of: if index == 0 { None } else { retry_of },
                ..call(&[], vec![callee; 1 + usize::from(is_failed)])
            }
        },
    )
}

proptest! {
    #[test]
    fn work_survives_its_encoding(
        calls in (0_u16..12).prop_flat_map(|count| (0..count).map(|index| any_call(index, b"nested")).collect::<Vec<_>>()),
        recorded in 0_u32..5_000,
    ) {
        let sent = work(calls);
        let (bytes, _) = body(&encode(&sent), recorded);
        prop_assert_eq!(decode(&bytes).unwrap(), sent);
    }

    #[test]
    fn no_bytes_cause_a_panic(
        bytes in vec(any::<u8>(), 0..400),
        at in 0_usize..400,
    ) {
        let _ = decode(&bytes);
        let mut headed = b"CCSI\x01".to_vec();
        headed.extend(&bytes);
        let _ = decode(&headed);
        // A valid body with one damaged byte.
        let (good, _) = body(&encode(&work(vec![call(&[], Vec::new()), call(&[0], Vec::new())])), 0);
        let mut damaged = good.to_vec();
        let at = at % damaged.len();
        damaged[at] ^= bytes.first().copied().unwrap_or(1) | 1;
        let _ = decode(&damaged);
    }
}
