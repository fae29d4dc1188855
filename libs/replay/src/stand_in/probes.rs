//! [`probe`]: asks each stand-in for its description before the first request is sent.

use std::collections::BTreeSet;
use std::time::Duration;

use cctf_load::plan::target::{Target, TargetError};
use http_once::HttpError;
use standin::{Instance, PLAN_VERSION, Probe, STAND_IN_PATH, StandIns};

use crate::targets::listed;

/// Maximum time for the answer. A stand-in answers without using a slot, so only a busy machine can delay it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The remedy in errors about a service that is not a stand-in.
const REMEDY: &str = "start it with --stand-in FILE";

/// A stand-in that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(
        "cannot replay: no stand-in for {}; add one for each to the stand-ins file",
        listed("module", modules)
    )]
    Missing { modules: Vec<String> },
    #[error("cannot use the stand-in of module {module:?}: {source}")]
    Url { module: String, source: TargetError },
    #[error("cannot reach the stand-in of module {module:?}: {source}; {REMEDY}")]
    Unreachable { module: String, source: HttpError },
    #[error("cannot use {url} for module {module:?}: it is no stand-in; {REMEDY}")]
    Ordinary { module: String, url: String },
    #[error(
        "cannot use {url} for module {module:?}: it executes plans of version {version}, not {PLAN_VERSION}; use programs of the same release"
    )]
    Version {
        module: String,
        url: String,
        version: u8,
    },
    #[error(
        "cannot use {url} for instance {expected:?}: it stands in for {found:?}; correct the stand-ins file"
    )]
    Other {
        url: String,
        expected: String,
        found: String,
    },
}

/// The stand-ins of the modules that requests reach.
///
/// # Errors
/// If a module has no stand-in.
pub fn needed(all: &StandIns, modules: &BTreeSet<&str>) -> Result<StandIns, ProbeError> {
    let missing = modules.iter().filter(|module| !all.has(module));
    let missing: Vec<String> = missing.map(|module| (*module).to_owned()).collect();
    let of_modules = all.instances().iter();
    let of_modules = of_modules.filter(|instance| modules.contains(&*instance.module));
    match StandIns::new(of_modules.cloned().collect()) {
        Ok(needed) if missing.is_empty() => Ok(needed),
        _ => Err(ProbeError::Missing { modules: missing }),
    }
}

/// The descriptions of all stand-ins, in the order of the file.
///
/// # Errors
/// If a stand-in does not answer, is an ordinary service, or replaces another instance than the file states.
pub fn probe(stand_ins: &StandIns) -> Result<Vec<Probe>, ProbeError> {
    stand_ins.instances().iter().map(ask).collect()
}

/// The address of a stand-in.
///
/// # Errors
/// [`ProbeError::Url`].
pub fn target(instance: &Instance) -> Result<Target, ProbeError> {
    Target::parse(&instance.url).map_err(|source| ProbeError::Url {
        module: instance.module.clone(),
        source,
    })
}

fn ask(instance: &Instance) -> Result<Probe, ProbeError> {
    let target = target(instance)?;
    let (module, url) = (instance.module.clone(), instance.url.clone());
    let answer = match http_once::get(&target.host, target.port, STAND_IN_PATH, TIMEOUT) {
        Ok(answer) => answer,
        Err(source) => return Err(ProbeError::Unreachable { module, source }),
    };
    let described = serde_json::from_slice::<Probe>(&answer.body);
    let (200, Ok(probe)) = (answer.status, described) else {
        return Err(ProbeError::Ordinary { module, url });
    };
    if probe.stand_in != PLAN_VERSION {
        return Err(ProbeError::Version {
            module,
            url,
            version: probe.stand_in,
        });
    }
    let of = |module: &str, instance: &str| format!("{instance} of {module}");
    let expected = of(&instance.module, &instance.instance);
    let found = of(&probe.module, &probe.instance);
    match expected == found {
        true => Ok(probe),
        false => Err(ProbeError::Other { url, expected, found }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one request with this status and body.
    fn server(status: u16, body: &'static str) -> Instance {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .unwrap();
        });
        Instance {
            module: "cart".into(),
            instance: "cart-1".into(),
            url,
        }
    }

    fn refusal(instance: Instance) -> String {
        let stand_ins = StandIns::new(vec![instance]).unwrap();
        probe(&stand_ins).unwrap_err().to_string()
    }

    const GOOD: &str = r#"{"stand_in":1,"module":"cart","instance":"cart-1","slots":2,"slot_policy":"held","mips_per_core":1000.0}"#;

    #[test]
    fn a_stand_in_describes_its_slots_and_speed() {
        let stand_ins = StandIns::new(vec![server(200, GOOD)]).unwrap();
        let found = probe(&stand_ins).unwrap();
        assert_eq!((found[0].slots, found[0].mips_per_core), (Some(2), Some(1000.0)));
    }

    #[test]
    fn stand_ins_of_other_modules_are_not_needed_and_missing_ones_named() {
        let instance = |module: &str| Instance {
            module: module.into(),
            instance: format!("{module}-1"),
            url: "http://127.0.0.1:1".into(),
        };
        let all = StandIns::new(vec![instance("cart"), instance("till")]).unwrap();
        let needed_of = |modules: &[&str]| needed(&all, &modules.iter().copied().collect());
        let found = needed_of(&["till"]).unwrap();
        assert_eq!(found.instances(), [instance("till")]);
        let error = needed_of(&["a", "till", "z"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot replay: no stand-in for modules \"a\" and \"z\"; add one for each to the stand-ins file"
        );
    }

    #[test]
    fn an_ordinary_service_is_recognised() {
        for (status, body) in [(404, "not found"), (200, "{}"), (500, GOOD)] {
            let error = refusal(server(status, body));
            assert!(
                error.ends_with("it is no stand-in; start it with --stand-in FILE"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_stand_in_for_another_instance_is_refused() {
        let other = r#"{"stand_in":1,"module":"till","instance":"till-1","slots":null,"slot_policy":"held"}"#;
        let error = refusal(server(200, other));
        assert!(
            error.contains("for instance \"cart-1 of cart\": it stands in for \"till-1 of till\""),
            "{error}"
        );
        let newer = r#"{"stand_in":2,"module":"cart","instance":"cart-1","slots":null,"slot_policy":"held"}"#;
        let error = refusal(server(200, newer));
        assert!(error.contains("version 2, not 1"), "{error}");
    }

    #[test]
    fn a_stand_in_that_does_not_run_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = refusal(Instance {
            module: "cart".into(),
            instance: "cart-1".into(),
            url,
        });
        assert!(
            error.starts_with("cannot reach the stand-in of module \"cart\": "),
            "{error}"
        );
    }
}
