//! [`origin`]: a sentence about the telemetry from which a run was converted, and about what its figures lack.

use cctf_proto::cctf::RunMeta;

/// Formats whose tables have no CPU times, queue times, sizes and statuses of requests.
const TABLES: [&str; 3] = ["alibaba2021", "alibaba2022", "azure2021"];
/// If timestamps have this resolution or a coarser one, the times of requests are coarse, too. Nanoseconds: a microsecond.
const COARSE_NS: i64 = 1_000;

/// The sentence, if the run was converted.
pub fn origin(meta: &RunMeta<'_>) -> Option<String> {
    let from = meta.converted_from.as_deref()?;
    let mut sentence = format!("the run was converted from {from}");
    if let Some(files) = meta.converted_files.as_deref() {
        sentence.push_str(&format!(" ({files})"));
    }
    if let Some(resolution) = meta.converted_resolution_ms.filter(|ms| ms.as_ns() >= COARSE_NS) {
        let ms = resolution.as_ns() as f64 / 1e6;
        sentence.push_str(&format!(
            ": its timestamps have a resolution of {ms} ms, so no time is more exact"
        ));
    }
    if from.split(',').all(|format| TABLES.contains(&format)) {
        sentence.push_str("; it states no CPU times, queue times, sizes and statuses of requests");
    }
    if meta.converted_assumptions.is_some() {
        sentence.push_str("; converted_assumptions in run_meta.json counts what was assumed");
    }
    Some(sentence)
}

#[cfg(test)]
mod tests {
    use cctf_proto::cctf::{Counters, Milliseconds};

    use super::*;

    fn meta(from: Option<&'static str>, resolution_ns: i64) -> RunMeta<'static> {
        let counts = serde_json::from_str(
            r#"{"spans":0,"points":0,"logs":0,"rows":{},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{}}"#,
        );
        RunMeta {
            converted_from: from.map(Into::into),
            converted_files: from.map(|_| "a.csv and 2 more".into()),
            converted_resolution_ms: Some(Milliseconds::from_ns(resolution_ns)),
            ..RunMeta::new("r", [Milliseconds::from_ns(0); 2], counts.unwrap())
        }
    }

    #[test]
    fn a_converted_run_says_what_its_format_lacks() {
        assert_eq!(origin(&meta(None, 1)), None);
        assert_eq!(
            origin(&meta(Some("otlp"), 1)).unwrap(),
            "the run was converted from otlp (a.csv and 2 more)"
        );
        let jaeger = origin(&meta(Some("otlp,jaeger"), 1_000)).unwrap();
        assert!(
            jaeger.contains("a resolution of 0.001 ms") && !jaeger.contains("CPU"),
            "{jaeger}"
        );
        let mut table = meta(Some("alibaba2021"), 1_000_000);
        table.converted_assumptions = Some(Counters([("caller_unknown".to_owned(), 3)].into()));
        let table = origin(&table).unwrap();
        assert!(
            table.contains("a resolution of 1 ms") && table.contains("no CPU times"),
            "{table}"
        );
        assert!(table.ends_with("counts what was assumed"), "{table}");
    }
}
