//! Call graphs of Alibaba with the published faults: the conversion, and a reader true to the specification, are compared with the
//! truth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cctf_merge::merge;
use rundir::validate::{Options, validate};
use serde_json::Value;

use crate::alibaba_world::{RELEASES, Release, Row, World, canonical, csv, generate};
use crate::{Converted, Folder, read};

const TRACES: u64 = 6_000;
/// Maximum distance of the reader true to the specification from the published share.
const READER_ERROR: f64 = 0.03;
/// Minimum share of traces that the conversion must get right, for each release.
const RIGHT_MIN: [f64; 2] = [0.84, 0.986];
/// Maximum share of traces that it may get wrong without flagging a row.
const SILENTLY_WRONG_MAX: f64 = 0.01;
/// The module of a row without a name.
const UNKNOWN: &str = "unknown_service";

/// The tree of a trace as a reader true to the specification sees it: each rpc id is a call. Its caller is the callee of the call
/// whose id lacks the last number.
fn by_specification(rows: &[&Row]) -> String {
    let mut first: BTreeMap<&str, &Row> = BTreeMap::new();
    for &row in rows {
        first.entry(&row.rpc_id).or_insert(row);
    }
    let above = |id: &str| id.rsplit_once('.').map(|(above, _)| above.to_owned());
    let has_call_above = |id: &str| {
        id.match_indices('.')
            .any(|(end, _)| first.contains_key(&id[..end]))
    };
    // The callers of the topmost calls have no row.
    let mut modules: BTreeMap<String, &str> = BTreeMap::new();
    for (id, row) in &first {
        if let Some(above) = above(id).filter(|_| !has_call_above(id)) {
            modules.entry(above).or_insert(&row.um);
        }
    }
    modules.extend(first.iter().map(|(id, row)| ((*id).to_owned(), &*row.dm)));
    // A call whose caller has no row, although something above has one, begins a tree of its own.
    let mut called: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut roots = Vec::new();
    for id in modules.keys() {
        match above(id).filter(|above| modules.contains_key(above)) {
            Some(above) => called.entry(above).or_default().push(id),
            None => roots.push(id.as_str()),
        }
    }
    fn text(id: &str, modules: &BTreeMap<String, &str>, called: &BTreeMap<String, Vec<&str>>) -> String {
        let below = called.get(id).map_or(&[][..], |below| &below[..]);
        let below = below.iter().map(|id| text(id, modules, called));
        canonical(modules[id], below.collect())
    }
    let roots: Vec<String> = roots.iter().map(|id| text(id, &modules, &called)).collect();
    roots.join(" ")
}

/// A trace as converted.
#[derive(Default)]
struct Made {
    text: String,
    is_flagged: bool,
}

/// The traces of a run by their ids: the invocations with what they called, and the calls that nobody answered.
fn made(converted: &Converted) -> BTreeMap<String, Made> {
    let text = |row: &Value, field: &str| row[field].as_str().map(str::to_owned);
    let invocations = converted.rows("invocations.jsonl");
    let calls = converted.rows("calls.jsonl");
    let answered: BTreeSet<_> = invocations
        .iter()
        .filter_map(|row| text(row, "parent_span_id"))
        .collect();
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    let mut called: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut leaves: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut made: BTreeMap<String, (Vec<String>, bool)> = BTreeMap::new();
    for row in &invocations {
        let id = text(row, "span_id").unwrap();
        let of_trace = made.entry(text(row, "trace_id").unwrap()).or_default();
        let is_orphan = row["flags"].to_string().contains("orphan");
        of_trace.1 |= is_orphan || row["module_id"] == UNKNOWN;
        match text(row, "parent_id") {
            Some(parent) => called.entry(parent).or_default().push(id.clone()),
            None => of_trace.0.push(id.clone()),
        }
        modules.insert(id, text(row, "module_id").unwrap());
    }
    for row in &calls {
        let of_trace = made.entry(text(row, "trace_id").unwrap()).or_default();
        let is_of_user = row["parent_span_id"].is_null();
        let is_unknown = row["module_id"] == UNKNOWN && !is_of_user;
        of_trace.1 |= row["flags"].to_string().contains("orphan") || is_unknown;
        if answered.contains(row["span_id"].as_str().unwrap()) {
            continue;
        }
        let peer = text(row, "peer");
        of_trace.1 |= peer.is_none();
        if let Some(ancestor) = text(row, "ancestor_id") {
            let leaf = canonical(&peer.unwrap_or_default(), Vec::new());
            leaves.entry(ancestor).or_default().push(leaf);
        }
    }
    let graph = Graph {
        modules: &modules,
        called: &called,
        leaves: &leaves,
    };
    let traces = made.into_iter().map(|(trace, (roots, is_flagged))| {
        let roots: Vec<String> = roots.iter().map(|root| graph.text(root)).collect();
        let text = roots.join(" ");
        (trace, Made { text, is_flagged })
    });
    traces.collect()
}

