//! Buckets and rests that are refused, each with a sentence that says what to do.

use std::fs;
use std::path::{Path, PathBuf};

use cctf_merge::{Bucket, Options, merge, merge_bucket, merge_rests};
use rundir::UsageError;
use rundir::validate::validate;
use tempfile::TempDir;

use crate::buckets::buckets;
use crate::folders::folder;
use crate::world::{SERVICES, Step, normalize, spans_of};

fn run() -> TempDir {
    normalize(&spans_of(&vec![vec![Step::Outside(0)]; 8], [0; SERVICES]))
}

/// The text of the refusal. Nothing may be left beside the buckets.
fn refusal(made: anyhow::Result<impl Sized>, out: &Path) -> String {
    let Err(error) = made else {
        panic!("not refused");
    };
    assert!(error.is::<UsageError>(), "{error:#}");
    let name = out.file_name().unwrap().to_str().unwrap();
    let hidden = out.with_file_name(format!(".{name}.partial"));
    assert!(!out.exists() && !hidden.exists(), "{error:#}");
    error.to_string()
}

fn rests(inputs: &[PathBuf], buckets: &[PathBuf], out: &Path) -> String {
    refusal(
        merge_rests(out, inputs, buckets, true, &Options::default(), &mut |_| {}),
        out,
    )
}

#[test]
fn missing_doubled_and_foreign_buckets_are_named() {
    let (run, other, at) = (run(), run(), folder());
    let (inputs, out) = ([run.path().to_owned()], at.path().join("out"));
    let made = buckets(&inputs, 4, &at.path().join("4"), &Options::default());
    let text = rests(&inputs, &made[..3], &out);
    assert!(text.contains("bucket 3/4 is missing"), "{text}");
    let twice = [&made[..], &made[1..2]].concat();
    let text = rests(&inputs, &twice, &out);
    assert!(text.contains("both are bucket 1"), "{text}");
    let copy = at.path().join("copy");
    copy_flat(&made[2], &copy);
    let twice = [&made[..], &[copy]].concat();
    let text = rests(&inputs, &twice, &out);
    assert!(text.contains("both are bucket 2"), "{text}");

    let of_two = buckets(&inputs, 2, &at.path().join("2"), &Options::default());
    let text = rests(&inputs, &[&made[..3], &of_two[1..]].concat(), &out);
    assert!(text.contains("of 4 and of 2 buckets"), "{text}");
    fs::write(other.path().join("cctf/nodes.json"), "[]\n").unwrap();
    let others = buckets(
        &[other.path().to_owned()],
        4,
        &at.path().join("other"),
        &Options::default(),
    );
    let text = rests(&inputs, &[&made[..3], &others[3..]].concat(), &out);
    assert!(text.contains("from different folders"), "{text}");
    let text = rests(&[other.path().to_owned()], &made, &out);
    assert!(text.contains("were made from other folders"), "{text}");
    let text = rests(&inputs, &[&made[..3], &[run.path().to_owned()]].concat(), &out);
    assert!(text.contains("it has no bucket.json"), "{text}");
}

