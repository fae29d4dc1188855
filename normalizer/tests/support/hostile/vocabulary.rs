//! Names that the sources contain, and hostile values of each type.

use std::sync::LazyLock;

use cctf_normalizer::mapping::conventions::TABLE;
use cctf_normalizer::pipeline::Settings;

use super::BASE_UNIX_NANO;

/// All string literals of a source file: names that it knows, and values with which it compares.
fn words(source: &'static str) -> Vec<&'static str> {
    let is_word = |text: &&str| {
        (1..=48).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    source.split('"').skip(1).step_by(2).filter(is_word).collect()
}

pub static KEYS: LazyLock<Vec<&str>> = LazyLock::new(|| words(include_str!("../../../../proto/src/keys.rs")));
pub static OF_RESOURCES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let identity = words(include_str!("../../../src/mapping/identity.rs"));
    identity.into_iter().chain(KEYS.iter().copied()).collect()
});
pub static OF_SPANS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let table = TABLE.iter().map(|convention| convention.key);
    table.chain(KEYS.iter().copied()).collect()
});
pub static OF_METRICS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let points = words(include_str!("../../../src/mapping/points.rs"));
    let of_points = points.into_iter().filter(|word| word.contains('.'));
    of_points.chain(Settings::KEPT_METRICS.iter().copied()).collect()
});
/// Keys and values of metric points.
pub static OF_POINTS: LazyLock<Vec<&str>> =
    LazyLock::new(|| words(include_str!("../../../src/pipeline/metrics/sample.rs")));
pub static VALUES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let sources = [
        include_str!("../../../src/mapping/span.rs"),
        include_str!("../../../src/mapping/status.rs"),
        include_str!("../../../src/mapping/sampling.rs"),
        include_str!("../../../src/pipeline/metrics/sampler.rs"),
        include_str!("../../../../proto/src/cctf/placement_events.rs"),
        include_str!("../../../../proto/src/cctf/invocations.rs"),
    ];
    sources.into_iter().flat_map(words).collect()
});

pub const NODES: [&str; 6] = ["n0", "n1", "unknown", "n0->n1", "n0.net", "n0.nic"];
pub const MODULES: [&str; 7] = ["a", "b", "unknown_service", "n0", "n1:80", "kafka", "a\tb"];
pub const RUNS: [&str; 7] = ["r1", "r2", "run", "r1-0002", "run-0002", "R1", "..x"];
pub const TEXTS: [&str; 24] = [
    "",
    " ",
    "0",
    "-1",
    "+8",
    "1e400",
    "NaN",
    "inf",
    "-0.0",
    "99999999999999999999",
    "\0",
    "\t\n\r",
    "\"\\",
    "\u{fffd}\u{202e}\u{1F980}",
    "http://user:pw@[::1]:80/a?b#c",
    "http://",
    "/a?b",
    "?",
    "a->b",
    "unknown",
    "x\0y",
    "ot=th:ffffffffffffff",
    "ot=th:+8",
    "ot=rv:1;th:0",
];
pub const INTEGERS: [i64; 14] = [
    0,
    1,
    -1,
    200,
    404,
    i64::MAX,
    i64::MIN,
    BASE_UNIX_NANO as i64,
    BASE_UNIX_NANO as i64 - 1,
    999,
    1 << 53,
    1 << 62,
    1_000_000,
    -1_000_000,
];
pub const DOUBLES: [f64; 16] = [
    0.0,
    1.0,
    0.5,
    -0.0,
    -5.0,
    -1e-300,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
    1e18,
    1e308,
    100.5,
];
pub const LONG: usize = 300;
