//! Dependence between calls: a slower callee delays the stand-ins of its callers as much as it delays the callers themselves.
//!
//! A program with known branches ([`e2e::branches`]) is recorded, then again with each callee slowed by a proxy: that is the truth.
//! Stand-ins repeat the first recording, then again with a proxy of the same delay in front of the callee's stand-in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use e2e::branches::{Branches, CALLEES, FRONT, ROUTES};
use e2e::rows::{lines, number, text};
use serde_json::json;

use super::proxy::Proxy;
use super::site::Site;
use crate::finding::Finding;

/// Delay of the proxy in each direction.
const ONE_WAY_MS: u32 = 25;
const SLOWER_MS: f64 = 2.0 * ONE_WAY_MS as f64;
/// Maximum difference between the movements of two means: 5% of the delay.
const MARGIN_MS: f64 = 0.05 * SLOWER_MS;
/// Maximum difference between two means without a slower callee.
const MEAN_MARGIN_MS: f64 = 1.0;
/// 300 requests of each route.
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

/// Records the program and its stand-ins, as they are and with each callee slowed.
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
        findings.push(Finding::between(
            &format!(
                "{route}: mean response, program {:.2} ms, stand-ins",
                program[route]
            ),
            stand_ins[route],
            (program[route] - MEAN_MARGIN_MS, program[route] + MEAN_MARGIN_MS),
            "ms",
        ));
    }
    for callee in CALLEES {
        let slow_program = bench.program(Some(callee))?;
        let slow_stand_ins = bench.stand_ins(Some(callee))?;
        for route in ROUTES.into_iter().filter(|route| called(route).contains(&callee)) {
            let truth = slow_program[route] - program[route];
            if route == "/sequence" {
                findings.push(Finding::between(
                    &format!("{route}, {callee} 50 ms slower: program"),
                    truth,
                    (SLOWER_MS - MARGIN_MS, SLOWER_MS + MARGIN_MS),
                    "ms",
                ));
            }
            findings.push(Finding::between(
                &format!("{route}, {callee} 50 ms slower: program {truth:+.2} ms, stand-ins"),
                slow_stand_ins[route] - stand_ins[route],
                (truth - MARGIN_MS, truth + MARGIN_MS),
                "ms",
            ));
        }
    }
    Ok(findings)
}

/// The program's mean response by route, ms.
type Means = BTreeMap<&'static str, f64>;

struct Bench<'a> {
    bin_dir: &'a Path,
    site: Site<'a>,
    proxy: Proxy,
}

impl Bench<'_> {
    /// The URL of a callee, behind the delaying proxy if it is the slow one.
    fn link(&self, of: &str, name: &str, url: &str, slow: Option<&str>) -> anyhow::Result<String> {
        match slow == Some(name) {
            true => self.proxy.link(&format!("{of}-{name}"), url, ONE_WAY_MS),
            false => Ok(url.to_owned()),
        }
    }

    /// Records the program.
    fn program(&self, slow: Option<&str>) -> anyhow::Result<Means> {
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
        means(&folder)
    }

    /// Repeats the first recording by stand-ins.
    fn stand_ins(&mut self, slow: Option<&str>) -> anyhow::Result<Means> {
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
        means(&folder)
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

/// Mean response of the program's requests by route.
fn means(folder: &Path) -> anyhow::Result<Means> {
    let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in lines(&folder.join("cctf/invocations.jsonl"))? {
        if text(&row, "module_id") == Some(FRONT) {
            let route = ROUTES
                .into_iter()
                .find(|route| text(&row, "route") == Some(route));
            let route = route.with_context(|| format!("an unknown route: {row}"))?;
            ensure!(number(&row, "status") == Some(200.0), "a failure: {row}");
            let time = number(&row, "rt_ms").with_context(|| format!("no response time: {row}"))?;
            times.entry(route).or_default().push(time);
        }
    }
    let mut means = Means::new();
    for route in ROUTES {
        let times = times.get(route).map_or(&[] as &[f64], Vec::as_slice);
        ensure!(
            times.len() == REQUESTS,
            "{route}: {} requests in {}",
            times.len(),
            folder.display()
        );
        means.insert(route, times.iter().sum::<f64>() / REQUESTS as f64);
    }
    Ok(means)
}
