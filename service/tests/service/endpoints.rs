//! Tests of each endpoint. They call it like the runbook does.

use std::io::Write;

use crate::spawn::spawn;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(9));
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn json_is_validated_and_an_error_has_its_position() {
    let service = spawn(&[]);
    let good = service.post_with(
        "/json/validate",
        &[("Content-Type", "application/json")],
        b"{\"a\": [1, 2]}",
    );
    assert_eq!((good.status, &good.json()["valid"]), (200, &true.into()));
    let bad = service.post("/json/validate", b"{\"a\": [1, 2}");
    assert_eq!((bad.status, &bad.json()["valid"]), (400, &false.into()));
    assert_eq!(
        (&bad.json()["line"], &bad.json()["column"]),
        (&1.into(), &12.into())
    );
}

#[test]
fn gzip_and_gunzip_are_each_others_inverse() {
    let service = spawn(&[]);
    let body: Vec<u8> = (0..100_000_u32).flat_map(|n| (n % 1000).to_le_bytes()).collect();
    let packed = service.post("/blob/gzip?level=1", &body);
    assert_eq!(
        (packed.status, packed.header("content-type")),
        (200, Some("application/octet-stream"))
    );
    assert!(packed.body.len() < body.len());
    let back = service.post("/blob/gunzip", &packed.body);
    assert_eq!(back.status, 200);
    assert_eq!(back.body, body);
    assert_eq!(service.post("/blob/gzip?level=77", b"x").status, 400);
    assert_eq!(service.post("/blob/gunzip", b"not gzip").status, 400);
}

#[test]
fn content_encoding_of_a_body_is_ignored() {
    let service = spawn(&[]);
    let packed = gzip(b"content");
    let hash = |headers: &[(&str, &str)]| service.post_with("/hash/sha256", headers, &packed).body;
    assert_eq!(hash(&[("Content-Encoding", "gzip")]), hash(&[]));
}

#[test]
fn a_file_of_several_members_is_one_content() {
    let service = spawn(&[]);
    let answer = service.post("/blob/gunzip", [gzip(b"one"), gzip(b"two")].concat());
    assert_eq!((answer.status, answer.text()), (200, "onetwo"));
}

#[test]
fn sha256_is_answered_in_hex() {
    let answer = spawn(&[]).post("/hash/sha256", b"abc");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn a_value_survives_restarts_if_a_folder_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("LOG_PATH", folder.path().to_str().unwrap()),
        ("OTEL_SDK_DISABLED", "true"),
    ];
    let service = spawn(&variables);
    let value = vec![7_u8; 300_000];
    let set = service.post("/kv/set/k1", &value);
    assert_eq!((set.status, &set.json()["bytes"]), (200, &300_000.into()));
    assert_eq!(service.get("/kv/get/k1").body, value);
    assert_eq!(service.get("/kv/get/unknown").status, 404);
    service.stop();
    assert_eq!(spawn(&variables).get("/kv/get/k1").body, value);
}

#[test]
fn work_answers_with_the_requested_size() {
    let service = spawn(&[]);
    let answer = service.get("/work?cpu_ms=1.5&resp_kb=2");
    assert_eq!((answer.status, answer.body.len()), (200, 2048));
    assert_eq!(service.get("/work").status, 200);
    assert_eq!(service.post("/work?cpu_ms=1", b"ignored").status, 200);
    assert_eq!(service.get("/work?cpu_ms=much").status, 400);
}

#[test]
fn an_unknown_path_or_method_is_refused() {
    let service = spawn(&[]);
    assert_eq!(service.get("/nothing").status, 404);
    let wrong = service.get("/hash/sha256");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    let wrong = crate::client::send(service.address, "DELETE", "/work", &[], b"");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, POST")));
}

/// This test fails with the key as actix decodes it: all three become U+FFFD.
#[test]
fn an_undecodable_path_or_query_is_refused_and_other_keys_differ() {
    let service = spawn(&[]);
    for bad in [
        "/kv/set/%ff",
        "/kv/set/%fe",
        "/kv/set/a%c3",
        "/work?call_url=%ff",
        "/work?x%ff=1",
    ] {
        let refused = service.post(bad, "x");
        assert_eq!(refused.status, 400, "{bad}");
        assert!(refused.text().contains("UTF-8"), "{bad} {}", refused.text());
    }
    let keys = [
        "%EF%BF%BD",
        "%c3%a4",
        "a%2fb",
        "a%252fb",
        "%25ff",
        "a%20b",
        "a+b",
        "%zz",
    ];
    for (number, key) in keys.iter().enumerate() {
        let set = service.post(&format!("/kv/set/{key}"), number.to_string());
        assert_eq!(set.status, 200, "{key} {}", set.text());
    }
    for (number, key) in keys.iter().enumerate() {
        let kept = service.get(&format!("/kv/get/{key}"));
        assert_eq!((kept.status, kept.text()), (200, &*number.to_string()), "{key}");
    }
}
