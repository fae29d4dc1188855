//! Layers: each one alone, nested, cut off, too deep, and far too large.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Write as _, repeat};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// An archive with one file.
fn archive_of(path: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..262].copy_from_slice(b"ustar");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

/// Each file's name, its bytes, and the error after them.
fn opened(file: &[u8]) -> Vec<(String, Vec<u8>, Option<String>)> {
    let mut found = Vec::new();
    open(file, "f", &Rc::default(), &mut |mut source, name| {
        while source.read_more() {}
        let failure = source.failure().map(ToString::to_string);
        found.push((name.to_owned(), source.unread().to_vec(), failure));
        Ok(())
    })
    .unwrap();
    found
}

#[test]
fn layers_are_recognised_in_any_order() {
    let zstd = |content: &[u8]| zstd::encode_all(content, 0).unwrap();
    for file in [
        b"{}".to_vec(),
        gzip(b"{}"),
        zstd(b"{}"),
        gzip(&zstd(b"{}")),
        [gzip(b"{"), gzip(b"}")].concat(),
        [zstd(b"{"), zstd(b"}")].concat(),
    ] {
        assert_eq!(opened(&file), [("f".to_owned(), b"{}".to_vec(), None)]);
    }
    let packed = gzip(&archive_of("../../etc/x", &gzip(b"{}")));
    assert_eq!(
        opened(&packed),
        [("f/../../etc/x".to_owned(), b"{}".to_vec(), None)]
    );
}

#[test]
fn what_comes_before_the_cut_is_kept() {
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    for whole in [gzip(&content), zstd::encode_all(&content[..], 0).unwrap()] {
        let found = opened(&whole[..whole.len() / 2]);
        let [(_, bytes, Some(failure))] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(!bytes.is_empty() && content.starts_with(bytes), "{failure}");
    }
    let archive = archive_of("a", &content);
    let found = opened(&archive[..1000]);
    assert_eq!(found[0].1, content[..488]);
    assert!(found[1].2.is_some(), "{:?}", found[1]);
}

#[test]
fn a_layer_too_many_is_refused() {
    let mut file = b"{}".to_vec();
    for _ in 0..LAYERS_MAX {
        file = gzip(&file);
    }
    assert_eq!(opened(&file)[0].1, b"{}");
    let [(_, bytes, Some(failure))] = &opened(&gzip(&file))[..] else {
        panic!();
    };
    assert!(bytes.is_empty() && failure.contains("layers"), "{failure}");
}

#[test]
fn content_far_longer_than_the_file_is_refused() {
    let read = Rc::new(Cell::new(1 << 20));
    let mut bounded = Bounded {
        inner: repeat(b' '),
        out: EXPANDED_BYTES_MIN - 1,
        read: Rc::clone(&read),
    };
    let mut out = [0; 2];
    let refused = bounded.read(&mut out).unwrap_err().to_string();
    assert!(refused.contains("expands"), "{refused}");
    read.set(EXPANDED_BYTES_MIN);
    assert_eq!(bounded.read(&mut out).unwrap(), 2);
}
