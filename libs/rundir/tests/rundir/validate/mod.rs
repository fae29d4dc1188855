//! `validate` on folders: a good run breaks no rule. For each rule, there is a run that breaks only this rule.

mod cases;
mod good_run;
mod rows;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cctf_proto::cctf::{File, Part};
use cctf_proto::validate::{RULES, Report, Severity};
use rundir::ReadError;
use rundir::validate::{Options, validate};
use tempfile::TempDir;

use cases::{CASES, Change};
use good_run::{Run, Texts, write};
use rows::span;

/// Maximum length of a line in these tests. It is so short that a test can write a longer line.
const LINE_BYTES_MAX: usize = 8 * 1024;

fn report(dir: &Path) -> Report {
    validate(
        dir,
        Options {
            line_bytes_max: LINE_BYTES_MAX,
            whole_bytes_max: LINE_BYTES_MAX,
            ..Options::default()
        },
    )
    .unwrap()
}

fn report_on(texts: &Texts) -> Report {
    let dir = TempDir::new().unwrap();
    write(dir.path(), texts);
    report(dir.path())
}

fn changed(change: impl FnOnce(&mut Run)) -> Texts {
    let mut run = Run::good();
    change(&mut run);
    run.count();
    run.texts()
}

fn open(run: &mut Run) {
    run.meta.ended_ts = None;
}

#[test]
fn a_good_run_breaks_no_rule() {
    let report = report_on(&changed(|_| {}));
    assert_eq!(report.broken, []);
    assert!(report.is_valid() && report.warnings == 0 && !report.open);
    assert_eq!(report.lines[&File::Invocations], 4);
    assert_eq!(report.lines.len(), File::ALL.len());
}

#[test]
fn each_case_breaks_its_rule_and_no_other() {
    for (at, (id, change)) in CASES.iter().enumerate() {
        let mut run = Run::good();
        if let Change::Rows(change) = change {
            change(&mut run);
        }
        run.count();
        if let Change::Meta(change) = change {
            change(&mut run.meta);
        }
        let mut texts = run.texts();
        if let Change::Text(change) = change {
            change(&mut texts);
        }
        let report = report_on(&texts);
        let broken: Vec<_> = report.counts.keys().copied().collect();
        assert_eq!(broken, [*id], "case {at}: {:#?}", report.broken);
        assert_eq!(report.counts[id], 1, "case {at}: {:#?}", report.broken);
    }
}

#[test]
fn a_run_without_counts_by_outcome_is_valid() {
    let mut run = Run::good();
    run.count();
    run.meta.counts.spans_by_outcome = None;
    run.meta.counts.spans += 1;
    let report = report_on(&run.texts());
    assert!(report.broken.is_empty(), "{:#?}", report.broken);
}

#[test]
fn every_rule_has_a_case_and_an_id_of_its_own() {
    let with_case: BTreeSet<_> = CASES.iter().map(|(id, _)| *id).collect();
    let rules: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(with_case, rules);
    assert_eq!(rules.len(), RULES.len());
}

#[test]
fn a_finding_names_the_file_the_line_and_the_field() {
    let mut texts = changed(|_| {});
    let links = texts.get_mut(&File::Links).unwrap();
    *links = links.replace("\"samples\":1", "\"samples\":\"one\"");
    let report = report_on(&texts);
    let finding = &report.broken[1];
    assert_eq!(
        (finding.rule.id, finding.file, finding.line),
        ("schema", File::Links, Some(3))
    );
    assert!(
        finding.message.starts_with("samples: invalid type: string"),
        "{}",
        finding.message
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["broken"][1]["rule"], "schema");
    assert_eq!(json["broken"][1]["file"], "links.json");
    assert_eq!(json["lines"]["calls.jsonl"], 4);
}

