//! A simulated run is written as rows and read. Its simulation must give the same run.

use cctf_proto::cctf::{self, Invocation};
use plan::plan::{Ends, Plan, Regressed, Span};
use plan::stations::{Failures, Load, Outcome, State, load as load_of, simulate_with};
use plan::work::{Collector, NONE, Station};
use proptest::prelude::*;

use crate::build::{Forest, random_load, station};
use crate::naive::{self, Happened};

/// Unit of all times. It is so large that hardly any call begins within the 50 us before another call's end in which it counts
/// as waiting for it. Rows do not state the order of events at the same time.
const UNIT: u64 = 10_000_000_000_000;
/// Difference between the times of rows and those of the simulation.
const EPOCH_NS: i64 = 1_790_000_000_000_000_000;

fn ms(ns: i64) -> String {
    cctf::Milliseconds::from_ns(ns).to_string()
}

fn invocation_line(load: &Load, index: usize, outcome: &Outcome) -> String {
    let visit = &load.visits[index];
    let at = |ns: i64| ms(EPOCH_NS + ns);
    let (module, caller) = (
        load.names.module_of(visit.instance),
        load.calls.get(visit.caller as usize),
    );
    let parent = caller.map(|call| load.visits[call.visit as usize].span_id);
    let quoted = |id: Option<cctf::SpanId>| id.map_or("null".to_owned(), |id| format!("\"{id}\""));
    let slot_wait = visit
        .calls()
        .next()
        .map(|_| format!(r#""slot_wait_ms":{},"#, ms(outcome.slot_wait_ns)));
    let times = match outcome.state {
        State::Refused => r#""queue_time_ms":null,"status":503"#.to_owned(),
        _ => format!(
            r#""queue_time_ms":{},"wakeup_ms":{},{}"status":200"#,
            ms(outcome.start_ns - outcome.enqueue_ns),
            ms(visit.setup_ns),
            slot_wait.unwrap_or_default()
        ),
    };
    let caller_id = match visit.caller {
        NONE => String::new(),
        call => format!(r#""caller_span_id":"{:016x}","#, call + 1),
    };
    format!(
        r#"{{"trace_id":"{}","span_id":"{}","parent_id":{},"parent_span_id":{},"module_id":"m{module}","instance_id":"i","ts_enqueue":{},"ts_start":{},"ts_end":{},"node":"n","stage":"edge","method":"GET","path":"/","bytes_in":0,"bytes_out":0,"cpu_time_ms":null,"service_time_ms":null,"rt_ms":{},"downstream_ms":null,{caller_id}{times},"kind":"server"}}"#,
        visit.trace_id,
        visit.span_id,
        quoted(parent),
        quoted(parent),
        at(outcome.enqueue_ns),
        at(outcome.start_ns),
        at(outcome.end_ns),
        ms(outcome.response_ns()),
    )
}

fn call_line(load: &Load, index: usize, start: i64, end: i64) -> String {
    let visit = &load.visits[load.calls[index].visit as usize];
    let id = visit.span_id;
    format!(
        r#"{{"trace_id":"{}","span_id":"{:016x}","parent_span_id":"{id}","ancestor_id":"{id}","module_id":"m","instance_id":"i","node":"n","stage":"edge","ts_start":{},"ts_end":{},"method":null,"path":null,"bytes_out":null,"bytes_in":null,"status":null,"kind":"client"}}"#,
        visit.trace_id,
        index + 1,
        ms(EPOCH_NS + start),
        ms(EPOCH_NS + end),
    )
}

/// The load that is read from the rows of this run.
fn recorded(load: &Load, happened: &Happened) -> Load {
    let mut collector = Collector::default();
    for (index, outcome) in happened.outcomes.iter().enumerate() {
        if outcome.state != State::Unfinished {
            let line = invocation_line(load, index, outcome);
            let row: Invocation<'_> = serde_json::from_str(&line).unwrap();
            collector.invocation(&row).unwrap();
        }
    }
    for index in 0..load.calls.len() {
        if let (Some(start), Some(end)) = (happened.starts[index], happened.ends[index]) {
            let line = call_line(load, index, start, end);
            let row: cctf::Call<'_> = serde_json::from_str(&line).unwrap();
            collector.call(&row).unwrap();
        }
    }
    for (instance, original) in stations(load, &collector) {
        collector.instances()[instance].station = original;
    }
    let plan = Plan::new(collector.finish().unwrap(), Span::ALL, &Regressed::default());
    assert_eq!(plan.counts.deviating(), 0, "{:?}", plan.counts);
    load_of(&plan)
}

fn stations(load: &Load, collector: &Collector) -> Vec<(usize, Station)> {
    let found = collector
        .names()
        .instances
        .iter()
        .enumerate()
        .map(|(instance, named)| {
            let name = &collector.names().modules[named.module as usize];
            let module = load.names.find_module(name).unwrap();
            let original = load.names.find_instance(module, "i").unwrap();
            (instance, load.names.instances[original as usize].station)
        });
    found.collect()
}

/// Outcomes in the order of arrival. No two requests arrive at the same time.
fn in_order(outcomes: impl Iterator<Item = Outcome>) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = outcomes.collect();
    outcomes.sort_by_key(|outcome| outcome.enqueue_ns);
    outcomes
}

fn round_trip(load: &Load) -> Result<(), TestCaseError> {
    let happened = naive::simulate(load, Failures::Simulated);
    let served = happened.outcomes.iter();
    let served = served.filter(|outcome| outcome.state != State::Unfinished);
    let expected = in_order(served.map(|outcome| Outcome {
        enqueue_ns: outcome.enqueue_ns + EPOCH_NS,
        start_ns: outcome.start_ns + EPOCH_NS,
        end_ns: outcome.end_ns + EPOCH_NS,
        ..*outcome
    }));
    let again = recorded(load, &happened);
    prop_assert!(
        again
            .calls
            .iter()
            .all(|call| call.callee == NONE || call.ends == Ends::Answer)
    );
    let found = simulate_with(&again, Failures::AsRecorded);
    prop_assert_eq!(in_order(found.into_iter()), expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn rows_of_held_slots_simulate_to_themselves(seed: u64, slots in 1..4_u32, roots in 1..12_u64, limit in prop::option::of(0..3_u32)) {
        let stations = [0, 1, 2, 3].map(|more| station(slots + more, false, limit));
        let mut forest = Forest { unit: UNIT, has_all: false, ..Forest::new(seed) };
        round_trip(&random_load(&mut forest, &stations, roots))?;
    }

    /// The row contains only the sum of the waits for slots after several calls.
    #[test]
    fn rows_of_released_slots_with_one_call_do_so_too(seed: u64, slots in 1..4_u32, roots in 1..20_u64) {
        let stations = [0, 1, 2, 3].map(|more| station(slots + more, more % 2 == 0, None));
        let mut forest = Forest { unit: UNIT, has_all: false, calls_max: 1, answers_wait: true, ..Forest::new(seed) };
        round_trip(&random_load(&mut forest, &stations, roots))?;
    }
}