fn copy_flat(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_bucket_that_was_copied_in_part_is_refused() {
    let (run, at) = (run(), folder());
    let (inputs, out) = ([run.path().to_owned()], at.path().join("out"));
    let made = buckets(&inputs, 2, at.path(), &Options::default());
    let rows = made[1].join("invocations.jsonl");
    let all = fs::read(&rows).unwrap();
    fs::write(&rows, &all[..all.len() - 1]).unwrap();
    let text = rests(&inputs, &made, &out);
    assert!(
        text.contains("it is incomplete, because invocations.jsonl has"),
        "{text}"
    );
    fs::remove_file(&rows).unwrap();
    let text = rests(&inputs, &made, &out);
    assert!(
        text.contains("it is incomplete, because invocations.jsonl is missing"),
        "{text}"
    );
    fs::write(&rows, &all).unwrap();
    fs::remove_file(made[1].join("bucket.json")).unwrap();
    let text = rests(&inputs, &made, &out);
    assert!(text.contains("it has no bucket.json"), "{text}");
}

#[test]
fn neither_a_bucket_nor_rests_nor_leftovers_validate_as_a_run() {
    let (run, at) = (run(), folder());
    let inputs = [run.path().to_owned()];
    let made = buckets(&inputs, 2, at.path(), &Options::default());
    let path = at.path().join("rests");
    merge_rests(&path, &inputs, &made, false, &Options::default(), &mut |_| {}).unwrap();
    for (part, what) in [
        (&made[0], "one bucket"),
        (&path, "the output of cctf merge --rests"),
    ] {
        let text = validate(part, Default::default()).unwrap_err().to_string();
        assert!(text.contains(what) && text.contains("--rests"), "{text}");
        let out = at.path().join("out");
        let merged = merge(&out, std::slice::from_ref(part), &Options::default(), &mut |_| {});
        assert!(refusal(merged, &out).contains(what));
    }
    // As a process leaves them that is killed before its last file.
    for (part, manifest) in [(&made[0], "bucket.json"), (&path, "cctf/run_meta.json")] {
        fs::remove_file(part.join(manifest)).unwrap();
    }
    fs::remove_file(path.join("rests.json")).unwrap();
    for part in [&made[0], &path] {
        assert!(
            !validate(part, Default::default()).unwrap().is_valid(),
            "{}",
            part.display()
        );
    }
}

#[test]
fn a_folder_that_grew_between_two_buckets_is_noticed() {
    let (run, at) = (run(), folder());
    let (inputs, out) = ([run.path().to_owned()], at.path().join("out"));
    let mut made = buckets(&inputs, 2, &at.path().join("before"), &Options::default());
    let path = run.path().join("cctf/invocations.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let last = text.lines().last().unwrap().to_owned();
    fs::write(&path, format!("{text}{last}\n")).unwrap();
    made[1] = buckets(&inputs, 2, &at.path().join("after"), &Options::default()).remove(1);
    let text = rests(&inputs, &made, &out);
    assert!(
        text.contains("from different folders, or from the same ones in another order or state"),
        "{text}"
    );
}

#[test]
fn alignment_in_one_round_is_refused_with_the_two_rounds() {
    let (run, at) = (run(), folder());
    let (inputs, out) = ([run.path().to_owned()], at.path().join("out"));
    let align = Options {
        align_clocks: true,
        ..Options::default()
    };
    let bucket: Bucket = "0/2".parse().unwrap();
    let text = refusal(merge_bucket(&out, &inputs, bucket, &align, &mut |_| {}), &out);
    assert!(text.contains("takes two rounds"), "{text}");
    let made = buckets(&inputs, 2, at.path(), &Options::default());
    let made_rests = merge_rests(&out, &inputs, &made, false, &align, &mut |_| {});
    assert!(refusal(made_rests, &out).contains("takes two rounds"));
    let path = at.path().join("rests");
    merge_rests(&path, &inputs, &made, false, &Options::default(), &mut |_| {}).unwrap();
    let wrong = [path.clone(), made[1].clone()];
    let text = refusal(merge_bucket(&out, &wrong, bucket, &align, &mut |_| {}), &out);
    assert!(text.contains("that is bucket 1/2"), "{text}");
    let aligned: Vec<PathBuf> = (0..2)
        .map(|index| {
            let aligned = at.path().join(format!("aligned-{index}"));
            let inputs = [path.clone(), made[index].clone()];
            let bucket = format!("{index}/2").parse().unwrap();
            merge_bucket(&aligned, &inputs, bucket, &align, &mut |_| {}).unwrap();
            aligned
        })
        .collect();
    let text = rests(&inputs, &aligned, &out);
    assert!(text.contains("add --align-clocks"), "{text}");
    let mixed = [aligned[0].clone(), made[1].clone()];
    assert!(rests(&inputs, &mixed, &out).contains("only one has aligned clocks"));
}

#[test]
fn a_row_without_a_trace_is_shown() {
    let (run, at) = (run(), folder());
    let path = run.path().join("cctf/calls.jsonl");
    fs::write(&path, "{\"trace_id\":\"none\"}\n").unwrap();
    let out = at.path().join("out");
    let bucket: Bucket = "1/2".parse().unwrap();
    let made = merge_bucket(
        &out,
        &[run.path().to_owned()],
        bucket,
        &Options::default(),
        &mut |_| {},
    );
    let text = format!("{:#}", made.unwrap_err());
    assert!(
        text.contains("field trace_id is missing or invalid") && text.contains("\"none\""),
        "{text}"
    );
    assert!(!out.exists());
}
