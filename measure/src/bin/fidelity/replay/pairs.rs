//! Several replays of each recording against the recorded service. Counts how often they are judged to be different although
//! nothing was changed.

use std::path::Path;

use super::site::{Site, Word};
use crate::finding::Finding;

/// Number of replays of each recording. Each replay is compared with the recording.
const REPLAYS: usize = 10;
const PAIRS: usize = REPLAYS * SCENES.len();
/// Maximum number of pairs that are judged to be different.
const FALSE_ALARMS_MAX: usize = 1;
/// Minimum share of pairs that must be judged to be the same, for loads up to the utilisation [`CALM`].
const SAME_SHARE_MIN: f64 = 0.9;
const CALM: f64 = 0.7;
/// Request of the Poisson loads, and its service time, ms: the work, and the CPU time that the service adds.
const WORK: &str = "/work?cpu_ms=1";
const SERVICE_MS: f64 = 1.1;
/// The endpoints of `make real-all`.
const ENDPOINTS: &str = "json,gzip,hash,kvset,kvget";
/// Requests/s of each endpoint, and the size of the bodies, bytes. With small bodies, or with fewer requests, the interval of
/// some mean service times is wider than its margin of 10 us: every thousandth write takes milliseconds.
const LOAD: [&str; 4] = ["--rate", "100", "--size", "65536"];

/// The load during one recording.
struct Scene {
    name: &'static str,
    /// `None`: the five endpoints are loaded one after the other.
    utilisation: Option<f64>,
    /// Length of the load. At a utilisation of 0.85, 200 relaxation times (in which a queue forgets its past) are 33,000
    /// requests.
    duration: &'static str,
}

const SCENES: [Scene; 4] = [
    Scene {
        name: "five endpoints",
        utilisation: None,
        duration: "10s",
    },
    Scene {
        name: "utilisation 0.5",
        utilisation: Some(0.5),
        duration: "20s",
    },
    Scene {
        name: "utilisation 0.7",
        utilisation: Some(0.7),
        duration: "30s",
    },
    Scene {
        name: "utilisation 0.85",
        utilisation: Some(0.85),
        duration: "60s",
    },
];

/// Verdicts on the replays of one recording.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    same: usize,
    differs: usize,
    cannot_tell: usize,
    void: usize,
}

/// Records each scene once, replays it, and compares each replay with the recording.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let (mut differ, mut calm, mut same_when_calm) = (0, 0, 0);
    for scene in &SCENES {
        let count = run(bin_dir, scene, &mut findings)?;
        differ += count.differs;
        if scene.utilisation.is_none_or(|utilisation| utilisation <= CALM) {
            calm += REPLAYS;
            same_when_calm += count.same;
        }
        findings.push(Finding::note(
            &format!("{}: same, differs, cannot tell, void", scene.name),
            &format!(
                "{}, {}, {}, {}",
                count.same, count.differs, count.cannot_tell, count.void
            ),
            "",
        ));
    }
    findings.push(Finding::at_most(
        "replays called different although nothing was changed",
        differ as f64,
        FALSE_ALARMS_MAX as f64,
        &format!("of {PAIRS}"),
    ));
    findings.push(Finding::between(
        &format!("replays called the same, up to a utilisation of {CALM}"),
        same_when_calm as f64,
        (SAME_SHARE_MIN * calm as f64, calm as f64),
        &format!("of {calm}"),
    ));
    Ok(findings)
}

fn run(bin_dir: &Path, scene: &Scene, findings: &mut Vec<Finding>) -> anyhow::Result<Count> {
    let mut site = Site::start(bin_dir)?;
    let url = site.service("tunable-svc", &[("WORKERS", "1")])?;
    let recording = match scene.utilisation {
        Some(utilisation) => {
            let rate = utilisation / SERVICE_MS * 1e3;
            site.record("recorded", &url, WORK, (rate, scene.duration), &[])?
        }
        None => {
            // In the first seconds, the caches are cold and the database is small.
            site.record_all("warm-up", &url, ENDPOINTS, (&LOAD, "2s"))?;
            site.record_all("recorded", &url, ENDPOINTS, (&LOAD, scene.duration))?
        }
    };
    let mut count = Count::default();
    for number in 0..REPLAYS {
        let replayed = site.replay(&recording, &format!("replay-{number}"), &url, &[])?;
        let verdict = site.compare(&recording, &replayed)?;
        match verdict.word {
            Word::Same => count.same += 1,
            Word::Differs => count.differs += 1,
            Word::CannotTell => count.cannot_tell += 1,
            Word::Void => count.void += 1,
        }
        if verdict.word != Word::Same {
            let name = format!("{}, replay {number}: {:?}", scene.name, verdict.word);
            findings.push(Finding::note(&name, &verdict.cause(), ""));
        }
    }
    Ok(count)
}