struct Graph<'g> {
    modules: &'g BTreeMap<String, String>,
    called: &'g BTreeMap<String, Vec<String>>,
    leaves: &'g BTreeMap<String, Vec<String>>,
}

impl Graph<'_> {
    fn text(&self, id: &str) -> String {
        let invocations = self.called.get(id).into_iter().flatten();
        let mut below: Vec<String> = invocations.map(|id| self.text(id)).collect();
        below.extend(self.leaves.get(id).into_iter().flatten().cloned());
        canonical(&self.modules[id], below)
    }
}

/// The trace id of a name.
fn trace_id(name: &str) -> String {
    format!("{:0>32}", name.trim_start_matches("T_"))
}

fn share(count: usize) -> f64 {
    count as f64 / TRACES as f64
}

fn reader_share(world: &World) -> f64 {
    let mut rows: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in &world.rows {
        rows.entry(&row.trace).or_default().push(row);
    }
    let is_right = |(trace, truth): &(&String, &String)| by_specification(&rows[trace.as_str()]) == **truth;
    share(world.truth.iter().filter(is_right).count())
}

/// The converted files of a release: a third of the rows in each of three.
fn convert(folder: &Folder, release: &Release, world: &World) -> Converted {
    let parts = world.rows.chunks(world.rows.len() / 3 + 1).enumerate();
    let inputs: Vec<String> = parts
        .map(|(number, rows)| folder.write(&format!("MSCallGraph_{number}.csv"), csv(release.year, rows)))
        .collect();
    folder.convert(&inputs, "out").unwrap()
}

fn assert_shares(index: usize) {
    let release = &RELEASES[index];
    let world = generate(release, TRACES, 20_210_000);
    let reader = reader_share(&world);
    let error = (reader - release.by_specification).abs();
    assert!(
        error <= READER_ERROR,
        "the generator is wrong: the reader has {reader}"
    );

    let folder = Folder::create();
    let converted = convert(&folder, release, &world);
    assert_eq!(converted.damages(), [""; 0]);
    let rows = converted.summary.tally.records.values().sum::<u64>();
    assert_eq!(rows, world.rows.len() as u64);
    let made = made(&converted);
    assert_eq!(made.len(), world.truth.len());
    let (mut right, mut flagged, mut silent) = (0, 0, String::new());
    for (name, truth) in &world.truth {
        let made = &made[&trace_id(name)];
        match (&made.text == truth, made.is_flagged) {
            (true, _) => right += 1,
            (false, true) => flagged += 1,
            (false, false) => writeln!(silent, "{name}\n  {truth}\n  {}", made.text).unwrap(),
        }
    }
    let wrong = TRACES as usize - right - flagged;
    println!(
        "{}: specification {:.2}%, converted right {:.2}%, flagged {:.2}%, silently wrong {:.2}%",
        release.year,
        100.0 * reader,
        100.0 * share(right),
        100.0 * share(flagged),
        100.0 * share(wrong)
    );
    assert!(
        share(right) >= RIGHT_MIN[index],
        "{} right\n{silent}",
        share(right)
    );
    assert!(share(wrong) <= SILENTLY_WRONG_MAX, "{silent}");
    let report = validate(&folder.at("out"), Options::default()).unwrap();
    assert!(report.broken.is_empty(), "{:?}", report.broken);
    assert_merged(&folder);
}

/// A merge leaves the run as it is, also the endpoints that are listed.
fn assert_merged(folder: &Folder) {
    let options = cctf_merge::Options::default();
    merge(&folder.at("merged"), &[folder.at("out")], &options, &mut |_| {}).unwrap();
    for file in [
        "invocations.jsonl",
        "calls.jsonl",
        "module_inventory.json",
        "placement_events.jsonl",
    ] {
        let of = |run: &str| read(&folder.at(run).join("cctf").join(file));
        assert!(of("merged") == of("out"), "{file} differs");
    }
}

#[test]
fn the_graphs_of_2021_are_rebuilt_or_flagged() {
    assert_shares(0);
}

#[test]
fn the_graphs_of_2022_are_rebuilt_or_flagged() {
    assert_shares(1);
}

#[test]
fn the_order_of_rows_and_files_does_not_matter() {
    for release in &RELEASES {
        let mut world = generate(release, 60, 7);
        let folder = Folder::create();
        let first = convert(&folder, release, &world).requests();
        world.rows.sort();
        let again = folder.write("sorted.csv", csv(release.year, &world.rows));
        let sorted = folder.convert(std::slice::from_ref(&again), "sorted").unwrap();
        assert_eq!(sorted.requests(), first, "{}", release.year);
        // A second file with the same rows adds nothing.
        let twice = folder.convert(&[again.clone(), again], "twice").unwrap();
        assert_eq!(twice.requests(), first, "{}", release.year);
        let repeated = &twice.summary.tally.assumed["row_repeated"];
        assert_eq!(repeated.count, world.rows.len() as u64);
    }
}

