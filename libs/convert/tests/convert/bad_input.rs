//! Damaged, hostile and unknown input: named with its place, bounded, and nothing beside it is lost.

use std::io::{self, Read, Write as _};
use std::sync::atomic::AtomicBool;

use convert::tally::Format;
use flate2::Compression;
use flate2::write::GzEncoder;
use rundir::UsageError;
use serde_json::json;

use crate::world::{BEGIN_US, SPANS, jaeger, lines, otlp, request, requests, zipkin};
use crate::{Converted, Folder, GO_ON};

fn invocations(converted: &Converted) -> usize {
    converted.rows("invocations.jsonl").len()
}

#[test]
fn a_broken_line_costs_only_itself() {
    let folder = Folder::create();
    let good = |number| otlp(&request(number, BEGIN_US)).to_string();
    let cut = good(1);
    let text = format!(
        "{}\n{}\n{}\n# a comment\n{}\n",
        good(0),
        &cut[..cut.len() / 4],
        good(2),
        good(3)
    );
    let path = folder.write("x.json", text);
    let converted = folder.convert(std::slice::from_ref(&path), "out").unwrap();
    assert_eq!(invocations(&converted), 3 * 3);
    let damages = converted.damages();
    assert_eq!(damages.len(), 2, "{damages:?}");
    assert!(
        damages[0].starts_with(&format!("{path}, line 2 (byte ")),
        "{damages:?}"
    );
    assert!(
        damages[1].starts_with(&format!("{path}, line 4 (byte ")),
        "{damages:?}"
    );
}

#[test]
fn a_value_of_the_wrong_type_costs_only_its_resource() {
    let folder = Folder::create();
    let mut line = otlp(&requests(2));
    line["resourceSpans"][1]["scopeSpans"][0]["spans"][0]["startTimeUnixNano"] = json!("soon");
    let converted = folder
        .convert(&[folder.write("x.json", lines([line]))], "out")
        .unwrap();
    let damages = converted.damages();
    assert!(
        damages.len() == 1 && damages[0].contains("startTimeUnixNano"),
        "{damages:?}"
    );
    let modules: Vec<_> = converted.rows("invocations.jsonl");
    assert_eq!(
        modules.len(),
        4,
        "the two services without the damage: {modules:?}"
    );
}

#[test]
fn a_truncated_file_keeps_what_comes_before_the_cut() {
    let folder = Folder::create();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for number in 0..200 {
        let spans = request(number, BEGIN_US + number);
        writeln!(encoder, "{}", otlp(&spans)).unwrap();
    }
    let whole = encoder.finish().unwrap();
    let half = whole.len() / 2;
    let path = folder.write("x.json.gz", &whole[..half]);
    let converted = folder.convert(std::slice::from_ref(&path), "out").unwrap();
    let rows = invocations(&converted);
    assert!(rows > 0 && rows < 600, "{rows}");
    let damages = converted.damages();
    assert_eq!(damages.len(), 1, "{damages:?}");
    let wanted = format!("cut off after byte {half} of the file");
    assert!(
        damages[0].starts_with(&path) && damages[0].contains(&wanted),
        "{damages:?}"
    );
}

#[test]
fn a_document_cut_in_half_keeps_its_whole_records() {
    let folder = Folder::create();
    let traces: Vec<_> = (0..10).map(|number| jaeger(&request(number, BEGIN_US))).collect();
    let whole = serde_json::to_string_pretty(&json!({"data": traces, "total": 0})).unwrap();
    let converted = folder
        .convert(&[folder.write("x.json", &whole[..whole.len() / 2])], "out")
        .unwrap();
    let rows = invocations(&converted);
    assert!(rows > 0 && rows < 30 && rows.is_multiple_of(3), "{rows}");
    let damages = converted.damages();
    assert!(
        damages.len() == 1 && damages[0].contains("line 1 "),
        "{damages:?}"
    );
    assert!(damages[0].contains("cut off"), "{damages:?}");
}

#[test]
fn messages_cut_off_or_with_a_false_length_are_named() {
    let folder = Folder::create();
    let message = zstd::encode_all(otlp(&request(0, BEGIN_US)).to_string().as_bytes(), 0).unwrap();
    let length = (message.len() as u32).to_be_bytes();
    let one = [&length[..], &message].concat();
    for (name, tail, reason) in [
        (
            "cut",
            &one[..one.len() - 1],
            "the file is cut off: the message has",
        ),
        ("length", &[0][..], "inside of the length"),
        (
            "false",
            &b"\xff\xff\xff\xff"[..],
            "the rest of the file is not read",
        ),
        (
            "no-otlp",
            &[0, 0, 0, 2, 0xff, 0xff][..],
            "neither traces, metrics nor logs",
        ),
    ] {
        let path = folder.write(&format!("{name}.bin"), [&one[..], tail].concat());
        let converted = folder.convert(&[path], name).unwrap();
        assert_eq!(invocations(&converted), 3);
        let damages = converted.damages();
        let place = format!(".bin, byte {}: ", one.len());
        assert!(damages.len() == 1 && damages[0].contains(&place), "{damages:?}");
        assert!(damages[0].contains(reason), "{damages:?}");
    }
}

