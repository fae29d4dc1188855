//! [`Requests`]: the requests of each process with samples, from `invocations.jsonl`.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::maps::Map;
use cctf_proto::cctf::{Field, Invocation, Row, field_index};
use rundir::Ending;
use rundir::chunks::ChunkLines;
use rundir::fields::{self, Fields, Name, Order, names_of};

use super::samples::ProcessKey;
use crate::regression::{Accumulator, ENDPOINTS_MAX, OTHER};
use crate::stats::row::{RowError, stamp, text};

const FIELDS: &[Field] = Invocation::FIELDS;
static NAMES: [Name; FIELDS.len()] = names_of::<{ FIELDS.len() }>(FIELDS);
/// The fields that make up a row's key.
const KEY: [usize; 5] = [
    field_index(FIELDS, "module_id"),
    field_index(FIELDS, "node"),
    field_index(FIELDS, "instance_id"),
    field_index(FIELDS, "method"),
    ROUTE,
];
const ROUTE: usize = field_index(FIELDS, "route");
const PATH: usize = field_index(FIELDS, "path");
const START: usize = field_index(FIELDS, "ts_start");
const END: usize = field_index(FIELDS, "ts_end");
const CPU: usize = field_index(FIELDS, "cpu_time_ms");

/// Method and route, or the path without a route.
pub type EndpointKey = (Option<String>, Option<String>);

/// The fields of a row: texts as JSON, times, and whether a CPU time was reported.
struct Request<'a> {
    key: [&'a [u8]; 5],
    start: i64,
    end: i64,
    has_cpu: bool,
}

impl<'a> Request<'a> {
    fn read(line: &'a [u8]) -> Result<Self, RowError> {
        let (mut scan, mut order) = (Fields::new(line)?, Order::new(FIELDS));
        let mut found: [&[u8]; 5] = [b""; 5];
        let (mut path, mut start, mut end, mut has_cpu) = (&b""[..], None, None, false);
        while let Some((index, field)) = scan.next_known(&mut order, &NAMES)? {
            match index {
                PATH => path = text(field.value, "path")?,
                START => start = Some(stamp(field.value, "ts_start")?),
                END => end = Some(stamp(field.value, "ts_end")?),
                CPU => has_cpu = field.value != b"null",
                _ => {
                    if let Some(part) = KEY.iter().position(|key| *key == index) {
                        found[part] = text(field.value, FIELDS[index].name)?;
                    }
                }
            }
        }
        if found[4].is_empty() {
            found[4] = path;
        }
        Ok(Self {
            key: found,
            start: start.ok_or(RowError::InvalidField("ts_start"))?,
            end: end.ok_or(RowError::InvalidField("ts_end"))?,
            has_cpu,
        })
    }
}

/// The requests of one chunk of the file.
#[derive(Default)]
pub struct Chunk {
    numbers: Map<Vec<u8>, usize>,
    /// For each key: its decoded texts, and whether any row with the key has a CPU time.
    keys: Vec<([Option<String>; 5], bool)>,
    /// For each row: number of its key, start and end.
    rows: Vec<(usize, i64, i64)>,
    pub damaged: u64,
}

impl Chunk {
    /// `is_open` states that the last line may be incomplete.
    pub fn read(lines: ChunkLines<'_>, is_open: bool) -> Self {
        let mut chunk = Self::default();
        for (line, ending) in lines {
            if line.is_empty() || (ending == Ending::EndOfFile && is_open) {
                continue;
            }
            match Request::read(line) {
                Ok(request) => chunk.add(&request),
                Err(_) => chunk.damaged += 1,
            }
        }
        chunk
    }

    fn add(&mut self, request: &Request<'_>) {
        let joined = request.key.join(&b'\n');
        let next = self.keys.len();
        let number = *self.numbers.entry(joined).or_insert(next);
        if number == next {
            let decoded = |raw: &[u8]| fields::text(raw).map(|text| text.into_owned());
            self.keys.push((request.key.map(decoded), false));
        }
        self.keys[number].1 |= request.has_cpu;
        self.rows.push((number, request.start, request.end));
    }
}

/// A process, with its endpoints.
#[derive(Default)]
pub struct Process {
    pub accumulator: Accumulator,
    pub endpoints: BTreeMap<EndpointKey, usize>,
}

impl Process {
    fn endpoint(&mut self, key: EndpointKey) -> usize {
        let next = self.endpoints.len();
        match self.endpoints.get(&key) {
            Some(&number) => number,
            None if next >= ENDPOINTS_MAX => OTHER,
            None => {
                self.endpoints.insert(key, next);
                next
            }
        }
    }
}

/// All processes with samples.
pub struct Requests {
    pub processes: BTreeMap<ProcessKey, Process>,
    /// Modules whose rows report CPU times.
    pub measured: BTreeSet<String>,
}

impl Requests {
    pub fn new(samples: BTreeMap<ProcessKey, Accumulator>) -> Self {
        let process = |accumulator| Process {
            accumulator,
            endpoints: BTreeMap::new(),
        };
        Self {
            processes: samples
                .into_iter()
                .map(|(key, samples)| (key, process(samples)))
                .collect(),
            measured: BTreeSet::new(),
        }
    }

    pub fn absorb(&mut self, chunk: &Chunk) {
        let mut places: Vec<Option<(ProcessKey, usize)>> = Vec::new();
        for ([module, node, instance, method, route], has_cpu) in &chunk.keys {
            let known = |text: &Option<String>| text.clone().unwrap_or_default();
            let key = (known(module), known(node), known(instance));
            if *has_cpu {
                self.measured.insert(key.0.clone());
            }
            let endpoint = (method.clone(), route.clone());
            let process = self.processes.get_mut(&key);
            places.push(process.map(|process| (key, process.endpoint(endpoint))));
        }
        for &(number, start, end) in &chunk.rows {
            if let Some((key, endpoint)) = &places[number]
                && let Some(process) = self.processes.get_mut(key)
            {
                process.accumulator.add_request(*endpoint, start, end);
            }
        }
    }
}
