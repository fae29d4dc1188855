//! Traces according to the services' own logs, without instrumentation. Each service logs the requests that it served and the
//! calls that it made. The log lines contain an id that services pass on to each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::trace::{Call, Facts, Invocation, Trace};

/// Services of the shop, each with a log.
const SERVICES: [&str; 6] = ["front", "mailer", "catalog", "stock", "shipping", "advice"];
/// The service of this project has no such log. Its work is computed from the calls to it.
const OURS: &str = "tunable-svc";
const OUR_PATHS: [&str; 3] = ["/hash/", "/json/", "/kv/set/"];

#[derive(Deserialize)]
struct Line {
    served: Option<String>,
    called: Option<String>,
    service: String,
    protocol: String,
    method: String,
    path: Option<String>,
    status: Option<i64>,
    bytes_in: Option<u64>,
    bytes_out: Option<u64>,
}

impl Line {
    fn facts(&self) -> Facts {
        Facts {
            module: self.service.clone(),
            protocol: self.protocol.clone(),
            method: Some(self.method.clone()),
            path: self.path.clone(),
            status: self.status,
            bytes: [self.bytes_in, self.bytes_out],
        }
    }
}

/// Served requests by id, and calls by the id of the request in which they were made.
#[derive(Default)]
struct Log {
    served: BTreeMap<String, Line>,
    calls: BTreeMap<String, Vec<Line>>,
}

/// The traces by id.
pub fn traces(logs: &Path) -> BTreeMap<String, Trace> {
    let log = read(logs);
    let begun: Vec<&String> = log.served.keys().filter(|id| !id.contains('.')).collect();
    let mut served = 0;
    let traces: BTreeMap<String, Trace> = begun
        .into_iter()
        .map(|id| (id.clone(), log.trace(id, &mut served)))
        .collect();
    assert_eq!(served, log.served.len(), "a served request is in no log as sent");
    traces
}

fn read(logs: &Path) -> Log {
    let mut log = Log::default();
    for service in SERVICES {
        let path = logs.join(format!("{service}.jsonl"));
        let text = fs::read_to_string(&path).unwrap();
        for text in text.lines() {
            // Lines that a language's runtime wrote are left out.
            let Ok(line) = serde_json::from_str::<Line>(text) else {
                continue;
            };
            match (&line.served, &line.called) {
                (Some(id), _) => assert!(
                    log.served.insert(id.clone(), line).is_none(),
                    "served twice: {text}"
                ),
                (None, Some(id)) => {
                    let (caller, _) = id.rsplit_once('.').unwrap();
                    log.calls.entry(caller.to_owned()).or_default().push(line);
                }
                (None, None) => panic!("neither served nor called: {text}"),
            }
        }
    }
    log
}

impl Log {
    fn trace(&self, id: &str, served: &mut usize) -> Trace {
        let first = self.invocation(id, served);
        let driver = Facts {
            module: "cctf-load".to_owned(),
            bytes: [first.facts.bytes[1], first.facts.bytes[0]],
            ..first.facts.clone()
        };
        Trace(Call {
            facts: driver,
            reached: vec![first],
        })
    }

    fn invocation(&self, id: &str, served: &mut usize) -> Invocation {
        *served += 1;
        let calls = self.calls.get(id).map(Vec::as_slice).unwrap_or_default();
        Invocation {
            facts: self.served[id].facts(),
            calls: calls
                .iter()
                .map(|line| Call {
                    facts: line.facts(),
                    reached: self.reached(line, served),
                })
                .collect(),
        }
    }

    fn reached(&self, call: &Line, served: &mut usize) -> Vec<Invocation> {
        let id = call.called.as_deref().unwrap();
        let path = call.path.as_deref().unwrap_or_default();
        if self.served.contains_key(id) {
            vec![self.invocation(id, served)]
        } else if OUR_PATHS.iter().any(|own| path.starts_with(own)) {
            vec![ours(call, path)]
        } else {
            Vec::new()
        }
    }
}

/// The work of this project's service for a call: it stores a value with one statement.
fn ours(call: &Line, path: &str) -> Invocation {
    let facts = Facts {
        module: OURS.to_owned(),
        bytes: [call.bytes_out, call.bytes_in],
        ..call.facts()
    };
    let statement = Facts {
        module: OURS.to_owned(),
        protocol: "db".to_owned(),
        method: Some("INSERT".to_owned()),
        path: Some("kv".to_owned()),
        status: None,
        bytes: [None; 2],
    };
    let statement = Call {
        facts: statement,
        reached: Vec::new(),
    };
    Invocation {
        facts,
        calls: Vec::from_iter(path.starts_with("/kv/set/").then_some(statement)),
    }
}
