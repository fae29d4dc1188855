//! [`picks`]: selects the roots of an export. They are the run's own roots, or arrivals of another run with the work of this run.

use cctf_proto::cctf::{SpanId, TraceId};
use foldhash::HashMap;
use plan::plan::Plan;
use rundir::UsageError;

use crate::source::Source;

/// Seed of the random order in which recorded work is assigned to the arrivals of another run.
const SEED: u64 = 1;

/// Module, method and route.
type Endpoint = (String, Option<String>, Option<String>);

/// A root of the export.
#[derive(Debug, Clone, Copy)]
pub struct Pick {
    /// The recorded arrival whose work this root has, as an index in the arrivals of the plan and in
    /// [`plan::stations::Load::arrivals`].
    pub arrival: u32,
    /// Arrival of the root, nanoseconds since the Unix epoch.
    pub at_ns: i64,
    pub trace_id: TraceId,
    /// Span ids of the first invocation, and of the call from outside if it has a row.
    pub span_id: SpanId,
    pub call_span_id: Option<SpanId>,
}

/// The roots of an export, in the order of their arrival.
#[derive(Debug)]
pub struct Picks {
    pub list: Vec<Pick>,
    /// Number of arrivals of the other run whose endpoint has no recorded work.
    pub without_work: u64,
}

/// The arrivals of a run, with their endpoints.
#[derive(Debug)]
pub struct Arrivals {
    pub run_id: String,
    /// Here, the field `arrival` of a pick is the number of its endpoint.
    list: Vec<Pick>,
    endpoints: Vec<Endpoint>,
}

impl Arrivals {
    pub fn of(run_id: &str, plan: &Plan) -> Self {
        let (list, endpoints) = arrivals_of(plan);
        Self {
            run_id: run_id.to_owned(),
            list,
            endpoints,
        }
    }
}

/// The arrivals of a plan, each with the number of its endpoint in the field `arrival`, and the list of endpoints.
fn arrivals_of(plan: &Plan) -> (Vec<Pick>, Vec<Endpoint>) {
    let recorded = &plan.recorded;
    let within = recorded
        .arrivals
        .iter()
        .filter(|arrival| plan.span.has(arrival.at_ns));
    let list = within.map(|arrival| {
        let work = &recorded.works[arrival.work as usize];
        Pick {
            arrival: work.endpoint,
            at_ns: arrival.at_ns,
            trace_id: work.trace_id,
            span_id: work.span_id,
            call_span_id: (arrival.span_id != work.span_id).then_some(arrival.span_id),
        }
    });
    let names = &recorded.names;
    let endpoints = names.endpoints.iter().map(|endpoint| {
        let module = names.modules[endpoint.module as usize].clone();
        (module, endpoint.method.clone(), endpoint.route.clone())
    });
    (list.collect(), endpoints.collect())
}

/// The roots of an export. With the arrivals of another run, each arrival gets the work of a recorded root of the same
/// endpoint. The recorded roots of an endpoint are used in a random order, which is repeated when all have been used.
///
/// # Errors
/// A [`UsageError`] if no arrival has recorded work.
pub fn picks(source: &Source<'_>, arrivals: Option<&Arrivals>) -> anyhow::Result<Picks> {
    let limit = source
        .limit
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (mut own, endpoints) = arrivals_of(source.plan);
    let Some(arrivals) = arrivals else {
        own.truncate(limit);
        for (number, pick) in (0..).zip(&mut own) {
            pick.arrival = number;
        }
        return Ok(Picks {
            list: own,
            without_work: 0,
        });
    };
    let mut work: HashMap<&Endpoint, Vec<u32>> = HashMap::default();
    for (number, pick) in (0..).zip(&own) {
        let endpoint = &endpoints[pick.arrival as usize];
        work.entry(endpoint).or_default().push(number);
    }
    let mut random = Random(SEED);
    for endpoint in &endpoints {
        if let Some(numbers) = work.get_mut(endpoint) {
            random.shuffle(numbers);
        }
    }
    let mut used: HashMap<&Endpoint, usize> = HashMap::default();
    let mut found = Picks {
        list: Vec::new(),
        without_work: 0,
    };
    for arrival in arrivals.list.iter().take(limit) {
        let endpoint = &arrivals.endpoints[arrival.arrival as usize];
        let Some(numbers) = work.get(endpoint) else {
            found.without_work += 1;
            continue;
        };
        let place = used.entry(endpoint).or_default();
        found.list.push(Pick {
            arrival: numbers[*place % numbers.len()],
            ..*arrival
        });
        *place += 1;
    }
    if found.list.is_empty() {
        return Err(UsageError(format!(
            "cannot use the arrivals of {}: {} has no request to any of its endpoints; choose runs of one application",
            arrivals.run_id,
            source.run.id()
        ))
        .into());
    }
    Ok(found)
}

/// The random number generator SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn shuffle(&mut self, numbers: &mut [u32]) {
        for place in (1..numbers.len()).rev() {
            let other = self.next() % (place as u64 + 1);
            numbers.swap(place, other as usize);
        }
    }
}
