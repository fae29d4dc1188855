//! [`pack`]: the timeline of a run for the page's script. It has as much data as a number of bytes allows.
//!
//! The data is JSON that is compressed with zlib. The script decodes it with the browser's `DecompressionStream`.

use std::collections::BTreeMap;
use std::io::Write as _;

use analyze::stats::cells::Key;
use analyze::stats::figures::Time;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;

use crate::model::{Bucket, BucketTime, Series, Timeline, bin_middle_ns};

/// Number of modules whose quantiles are more important than the counts of further modules.
const LEADING_MODULES: usize = 8;
/// Significant digits of a mean. The error of this rounding is much less than that of the quantiles.
const MEAN_DIGITS: i32 = 4;
const NS_PER_S: f64 = 1e9;
const NS_PER_MS: f64 = 1e6;
const NS_PER_US: f64 = 1e3;

/// The packed timeline, and the numbers of modules and endpoints in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Packed {
    pub bytes: Vec<u8>,
    /// Number of modules with quantiles of the response time.
    pub with_quantiles: usize,
    /// Number of modules with counts and means. It includes those with quantiles.
    pub with_counts: usize,
    /// Number of endpoints with counts, means and quantiles of the response time.
    pub endpoints: usize,
}

/// Data that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    /// Counts and means of a series; [`RUN`] is the whole run.
    Counts(usize),
    /// The sketches (counts of times in bins) of one kind of time of a series.
    Sketches(usize, Time),
}

/// Number of the series of the whole run. The series of module `i` is `i + 1`, and the endpoints follow the modules.
const RUN: usize = 0;

/// The JSON for the script.
#[derive(Serialize)]
struct Content {
    width_s: f64,
    /// Length of the run, seconds. The last bucket can end later.
    length_s: f64,
    buckets: usize,
    /// Number of the first bin in `middles_ms`.
    first_bin: u16,
    /// The value that stands for a bin.
    middles_ms: Vec<f64>,
    series: Vec<PackedSeries>,
}

#[derive(Serialize)]
struct PackedSeries {
    /// Row of the series in the tables: a letter for the table and the number of the row. Null for the whole run.
    row: Option<String>,
    calls: Vec<u64>,
    errors: Vec<u64>,
    times: BTreeMap<&'static str, PackedTime>,
}

#[derive(Serialize)]
struct PackedTime {
    counts: Vec<u64>,
    means_us: Vec<f64>,
    /// Sketches by bucket: the number of the first bin, then the counts from this bin on. A negative number `-n` skips `n` bins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bins: Vec<Vec<i64>>,
}

/// Packs the whole run, then as many modules as fit in the order of the timeline, and then as many endpoints as fit. `row_of`
/// returns the row of a module or an endpoint in the tables. Returns `None` if not even the whole run fits, or if there is no
/// bucket.
pub fn pack(
    timeline: &Timeline,
    length_ns: u64,
    row_of: impl Fn(&Key) -> Option<String>,
    bytes_max: usize,
) -> Option<Packed> {
    if timeline.run.buckets.is_empty() {
        return None;
    }
    let all = timeline.modules.iter().chain(&timeline.endpoints);
    let rows: Vec<Option<String>> = all.map(|(key, _)| row_of(key)).collect();
    let items = items(timeline);
    let packed = |count: usize| deflated(&content(timeline, length_ns, &rows, &items[..count]));
    // The size grows with the number of items. The search doubles the number until the data is too large, then halves the
    // remaining range. So no try is much larger than the result.
    let (mut fits, mut too_many) = (None, items.len() + 1);
    let mut next = 1;
    while next < too_many {
        let bytes = packed(next);
        if bytes.len() <= bytes_max {
            fits = Some((next, bytes));
        } else {
            too_many = next;
        }
        let known = fits.as_ref().map_or(0, |(count, _)| *count);
        next = match too_many > items.len() {
            true => (known * 2).clamp(known + 1, items.len().max(known + 1)),
            false => usize::midpoint(known, too_many).max(known + 1),
        };
    }
    let (count, bytes) = fits?;
    let modules = 1..=timeline.modules.len();
    let packed = &items[..count];
    let counted = |item: &&Item| matches!(item, Item::Counts(series) if modules.contains(series));
    let sketched =
        |item: &&Item| matches!(item, Item::Sketches(series, Time::Response) if modules.contains(series));
    let is_endpoint = |item: &&Item| matches!(item, Item::Counts(series) if *series > *modules.end());
    Some(Packed {
        bytes,
        with_quantiles: packed.iter().filter(sketched).count(),
        with_counts: packed.iter().filter(counted).count(),
        endpoints: packed.iter().filter(is_endpoint).count(),
    })
}