#[test]
fn formats_may_be_mixed_in_one_file() {
    let folder = Folder::create();
    let of = |number| request(number, BEGIN_US + number * 1_000);
    let mut mixed = vec![otlp(&of(0)), jaeger(&of(1)), json!([zipkin(&of(2)[0])])];
    mixed.extend(of(3).iter().map(zipkin));
    mixed.push(json!({"neither": ["one", "nor", "another"]}));
    let path = folder.write("x.json", lines(mixed));
    let converted = folder.convert(std::slice::from_ref(&path), "out").unwrap();
    assert_eq!(invocations(&converted), 3 + 3 + 1 + 3);
    let formats: Vec<_> = converted
        .summary
        .tally
        .records
        .iter()
        .map(|(format, count)| (*format, *count))
        .collect();
    assert_eq!(
        formats,
        [(Format::Otlp, 1), (Format::Jaeger, 1), (Format::Zipkin, 7)]
    );
    assert_eq!(converted.meta()["converted_from"], "otlp,jaeger,zipkin");
    let damages = converted.damages();
    assert!(
        damages.len() == 1 && damages[0].contains("line 10 "),
        "{damages:?}"
    );
    let one = folder
        .convert_with(&[path], "one", Some(Format::Jaeger), &GO_ON)
        .unwrap();
    assert_eq!(invocations(&one), 3);
    assert_eq!(one.summary.tally.damages.count, 3 + 1 + SPANS as u64 + 1);
}

#[test]
fn a_long_line_is_read() {
    let folder = Folder::create();
    let long = "x".repeat(10 << 20);
    let mut line = otlp(&request(0, BEGIN_US));
    line["resourceSpans"][0]["resource"]["attributes"][0]["value"] = json!({"stringValue": long});
    let text = format!("{line}\n{}\n", otlp(&request(1, BEGIN_US)));
    let converted = folder.convert(&[folder.write("x.json", text)], "out").unwrap();
    assert_eq!(converted.damages(), [""; 0]);
    assert_eq!(invocations(&converted), 6);
}

/// An archive with one member.
fn tar(path: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..262].copy_from_slice(b"ustar");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut archive = [&header[..], content].concat();
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive
}

#[test]
fn a_hostile_path_in_an_archive_is_only_shown() {
    let folder = Folder::create();
    let spans = otlp(&request(0, BEGIN_US)).to_string();
    let paths = ["../../escaped.json", "/escaped.json"];
    let mut archive = paths
        .map(|path| tar(path, format!("{spans}\n{{").as_bytes()))
        .concat();
    archive.resize(archive.len() + 1024, 0);
    let path = folder.write("x.tar", archive);
    let converted = folder.convert(std::slice::from_ref(&path), "out").unwrap();
    assert_eq!(invocations(&converted), 3, "the second file repeats the first");
    let damages = converted.damages();
    assert_eq!(damages.len(), 2);
    for (damage, inside) in damages.iter().zip(paths) {
        assert!(
            damage.starts_with(&format!("{path}/{inside}, line 2")),
            "{damages:?}"
        );
    }
    assert_eq!(folder.names(), ["out", "x.tar"]);
}

#[test]
fn a_decompression_bomb_is_refused_and_the_rest_is_read() {
    let folder = Folder::create();
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    bomb.write_all(format!("{}\n{{\"a\":\"", otlp(&request(0, BEGIN_US))).as_bytes())
        .unwrap();
    io::copy(&mut io::repeat(b'x').take(1300 << 20), &mut bomb).unwrap();
    let inputs = [
        folder.write("bomb.zst", bomb.finish().unwrap()),
        folder.write("good.json", lines([otlp(&request(1, BEGIN_US))])),
    ];
    let converted = folder.convert(&inputs, "out").unwrap();
    assert_eq!(invocations(&converted), 6);
    let damages = converted.damages();
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert!(
        damages[0].starts_with(&inputs[0]) && damages[0].contains("it expands to more than"),
        "{damages:?}"
    );
}

#[test]
fn files_without_telemetry_give_no_result() {
    let folder = Folder::create();
    for (name, content, reason) in [
        ("empty", "", "no usable span"),
        ("text", "a,b\n1,2\n", "line 1"),
        (
            "no-time",
            "[{\"traceId\":\"1\",\"id\":\"2\",\"timestamp\":5}]",
            "start and an end",
        ),
    ] {
        let path = folder.write(name, content);
        let error = folder.convert(&[path], "out").err().unwrap();
        assert!(
            !error.is::<UsageError>() && error.to_string().contains(reason),
            "{error}"
        );
        assert!(!folder.names().iter().any(|name| name.contains("out")));
    }
}

#[test]
fn an_existing_result_is_not_touched() {
    let folder = Folder::create();
    let path = folder.write("good.json", lines([otlp(&request(1, BEGIN_US))]));
    folder.convert(std::slice::from_ref(&path), "out").unwrap();
    let error = folder.convert(&[path], "out").err().unwrap();
    assert!(
        error.is::<UsageError>() && error.to_string().contains("already exists"),
        "{error}"
    );
}

#[test]
fn an_interrupt_leaves_nothing() {
    static STOP: AtomicBool = AtomicBool::new(true);
    let folder = Folder::create();
    let path = folder.write("x.json", lines([otlp(&request(1, BEGIN_US))]));
    let error = folder.convert_with(&[path], "out", None, &STOP).err().unwrap();
    assert!(error.to_string().contains("interrupted"), "{error}");
    assert_eq!(folder.names(), ["x.json"]);
}
