//! Dependence between calls: a slower callee must delay the stand-ins of its callers by the same time as the callers
//! themselves.
//!
//! A program with known branches ([`e2e::branches`]) is recorded once as it is, and once for each callee with a proxy that
//! slows this callee. These recordings are the truth. Stand-ins repeat the first recording, also once as it is and once for
//! each callee with such a proxy in front of the callee's stand-in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use e2e::branches::{Branches, CALLEES, FRONT, ROUTES};
use e2e::rows::{lines, number, text};
use serde_json::json;

use super::proxy::Proxy;
use super::site::Site;
use crate::finding::{Finding, quantile};

/// Delay of the proxy in each direction.
const ONE_WAY_MS: u32 = 25;
const SLOWER_MS: f64 = 2.0 * ONE_WAY_MS as f64;
/// Maximum difference between the changes of two means: 5% of the delay.
const MARGIN_MS: f64 = 0.05 * SLOWER_MS;
/// Maximum error of a mean if no callee is slower.
const MEAN_ERROR_MAX: f64 = 0.05;
/// Rate that gives 300 requests of each route.
const RATE: &str = "75";
const DURATION: &str = "4s";
const REQUESTS: usize = 300;

/// The callees of a route.
fn called(route: &str) -> &'static [&'static str] {
    match route {
        "/sequence" | "/fan-out" => &["a", "b", "c"],
        "/after-answer" | "/retry" => &["a", "b"],
        _ => &CALLEES,
    }
}

/// Records the program and its stand-ins, first without a slow callee, then with each callee slowed.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let mut bench = Bench {
        bin_dir,
        site: Site::start(bin_dir)?,
        proxy: Proxy::start()?,
    };
    let program = bench.program(None)?;
    let stand_ins = bench.stand_ins(None)?;
    let mut findings = Vec::new();
    for route in ROUTES {
        let truth = mean(&program[route]);
        findings.push(Finding::between(
            &format!("{route}: mean response, program {truth:.2} ms, stand-ins"),
            mean(&stand_ins[route]),
            ((1.0 - MEAN_ERROR_MAX) * truth, (1.0 + MEAN_ERROR_MAX) * truth),
            "ms",
        ));
    }
    for callee in CALLEES {
        let truth = moved(&program, &bench.program(Some(callee))?);
        let repeated = moved(&stand_ins, &bench.stand_ins(Some(callee))?);
        findings.extend(compared(callee, &truth, &repeated));
    }
    Ok(findings)
}

/// Compares how much a slower callee delays the responses of the program and those of its stand-ins.
fn compared(callee: &str, truth: &Responses, repeated: &Responses) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut differences = Vec::new();
    for route in ROUTES.into_iter().filter(|route| called(route).contains(&callee)) {
        let mean_ms = mean(&truth[route]);
        // In a sequence, the whole delay of each callee adds to the response. If this is not so in the program, the proxy does
        // not delay the callee.
        if route == "/sequence" {
            findings.push(Finding::between(
                &format!("{route}, {callee} 50 ms slower: program"),
                mean_ms,
                (SLOWER_MS - MARGIN_MS, SLOWER_MS + MARGIN_MS),
                "ms",
            ));
        }
        findings.push(Finding::between(
            &format!("{route}, {callee} 50 ms slower: program {mean_ms:+.2} ms, stand-ins"),
            mean(&repeated[route]),
            (mean_ms - MARGIN_MS, mean_ms + MARGIN_MS),
            "ms",
        ));
        let pairs = truth[route].iter().zip(&repeated[route]);
        differences.extend(pairs.map(|(truth, repeated)| (repeated - truth).abs()));
    }
    let [median, high] = [0.5, 0.9].map(|share| quantile(&mut differences, share));
    findings.push(Finding::note(
        &format!("{callee} 50 ms slower: difference of one request, median and p90"),
        &format!("{median:.2}, {high:.2} ms"),
        "",
    ));
    findings
}

/// Response times in ms by route, in the order of the requests. Each request has the same times in every run of the program.
type Responses = BTreeMap<&'static str, Vec<f64>>;