/// All items that can be packed. The most useful ones come first.
fn items(timeline: &Timeline) -> Vec<Item> {
    let modules = timeline.modules.len();
    let leading = modules.min(LEADING_MODULES);
    let mut items = Vec::new();
    for series in RUN..=leading {
        items.extend([Item::Counts(series), Item::Sketches(series, Time::Response)]);
    }
    items.extend((leading + 1..=modules).map(Item::Counts));
    items.extend((leading + 1..=modules).map(|series| Item::Sketches(series, Time::Response)));
    let others = Time::ALL.into_iter().filter(|time| *time != Time::Response);
    items.extend(others.map(|time| Item::Sketches(RUN, time)));
    for endpoint in modules + 1..=modules + timeline.endpoints.len() {
        items.extend([Item::Counts(endpoint), Item::Sketches(endpoint, Time::Response)]);
    }
    let has_values = |item: &Item| match *item {
        Item::Counts(_) => true,
        Item::Sketches(number, time) => {
            bins_of(series_of(timeline, number), time).any(|bins| !bins.is_empty())
        }
    };
    items.retain(has_values);
    items
}

fn series_of(timeline: &Timeline, number: usize) -> &Series {
    match number {
        RUN => &timeline.run,
        number => match timeline.modules.get(number - 1) {
            Some((_, module)) => module,
            None => &timeline.endpoints[number - 1 - timeline.modules.len()].1,
        },
    }
}

fn content(timeline: &Timeline, length_ns: u64, rows: &[Option<String>], items: &[Item]) -> Content {
    let mut used: Option<(u16, u16)> = None;
    let mut packed: BTreeMap<usize, PackedSeries> = BTreeMap::new();
    for &item in items {
        match item {
            Item::Counts(number) => {
                let row = number.checked_sub(1).and_then(|of| rows[of].clone());
                packed.insert(number, counts(series_of(timeline, number), row));
            }
            Item::Sketches(number, time) => {
                let series = series_of(timeline, number);
                let bins = bins_of(series, time);
                for &(bin, _) in bins.clone().flatten() {
                    let (low, high) = used.unwrap_or((bin, bin));
                    used = Some((low.min(bin), high.max(bin)));
                }
                let of = packed
                    .get_mut(&number)
                    .and_then(|series| series.times.get_mut(time.name()));
                if let Some(of) = of {
                    of.bins = bins.map(encoded).collect();
                }
            }
        }
    }
    let (first_bin, last_bin) = used.unwrap_or((1, 0));
    Content {
        width_s: timeline.bucket_ns as f64 / NS_PER_S,
        length_s: length_ns as f64 / NS_PER_S,
        buckets: timeline.run.buckets.len(),
        first_bin,
        middles_ms: (first_bin..=last_bin)
            .map(|bin| rounded(bin_middle_ns(bin) / NS_PER_MS, MEAN_DIGITS))
            .collect(),
        series: packed.into_values().collect(),
    }
}

fn bins_of(series: &Series, time: Time) -> impl Iterator<Item = &[(u16, u32)]> + Clone {
    let buckets = series.buckets.iter();
    buckets.map(move |bucket| bucket.times[time as usize].bins.as_slice())
}

fn counts(series: &Series, row: Option<String>) -> PackedSeries {
    let all = |count: fn(&Bucket) -> u64| series.buckets.iter().map(count).collect();
    let mut times = BTreeMap::new();
    for time in Time::ALL {
        let of = || series.buckets.iter().map(|bucket| &bucket.times[time as usize]);
        if of().all(|time| time.count == 0) {
            continue;
        }
        let packed = PackedTime {
            counts: of().map(|time| time.count).collect(),
            means_us: of().map(mean_us).collect(),
            bins: Vec::new(),
        };
        times.insert(time.name(), packed);
    }
    PackedSeries {
        row,
        calls: all(|bucket| bucket.calls),
        errors: all(|bucket| bucket.errors),
        times,
    }
}

fn mean_us(time: &BucketTime) -> f64 {
    match time.count {
        0 => 0.0,
        count => rounded(time.sum_ns as f64 / count as f64 / NS_PER_US, MEAN_DIGITS),
    }
}

/// The value, rounded to `digits` significant digits.
fn rounded(value: f64, digits: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let decimals = digits - 1 - value.abs().log10().floor() as i32;
    // Powers of ten with a positive exponent are exact, so the quotient is printed with few digits.
    let power = 10_f64.powi(decimals.abs());
    match decimals >= 0 {
        true => (value * power).round() / power,
        false => (value / power).round() * power,
    }
}

