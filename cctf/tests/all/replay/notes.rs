//! The notes in the preview of `cctf replay`.

use std::fs;
use std::path::Path;

use super::{CHECKOUT, Call, ENDED, JSON, record};
use crate::cctf;

#[test]
fn the_plan_names_sessions_retries_and_bodies_of_unknown_content() {
    let logs = tempfile::tempdir().unwrap();
    let session = Call {
        more: r#","resend_count":1,"session_id":"s""#,
        ..CHECKOUT
    };
    let run = record(logs.path(), &[session, JSON], ENDED);
    let output = cctf(&["replay", &run, "--dry-run"]).output().unwrap();
    let plan = String::from_utf8(output.stdout).unwrap();
    for note in [
        "1 request of user sessions: ",
        "1 request that the recorded client sent again",
        "1 request of unknown content: text of the recorded size (POST /checkout)",
        "2 requests that no recorded service answered",
        "1 request without a recorded query: they had none, or the recording did not keep it",
    ] {
        assert!(plan.contains(note), "{note}: {plan}");
    }
}

#[test]
fn a_plan_has_no_note_on_queries_where_they_are_kept_or_not_used() {
    let logs = tempfile::tempdir().unwrap();
    let kept = record(&logs.path().join("kept"), &[CHECKOUT], ENDED);
    let answer = r#"{"trace_id":"00000000000000000000000000000001","span_id":"00000000000000aa","parent_id":null,"parent_span_id":"0000000000000001","module_id":"cart","instance_id":"c","ts_enqueue":1760000000010.100000,"ts_start":1760000000010.100000,"ts_end":1760000000010.400000,"node":"n","stage":"edge","method":"POST","path":"/checkout","bytes_in":100,"bytes_out":2,"cpu_time_ms":0.1,"queue_time_ms":0.000000,"service_time_ms":0.300000,"rt_ms":0.300000,"status":200,"pid":1,"protocol":"http","query":"page=2","kind":"server","caller_span_id":"0000000000000001"}"#;
    fs::write(
        Path::new(&kept).join("cctf/invocations.jsonl"),
        format!("{answer}\n"),
    )
    .unwrap();
    let unused = record(&logs.path().join("unused"), &[JSON], ENDED);
    for run in [kept, unused] {
        let output = cctf(&["replay", &run, "--dry-run"]).output().unwrap();
        let plan = String::from_utf8(output.stdout).unwrap();
        assert!(
            plan.contains("requests") && !plan.contains("recorded query"),
            "{plan}"
        );
    }
}