#[test]
fn all_findings_are_counted_and_the_first_are_kept() {
    let texts = changed(|run| {
        let row = run.hosts[0].clone();
        run.hosts = vec![row; 100];
        run.hosts.iter_mut().for_each(|row| row.cpu_util = Some(-1.0));
    });
    let dir = TempDir::new().unwrap();
    write(dir.path(), &texts);
    let report = validate(
        dir.path(),
        Options {
            findings_kept_per_rule: 3,
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!(report.counts["cpu-util-range"], 100);
    assert_eq!(report.errors, 100);
    let lines: Vec<_> = report.broken.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [Some(1), Some(2), Some(3)]);
}

#[test]
fn missing_rows_of_an_open_run_cause_warnings() {
    let mut texts = changed(|run| {
        open(run);
        run.invocations[1].parent_id = Some(span(96));
        run.meta.counts.orphans = 77;
    });
    texts
        .get_mut(&File::SystemStats)
        .unwrap()
        .push_str("{\"ts_ms\":17600");
    texts.remove(&File::Links);
    let report = report_on(&texts);
    assert!(report.open && report.is_valid(), "{:#?}", report.broken);
    let broken: Vec<_> = report.counts.keys().copied().collect();
    assert_eq!(broken, ["file-missing", "line-not-whole", "parent-known"]);
    assert!(
        report
            .broken
            .iter()
            .all(|finding| finding.severity == Severity::Warning)
    );
    assert_eq!(report.lines[&File::SystemStats], 1);
}

#[test]
fn errors_that_no_later_row_can_fix_are_errors_in_an_open_run() {
    let report = report_on(&changed(|run| {
        open(run);
        run.hosts[0].cpu_util = Some(101.0);
    }));
    assert!(!report.is_valid());
}

#[test]
fn parents_and_callers_are_found_in_other_parts_of_the_run() {
    let logs = TempDir::new().unwrap();
    let (first, second) = (logs.path().join("good"), logs.path().join("good-0002"));
    write(
        &first,
        &changed(|run| {
            run.invocations.remove(1);
            // Its ancestor is in the second part.
            assert_eq!(run.calls[2].ancestor_id, Some(span(13)));
        }),
    );
    write(
        &second,
        &changed(|run| {
            run.invocations.remove(0);
            run.calls.truncate(1);
            run.calls[0].span_id = span(15);
            // The instance was started in the first part.
            run.placement.truncate(1);
        }),
    );
    assert_eq!(report(&first).broken, []);
    assert_eq!(report(&second).broken, []);
    fs::remove_dir_all(&first).unwrap();
    let alone = report(&second);
    let broken: Vec<_> = alone.counts.keys().copied().collect();
    assert_eq!(
        broken,
        [
            "caller-known",
            "instance-started",
            "parent-known",
            "stop-after-start"
        ]
    );
}

#[test]
fn a_cycle_is_none_if_another_part_has_a_row_with_one_of_its_ids() {
    let logs = TempDir::new().unwrap();
    let (first, second) = (logs.path().join("good"), logs.path().join("good-0002"));
    write(&first, &changed(cases::add_cycle));
    let finds_cycle = |folder: &Path| report(folder).counts.contains_key("parent-no-cycle");
    write(&second, &changed(|_| {}));
    assert!(finds_cycle(&first));
    let with_same_id = |run: &mut Run| {
        cases::add_cycle(run);
        run.invocations.pop();
    };
    write(&second, &changed(with_same_id));
    assert!(!finds_cycle(&first));
}

#[test]
fn rows_that_a_deleted_or_open_part_may_have_cause_warnings() {
    let logs = TempDir::new().unwrap();
    let folder = |number| logs.path().join(Part::later("good", number).folder());
    let later = |number, is_open| {
        changed(move |run| {
            if is_open {
                open(run);
            }
            run.meta.run_id = "good".into();
            run.meta.part = Some(number);
            run.invocations.remove(0);
            run.calls.truncate(1);
            run.calls[0].span_id = span(15);
            // The instance was started in an earlier part.
            run.placement.truncate(1);
        })
    };
    write(&folder(3), &later(3, false));
    let alone = report(&folder(3));
    assert!(!alone.open && alone.is_valid(), "{:#?}", alone.broken);
    let broken: Vec<_> = alone.counts.keys().copied().collect();
    assert_eq!(broken, ["caller-known", "parent-known"]);
    // All parts exist, and none contains the parent. This is an error, unless the run is still open.
    write(&logs.path().join("good"), &later(1, false));
    write(&folder(2), &later(2, false));
    assert_eq!(report(&folder(3)).errors, alone.counts["parent-known"]);
    write(&folder(4), &later(4, true));
    assert!(report(&folder(3)).is_valid());
}

#[test]
fn the_run_folder_and_the_cctf_folder_in_it_are_accepted() {
    let logs = TempDir::new().unwrap();
    let run = logs.path().join("good");
    write(&run, &changed(|_| {}));
    assert_eq!(report(&run.join("cctf")), report(&run));
    assert!(matches!(
        validate(logs.path(), Options::default()),
        Err(ReadError::NotARun { .. })
    ));
    assert!(matches!(
        validate(&logs.path().join("none"), Options::default()),
        Err(ReadError::Io { .. })
    ));
}

#[test]
fn a_single_module_without_an_array_is_accepted() {
    let mut texts = changed(|run| {
        run.modules.truncate(1);
        run.modules[0].calls = None;
    });
    let modules = texts.get_mut(&File::ModuleInventory).unwrap();
    *modules = modules.trim_matches(|letter| "[]\n".contains(letter)).to_owned();
    let report = report_on(&texts);
    assert_eq!(report.lines[&File::ModuleInventory], 1);
    assert_eq!(
        report.counts.keys().copied().collect::<Vec<_>>(),
        ["module-known"]
    );
}

#[test]
fn a_whole_file_beyond_the_limit_is_one_finding() {
    let mut texts = changed(|_| {});
    let links = texts.get_mut(&File::Links).unwrap();
    links.push_str(&" ".repeat(LINE_BYTES_MAX));
    let report = report_on(&texts);
    assert_eq!(report.counts.keys().copied().collect::<Vec<_>>(), ["too-long"]);
    assert_eq!((report.errors, report.lines.get(&File::Links)), (1, None));
}

#[test]
fn unknown_fields_are_allowed() {
    let mut texts = changed(|_| {});
    let text = texts.get_mut(&File::Invocations).unwrap();
    *text = text.replace("\"trace_id\"", "\"x_first\":{\"a\":[1,2]},\"trace_id\"");
    assert_eq!(report_on(&texts).broken, []);
}