/// How much longer each response is in the second run.
fn moved(first: &Responses, second: &Responses) -> Responses {
    let of_route = |route| {
        let pairs = first[route].iter().zip(&second[route]);
        (route, pairs.map(|(first, second)| second - first).collect())
    };
    ROUTES.map(of_route).into()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

struct Bench<'a> {
    bin_dir: &'a Path,
    site: Site<'a>,
    proxy: Proxy,
}

impl Bench<'_> {
    /// The URL of a callee. If the callee is the slow one, the URL is that of the proxy.
    fn link(&self, of: &str, name: &str, url: &str, slow: Option<&str>) -> anyhow::Result<String> {
        match slow == Some(name) {
            true => self.proxy.link(&format!("{of}-{name}"), url, ONE_WAY_MS),
            false => Ok(url.to_owned()),
        }
    }

    /// Records the program. `slow` is the callee that is slowed.
    fn program(&self, slow: Option<&str>) -> anyhow::Result<Responses> {
        let link = |name: &str, url: &str| self.link("program", name, url, slow);
        let program = Branches::start(self.bin_dir, &self.site.otlp()?, link)?;
        let run_id = run_id("program", slow);
        let logs = utf8(self.site.logs())?;
        let (routes, url) = (ROUTES.join(","), program.url()?);
        let target = ["--target", &url, "--logs-dir", logs, "--endpoints", &routes];
        let load = ["--rate", RATE, "--duration", DURATION];
        let folder = self
            .site
            .send("run", &run_id, &[target.as_slice(), &load].concat())?;
        program.stop()?;
        responses(&folder)
    }

    /// Repeats the first recording by stand-ins. `slow` is the callee that is slowed.
    fn stand_ins(&mut self, slow: Option<&str>) -> anyhow::Result<Responses> {
        let path = self.site.logs().join("stand-ins.json");
        let file = utf8(&path)?;
        let mut instances = Vec::new();
        for module in [FRONT].into_iter().chain(CALLEES) {
            let instance = format!("{module}-1");
            let variables = [
                ("STAND_IN", file),
                ("INSTANCE_ID", &instance),
                ("WORKERS", "unlimited"),
            ];
            let url = self.site.service(module, &variables)?;
            let url = self.link("stand-in", module, &url, slow)?;
            instances.push(json!({"module": module, "instance": instance, "url": url}));
        }
        fs::write(file, json!({"version": 1, "instances": instances}).to_string())?;
        let recording = self.site.logs().join(run_id("program", None));
        let replay = [utf8(&recording)?, "--stand-in", file];
        let folder = self.site.send("replay", &run_id("stand-ins", slow), &replay)?;
        self.site.stop_services()?;
        responses(&folder)
    }
}

fn utf8(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the folder's name is not UTF-8")
}

fn run_id(of: &str, slow: Option<&str>) -> String {
    match slow {
        Some(slow) => format!("{of}-slow-{slow}"),
        None => of.to_owned(),
    }
}

/// Response times of the program in a run.
fn responses(folder: &Path) -> anyhow::Result<Responses> {
    let mut found: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in lines(&folder.join("cctf/invocations.jsonl"))? {
        if text(&row, "module_id") == Some(FRONT) {
            let route = ROUTES
                .into_iter()
                .find(|route| text(&row, "route") == Some(route));
            let route = route.with_context(|| format!("an unknown route: {row}"))?;
            ensure!(number(&row, "status") == Some(200.0), "a failure: {row}");
            let times = number(&row, "ts_enqueue").zip(number(&row, "rt_ms"));
            let times = times.with_context(|| format!("no times: {row}"))?;
            found.entry(route).or_default().push(times);
        }
    }
    let mut responses = Responses::new();
    for route in ROUTES {
        let mut times = found.remove(route).unwrap_or_default();
        let (count, folder) = (times.len(), folder.display());
        ensure!(count == REQUESTS, "{route}: {count} requests in {folder}");
        times.sort_by(|one, other| one.0.total_cmp(&other.0));
        responses.insert(route, times.into_iter().map(|(_, response)| response).collect());
    }
    Ok(responses)
}
