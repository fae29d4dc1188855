//! The other tables of Alibaba, the invocations of Azure, and tables that are damaged or unknown.

use std::io::Write as _;

use convert::tally::Format;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::{Folder, GO_ON};

const NODE: &str = "ff1fb31957db767c5be4de2855488f128532efc2df0a673c6fa3e7718d10f355";
const GRAPH_2022: &str = "\
timestamp,traceid,service,rpc_id,rpctype,um,uminstanceid,interface,dm,dminstanceid,rt
115352,T_115,S_1,0.1,rpc,MS_58,MS_58_POD_0,xOu,MS_71,MS_71_POD_2,2.0
115352,T_115,S_1,0.1,rpc,MS_58,MS_58_POD_0,xOu,MS_71,MS_71_POD_2,-1.0
";
const NODES_2022: &str = "timestamp,nodeid,cpu_utilization,memory_utilization\n60000,NODE_1,0.25,0.5\n";
const INSTANCES_2022: &str = "\
timestamp,msname,msinstanceid,nodeid,cpu_utilization,memory_utilization
60000,MS_71,MS_71_POD_2,NODE_1,0.2,0.8
";
const RATES_2022: &str = "\
timestamp,msname,msinstanceid,nodeid,providerrpc_rt,providerrpc_mcr,http_mcr
60000,MS_71,MS_71_POD_2,NODE_1,10.5,1.5e-05,
";

/// Metric, value and unit of each row of `system_stats.jsonl`, sorted.
fn stats(rows: &[Value]) -> Vec<String> {
    let mut stats: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{} {} {}",
                row["metric"].as_str().unwrap(),
                row["value"],
                row["unit"]
            )
        })
        .collect();
    stats.sort();
    stats
}

#[test]
fn the_tables_of_2022_have_no_cpu_share() {
    let folder = Folder::create();
    let inputs = [
        folder.write("graph.csv", GRAPH_2022),
        folder.write("nodes.csv", NODES_2022),
        folder.write("instances.csv", INSTANCES_2022),
        folder.write("rates.csv", RATES_2022),
    ];
    let converted = folder.convert(&inputs, "out").unwrap();
    assert_eq!(converted.damages(), [""; 0]);
    assert_eq!(converted.file("host_metrics.jsonl"), "");
    assert_eq!(
        stats(&converted.rows("system_stats.jsonl")),
        [
            "alibaba.cpu_utilization.normalized 0.2 \"1\"",
            "alibaba.memory_utilization.normalized 0.8 \"1\"",
            "alibaba.node.cpu_utilization.normalized 0.25 \"1\"",
            "alibaba.node.memory_utilization.normalized 0.5 \"1\"",
            "alibaba.providerrpc_mcr.normalized 0.000015 \"1\"",
            "alibaba.providerrpc_rt 10.5 \"ms\"",
        ]
    );
    // The table of instances states the node, although it comes after the call graph.
    let invocations = converted.rows("invocations.jsonl");
    let called = invocations
        .iter()
        .find(|row| row["module_id"] == "MS_71")
        .unwrap();
    assert_eq!(
        (&called["instance_id"], &called["node"]),
        (&"MS_71_POD_2".into(), &"NODE_1".into())
    );
    assert_eq!(called["name"], "rpc 0.1 S_1");
    assert_eq!(converted.meta()["converted_from"], "alibaba2022");
}

#[test]
fn the_tables_of_2021_have_cpu_shares() {
    let folder = Folder::create();
    let nodes = format!(
        "timestamp,nodeid,cpu_utilization,memory_utilization\n30000,{NODE},0.25,0.5\n60000,{NODE},0.5,0.5\n"
    );
    let rates = "timestamp,msname,msinstanceid,metrics,value\n60000,stock,pod,consumerRPC_MCR,9.5\n60000,stock,pod,other,1\n";
    let inputs = [
        folder.write("Node_0.csv", nodes),
        folder.write("MSRTQps_0.csv", rates),
    ];
    let converted = folder.convert(&inputs, "out").unwrap();
    let hosts = converted.rows("host_metrics.jsonl");
    let shares: Vec<_> = hosts
        .iter()
        .map(|row| (row["node"].as_str().unwrap(), &row["cpu_util"]))
        .collect();
    assert_eq!(shares, [(NODE, &Value::from(25.0)), (NODE, &Value::from(50.0))]);
    let damages = converted.damages();
    assert!(
        damages.len() == 1 && damages[0].contains("MSRTQps_0.csv, line 3 ") && damages[0].contains("unknown"),
        "{damages:?}"
    );
    let rates = stats(&converted.rows("system_stats.jsonl"));
    assert!(
        rates.contains(&"alibaba.consumerrpc_mcr 9.5 \"{call}/s\"".to_owned()),
        "{rates:?}"
    );
    // The user's word decides about the year.
    let forced = folder
        .convert_with(&inputs[..1], "forced", Some(Format::Alibaba2022), &GO_ON)
        .unwrap();
    assert_eq!(forced.file("host_metrics.jsonl"), "");
}