fn encoded(bins: &[(u16, u32)]) -> Vec<i64> {
    let Some(&(first, _)) = bins.first() else {
        return Vec::new();
    };
    let mut encoded = vec![i64::from(first)];
    let mut next = i64::from(first);
    for &(bin, count) in bins {
        let gap = i64::from(bin) - next;
        if gap > 0 {
            encoded.push(-gap);
        }
        encoded.push(i64::from(count));
        next = i64::from(bin) + 1;
    }
    encoded
}

fn deflated(content: &Content) -> Vec<u8> {
    // Neither the conversion of numbers nor writing to memory can fail. Without the data, the page would only lack the choice
    // of a window.
    let json = serde_json::to_vec(content).unwrap_or_default();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(&json).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::ZlibDecoder;
    use serde_json::Value;

    use super::*;

    fn bucket(calls: u64, bins: &[(u16, u32)]) -> Bucket {
        let mut bucket = Bucket {
            calls,
            errors: 1,
            ..Bucket::default()
        };
        bucket.times[Time::Response as usize] = BucketTime {
            count: calls,
            sum_ns: u128::from(calls) * 1_234_567,
            bins: bins.to_vec(),
        };
        bucket
    }

    fn timeline(modules: usize) -> Timeline {
        // Modules differ, so that each one adds bytes to the compressed data.
        let series = |number: u32| Series {
            buckets: vec![
                bucket(3, &[(10, 2), (14, 1 + number * number * 7919)]),
                bucket(0, &[]),
            ],
        };
        let key = |number: usize| Key {
            module_id: Some(format!("m{number}")),
            ..Key::default()
        };
        Timeline {
            bucket_ns: 2_000_000_000,
            run: series(0),
            modules: (0..modules)
                .map(|number| (key(number), series(number as u32)))
                .collect(),
            endpoints: (0..modules)
                .map(|number| (key(number), series(100 + number as u32)))
                .collect(),
            ..Timeline::default()
        }
    }

    fn decoded(packed: &Packed) -> Value {
        let mut json = String::new();
        ZlibDecoder::new(&*packed.bytes)
            .read_to_string(&mut json)
            .unwrap();
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_timeline_comes_back_with_counts_means_and_sketches() {
        let row_of = |key: &Key| (key.module_id.as_deref() == Some("m0")).then(|| "m7".to_owned());
        let packed = pack(&timeline(1), 3_500_000_000, row_of, 100_000).unwrap();
        assert_eq!((packed.with_counts, packed.with_quantiles), (1, 1));
        let content = decoded(&packed);
        assert_eq!(
            (content["width_s"].as_f64(), content["length_s"].as_f64()),
            (Some(2.0), Some(3.5))
        );
        assert_eq!(content["first_bin"], 10);
        assert_eq!(content["middles_ms"].as_array().unwrap().len(), 5);
        assert_eq!(
            (&content["series"][0]["row"], &content["series"][1]["row"]),
            (&Value::Null, &"m7".into())
        );
        let response = &content["series"][1]["times"]["response"];
        assert_eq!(response["bins"], serde_json::json!([[10, 2, -3, 1], []]));
        assert_eq!(response["means_us"], serde_json::json!([1235.0, 0.0]));
        assert_eq!(content["series"][1]["calls"], serde_json::json!([3, 0]));
    }

    #[test]
    fn the_pack_keeps_its_bound_and_drops_the_last_modules_first() {
        let timeline = timeline(40);
        let whole = pack(&timeline, 4, |_| None, usize::MAX).unwrap();
        assert_eq!(
            (whole.with_counts, whole.with_quantiles, whole.endpoints),
            (40, 40, 40)
        );
        let mut before = (usize::MAX, usize::MAX);
        for bytes_max in (200..whole.bytes.len()).rev().step_by(10) {
            let Some(packed) = pack(&timeline, 4, |_| None, bytes_max) else {
                assert!(bytes_max < 400, "{bytes_max}");
                break;
            };
            assert!(packed.bytes.len() <= bytes_max);
            // Endpoints come last.
            assert!(packed.endpoints == 0 || packed.with_quantiles == 40);
            let now = (packed.with_counts, packed.with_quantiles);
            assert!(now.0 <= before.0 && now.1 <= before.1 && now.1 <= now.0);
            before = now;
        }
        assert!(before.0 < 40);
        assert_eq!(pack(&timeline, 4, |_| None, 10), None);
        assert_eq!(pack(&Timeline::default(), 4, |_| None, 1000), None);
    }

    #[test]
    fn a_mean_keeps_four_digits_of_any_size() {
        for (value, wanted) in [
            (0.0, 0.0),
            (1.234_56, 1.235),
            (0.000_123_456, 0.000_123_5),
            (987_654.0, 987_700.0),
        ] {
            assert_eq!(rounded(value, MEAN_DIGITS), wanted);
        }
    }
}