/// One trace: front calls stock, which asks a cache.
const ROWS: [&str; 5] = [
    "0,0b13,1000,0,(?),http,front,route,-90",
    "1,0b13,1010,0.1,front,rpc,stock,buy,50",
    "2,0b13,1012,0.1,front,rpc,stock,buy,-44",
    "3,0b13,1020,0.1.1,stock,mc,cache,,3",
    "4,0b13,1080,0.2,front,mq,mail,,7",
];
const HEADER: &str = ",traceid,timestamp,rpcid,um,rpctype,dm,interface,rt";

fn of_rows(rows: &[&str]) -> (Folder, Converted) {
    let folder = Folder::create();
    let text = format!("{HEADER}\n{}\n", rows.join("\n"));
    let converted = folder.convert(&[folder.write("graph.csv", text)], "out").unwrap();
    (folder, converted)
}

#[test]
fn the_rows_of_a_call_become_a_call_and_an_invocation() {
    let (_folder, converted) = of_rows(&ROWS);
    let invocations = converted.rows("invocations.jsonl");
    let calls = converted.rows("calls.jsonl");
    let find = |rows: &[Value], field: &str, module: &str| {
        let mut found = rows.iter().filter(|row| row[field] == module);
        found.next().unwrap().clone()
    };
    let stock = find(&invocations, "module_id", "stock");
    let call = find(&calls, "peer", "stock");
    assert_eq!(stock["caller_span_id"], call["span_id"]);
    assert_eq!(stock["net_ms"], 6.0);
    assert_eq!(
        (&stock["rt_ms"], &stock["method"]),
        (&Value::from(44.0), &Value::from("buy"))
    );
    assert_eq!(
        (&stock["name"], &stock["kind"]),
        (&"rpc 0.1".into(), &"server".into())
    );
    assert_eq!(stock["trace_id"], format!("{:0>32}", "0b13"));
    assert_eq!(stock["ts_enqueue"], 1_609_459_200_000.0 + 1_012.0);
    assert_eq!(stock["cpu_time_ms"], Value::Null);
    let front = find(&invocations, "module_id", "front");
    assert_eq!(
        (&front["parent_id"], &front["flags"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(call["ancestor_id"], front["span_id"]);
    assert_eq!(find(&calls, "peer", "cache")["ancestor_id"], stock["span_id"]);
    let mail = find(&invocations, "module_id", "mail");
    assert_eq!(
        (&mail["kind"], &mail["parent_id"]),
        (&"consumer".into(), &front["span_id"])
    );
    assert_eq!((invocations.len(), calls.len()), (3, 2));
    let meta = converted.meta();
    assert_eq!(meta["converted_from"], "alibaba2021");
    assert_eq!(meta["converted_resolution_ms"], 1.0);
    assert_eq!(meta["converted_assumptions"]["time_origin_assumed"], 5);
}

#[test]
fn a_lost_caller_is_rebuilt_and_marked() {
    // Neither row of the call to stock is there.
    let (_folder, converted) = of_rows(&[ROWS[0], ROWS[3], ROWS[4]]);
    let invocations = converted.rows("invocations.jsonl");
    let stock = invocations
        .iter()
        .find(|row| row["module_id"] == "stock")
        .unwrap();
    let front = invocations
        .iter()
        .find(|row| row["module_id"] == "front")
        .unwrap();
    assert_eq!(
        (&stock["kind"], &stock["parent_id"]),
        (&"internal".into(), &front["span_id"])
    );
    assert_eq!(
        (&stock["rt_ms"], &stock["net_ms"]),
        (&Value::from(3.0), &Value::Null)
    );
    assert_eq!(
        converted.meta()["converted_assumptions"]["invocation_inferred"],
        1
    );
}

#[test]
fn an_ambiguous_caller_is_an_orphan() {
    // Two overlapping calls to stock share an id, and either can have asked the cache.
    let twins = [
        "1,0b13,1010,0.1,front,rpc,stock,buy,50",
        "2,0b13,1012,0.1,front,rpc,stock,buy,-44",
        "5,0b13,1011,0.1,front,rpc,stock,buy,49",
        "6,0b13,1013,0.1,front,rpc,stock,buy,-43",
    ];
    let rows: Vec<&str> = [ROWS[0], ROWS[3]].into_iter().chain(twins).collect();
    let (_folder, converted) = of_rows(&rows);
    let calls = converted.rows("calls.jsonl");
    let cache = calls.iter().find(|row| row["peer"] == "cache").unwrap();
    assert_eq!(cache["flags"], serde_json::json!(["orphan"]));
    assert_eq!(converted.rows("invocations.jsonl").len(), 3);
    assert_eq!(converted.meta()["converted_assumptions"]["caller_unknown"], 1);
}