#[test]
fn each_row_of_azure_is_an_invocation() {
    let folder = Folder::create();
    let text = "app,func,end_timestamp,duration\na,f,5160.142570018768,0.134\na,f,5160.142570018768,0.134\na,g,5241.5,42.356\na,g,1,-2\n";
    let path = folder.write("azure.csv", text);
    let converted = folder.convert(&[path.clone(), path], "out").unwrap();
    let invocations = converted.rows("invocations.jsonl");
    assert_eq!(
        invocations.len(),
        3,
        "equal rows are two invocations, and equal files are one"
    );
    let first = &invocations[0];
    assert_eq!(
        (&first["app_id"], &first["module_id"]),
        (&"a".into(), &"f".into())
    );
    assert_eq!(
        (&first["protocol"], &first["path"]),
        (&"faas".into(), &"f".into())
    );
    assert_eq!(
        (&first["rt_ms"], &first["parent_id"]),
        (&Value::from(134.0), &Value::Null)
    );
    assert_eq!(first["ts_end"], 1_612_051_200_000.0 + 5_160_142.570_018);
    let damages = converted.damages();
    assert!(
        damages.len() == 2 && damages[0].contains("line 5 ") && damages[0].contains("duration"),
        "{damages:?}"
    );
    assert_eq!(converted.meta()["converted_from"], "azure2021");
    assert_eq!(converted.meta()["converted_resolution_ms"], 1.0);
}

#[test]
fn damaged_rows_are_named_and_the_others_are_taken() {
    let folder = Folder::create();
    let long = "x".repeat(10 << 20);
    let text = format!(
        "\u{feff},traceid,timestamp,rpcid,um,rpctype,dm,interface,rt\r\n\
         0,0b13,1000,0.1,front,rpc,stock,,9\r\n\
         1,0b13,1000,0.1,front,rpc,stock\r\n\
         2,0b13,soon,0.1,front,rpc,stock,,9\r\n\
         3,0b13,-5,0.1,front,rpc,stock,,9\r\n\
         4,0b13,1000,0.x,front,rpc,stock,,9\r\n\
         5,0b13,1000,0.1,front,rpc,stock,,None\r\n\
         6,,1000,0.1,front,rpc,stock,,9\r\n\
         7,0b13,1000,0.1,\"front,rpc,stock,,9\r\n\
         8,0b13,1000,0.1,{long},rpc,stock,,9\r\n\
         ,traceid,timestamp,rpcid,um,rpctype,dm,interface,rt\r\n\
         \r\n\
         9,0b13,1000,0.2,front,\"rpc\",\"s,t\",,8"
    );
    let converted = folder.convert(&[folder.write("graph.csv", text)], "out").unwrap();
    let calls = converted.rows("calls.jsonl");
    let mut peers: Vec<_> = calls.iter().map(|row| row["peer"].as_str().unwrap()).collect();
    peers.sort_unstable();
    assert_eq!(peers, ["s,t", "stock"]);
    let damages = converted.damages();
    let expected = [
        (3, "fields"),
        (4, "timestamp"),
        (5, "timestamp"),
        (6, "rpc id"),
        (7, "response time"),
        (8, "trace id"),
        (9, "quote"),
        (10, "more than 1 MiB"),
    ];
    assert_eq!(damages.len(), expected.len(), "{damages:?}");
    for (damage, (line, reason)) in damages.iter().zip(expected) {
        assert!(
            damage.contains(&format!("graph.csv, line {line} (byte ")) && damage.contains(reason),
            "{damage}"
        );
    }
}

#[test]
fn a_table_that_is_cut_off_keeps_its_whole_rows() {
    let folder = Folder::create();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    writeln!(encoder, "app,func,end_timestamp,duration").unwrap();
    for number in 0..20_000 {
        writeln!(encoder, "app{number},func,{number}.5,0.{number:05}").unwrap();
    }
    let whole = encoder.finish().unwrap();
    let path = folder.write("azure.csv.gz", &whole[..whole.len() / 2]);
    let converted = folder.convert(&[path], "out").unwrap();
    let rows = converted.rows("invocations.jsonl").len();
    assert!(rows > 1_000 && rows < 20_000, "{rows}");
    let damages = converted.damages();
    assert!(
        damages.len() == 1 && damages[0].contains("cut off after byte"),
        "{damages:?}"
    );
}

#[test]
fn tables_of_other_formats_and_data_sets_are_named() {
    let folder = Folder::create();
    let azure = folder.write("azure.csv", "app,func,end_timestamp,duration\na,f,5,1\n");
    let graph = folder.write("graph.csv", GRAPH_2022);
    let only = folder
        .convert_with(&[azure.clone(), graph], "only", Some(Format::Azure2021), &GO_ON)
        .unwrap();
    assert_eq!(only.rows("invocations.jsonl").len(), 1);
    let damages = only.damages();
    assert!(
        damages.len() == 1 && damages[0].contains("alibaba2022, which --format excludes"),
        "{damages:?}"
    );
    for (name, text, reason) in [
        (
            "2019.csv",
            "HashOwner,HashApp,HashFunction,Trigger,1,2\n",
            "Azure Functions 2019",
        ),
        ("borg.csv", "time,type,collection_id,priority\n", "Borg"),
    ] {
        let error = folder.convert(&[folder.write(name, text)], "none").err().unwrap();
        assert!(error.to_string().contains(reason), "{error}");
        let beside = folder
            .convert(&[folder.write(name, text), azure.clone()], &format!("{name}.out"))
            .unwrap();
        assert_eq!(beside.rows("invocations.jsonl").len(), 1);
    }
}
