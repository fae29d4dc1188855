//! [`script`]: SQL for DuckDB that computes the same figures from the files of a run.

use std::fmt::Write as _;
use std::path::Path;

use cctf_proto::cctf::{ERROR_STATUS, File};

use super::figures::Time;
use super::group::By;
use super::table::figures;
use super::window::Window;

/// Macros for the values of a line. They extract numbers from the text of the line, because a JSON reader would convert them to
/// doubles, which have too few digits for a timestamp. Timestamps and durations have exactly six decimals, so the digits
/// without the point are nanoseconds.
const MACROS: &str = r#"CREATE OR REPLACE TEMP MACRO ns(line, field) AS
  CAST(replace(nullif(regexp_extract(line, '"' || field || '":(-?[0-9]+\.[0-9]{6})', 1), ''), '.', '') AS BIGINT);
"#;

const SELECTED: &str = "CREATE OR REPLACE TEMP TABLE selected AS
SELECT i.*,
  coalesce(service_ns, 0)
    - CASE WHEN service_ns IS NOT NULL AND p.is_released THEN waits_ns ELSE 0 END AS busy_ns
FROM invocations i CROSS JOIN bounds LEFT JOIN policies p
  ON p.module_id = i.module_id AND p.app_id IS NOT DISTINCT FROM i.app_id
WHERE ts_start >= begin_ns AND ts_start < stop_ns;
";

/// Instances with the total lifetime of their slots.
const INSTANCES: &str = "CREATE OR REPLACE TEMP TABLE instances AS
SELECT m.app_id, m.module_id, m.i.node_id AS node, m.i.workers AS workers,
  coalesce(m.i.slot_policy = 'released', false) AS is_released,
  m.i.workers::HUGEINT * greatest(0,
    least(end_ns, CASE WHEN stopped > coalesce(restarted, -1) THEN stopped ELSE end_ns END)
    - greatest(begin_ns, coalesce(started, begin_ns))) AS slot_ns
FROM (SELECT app_id, module_id, unnest(instances) AS i FROM inventory) m CROSS JOIN bounds
LEFT JOIN lives l ON l.instance_id = m.i.instance_id;
CREATE OR REPLACE TEMP TABLE policies AS
SELECT app_id, module_id, bool_or(is_released) AS is_released FROM instances GROUP BY ALL;
";

/// Samples. Each one stands for the mean time between two samples of its instance.
const SAMPLES: &str = "CREATE OR REPLACE TEMP TABLE samples AS
SELECT module_id, node, sum(value) * (max(ts) - min(ts)) / (count(*) - 1) / any_value(time_ns) AS in_flight
FROM system_stats CROSS JOIN bounds WHERE ts >= begin_ns AND ts < end_ns
GROUP BY module_id, node, instance_id HAVING count(*) > 1;
";

/// SQL for the requested groupings. `folders` are the folders `cctf` of the run's parts. Each grouping gives one SELECT.
pub fn script(folders: &[&Path], by: &[By], window: Window) -> String {
    let mut sql = String::from(MACROS);
    sql += &views(folders);
    let from = window.from.as_nanos();
    let stop = match window.to {
        Some(to) => format!("first_ns + {}", to.as_nanos()),
        None => i64::MAX.to_string(),
    };
    let _ = writeln!(
        sql,
        "CREATE OR REPLACE TEMP TABLE bounds AS\n\
         SELECT *, greatest(0, end_ns - begin_ns) AS time_ns FROM (\n  \
         SELECT first_ns + {from} AS begin_ns, {stop} AS stop_ns, least({stop}, last_ns) AS end_ns\n  \
         FROM (SELECT min(ts_start) AS first_ns, max(ts_end) AS last_ns FROM invocations));"
    );
    for part in [INSTANCES, SELECTED, SAMPLES] {
        sql += part;
    }
    for &by in by {
        sql += &select(by);
    }
    sql
}

/// Views of the files.
fn views(folders: &[&Path]) -> String {
    let mut sql = String::new();
    let mut view = |name: &str, file: File, columns: &str, from: &str| {
        let paths: Vec<String> = folders
            .iter()
            .map(|folder| folder.join(file.name()))
            .filter(|path| path.is_file())
            .map(|path| format!("'{}'", path.display().to_string().replace('\'', "''")))
            .collect();
        // If the file is missing, its table is empty.
        let source = match paths.len() {
            0 => String::from("(SELECT NULL::JSON AS json WHERE false)"),
            _ => format!("read_ndjson_objects([{}])", paths.join(", ")),
        };
        let from = from.replace("FILE", &source);
        let _ = writeln!(
            sql,
            "CREATE OR REPLACE TEMP TABLE {name} AS\nSELECT {columns}\nFROM {from};"
        );
    };
    view("invocations", File::Invocations, &invocation_columns(), "FILE");
    let calls = "json->>'$.trace_id' AS trace_id, json->>'$.span_id' AS span_id, json->>'$.node' AS node";
    view("calls", File::Calls, calls, "FILE");
    view(
        "system_stats",
        File::SystemStats,
        "json->>'$.module_id' AS module_id, json->>'$.node_id' AS node, json->>'$.instance_id' AS instance_id,\n  \
         ns(json::VARCHAR, 'ts_ms') AS ts, (json->>'$.value')::DOUBLE AS value",
        "(SELECT * FROM FILE WHERE json->>'$.metric' = 'in_flight')",
    );
    view(
        "lives",
        File::PlacementEvents,
        "instance_id, min(ts) FILTER (WHERE event = 'start') AS started,\n  \
         max(ts) FILTER (WHERE event = 'start') AS restarted, max(ts) FILTER (WHERE event = 'stop') AS stopped",
        "(SELECT json->>'$.instance_id' AS instance_id, json->>'$.event' AS event,\n    \
         ns(json::VARCHAR, 'ts') AS ts FROM FILE) GROUP BY instance_id",
    );
    sql + &inventory(folders)
}

/// Reads the inventory of the last part, which includes all earlier parts.
fn inventory(folders: &[&Path]) -> String {
    let paths = folders
        .iter()
        .map(|folder| folder.join(File::ModuleInventory.name()));
    let last = paths.rev().find(|path| path.is_file());
    let columns = "app_id: 'VARCHAR', module_id: 'VARCHAR', instances: \
                   'STRUCT(instance_id VARCHAR, node_id VARCHAR, workers BIGINT, slot_policy VARCHAR)[]'";
    let source = match last {
        Some(path) => format!(
            "read_json('{}', format = 'array', columns = {{{columns}}})",
            path.display().to_string().replace('\'', "''")
        ),
        None => String::from(
            "(SELECT NULL::VARCHAR AS app_id, NULL::VARCHAR AS module_id,\n  \
             NULL::STRUCT(instance_id VARCHAR, node_id VARCHAR, workers BIGINT, slot_policy VARCHAR)[] AS instances WHERE false)",
        ),
    };
    format!("CREATE OR REPLACE TEMP TABLE inventory AS SELECT * FROM {source};\n")
}

fn invocation_columns() -> String {
    let mut columns = String::new();
    for text in [
        "trace_id",
        "caller_span_id",
        "app_id",
        "module_id",
        "node",
        "method",
    ] {
        let _ = write!(columns, "json->>'$.{text}' AS {text}, ");
    }
    columns += "\n  coalesce(json->>'$.route', json->>'$.path') AS route";
    for stamp in ["ts_enqueue", "ts_start", "ts_end"] {
        let _ = write!(columns, ",\n  ns(json::VARCHAR, '{stamp}') AS {stamp}");
    }
    for time in Time::ALL {
        let _ = write!(
            columns,
            ",\n  ns(json::VARCHAR, '{}') AS {}_ns",
            time.field(),
            time.name()
        );
    }
    columns += ",\n  coalesce(ns(json::VARCHAR, 'downstream_ms'), 0) + coalesce(ns(json::VARCHAR, 'slot_wait_ms'), 0) AS waits_ns";
    for bytes in ["bytes_in", "bytes_out"] {
        let _ = write!(columns, ",\n  (json->>'$.{bytes}')::BIGINT AS {bytes}");
    }
    let _ = write!(
        columns,
        ",\n  coalesce((json->>'$.status')::BIGINT >= {ERROR_STATUS}, false) OR json->>'$.error_type' IS NOT NULL AS is_error"
    );
    columns
}

/// The figures of one grouping.
fn select(by: By) -> String {
    let keys = by.keys().join(", ");
    let rows = match by {
        By::Link => {
            "(SELECT s.*, c.node AS from_node FROM selected s JOIN calls c\n      \
             ON c.trace_id = s.trace_id AND c.span_id = s.caller_span_id)"
        }
        _ => "selected",
    };
    // The columns get unique names, so that the keys of the group stay unambiguous.
    let slots = |keys: &str| {
        format!(
            "(SELECT {keys}, CASE WHEN count(*) = count(workers) THEN sum(slot_ns) END AS slot_ns\n  \
             FROM instances GROUP BY ALL)"
        )
    };
    let samples =
        |key: &str| format!("(SELECT {key}, sum(in_flight) AS in_flight FROM samples GROUP BY ALL)");
    let of_module = "app_id AS slot_app, module_id AS slot_module";
    let is_module = "slot_module = module_id AND slot_app IS NOT DISTINCT FROM app_id";
    let joins = match by {
        By::Module => format!(
            "LEFT JOIN {} ON {is_module}\nLEFT JOIN {} ON sampled = module_id\n",
            slots(of_module),
            samples("module_id AS sampled")
        ),
        By::Endpoint => format!("LEFT JOIN {} ON {is_module}\n", slots(of_module)),
        By::Node => format!(
            "LEFT JOIN {} ON slot_node = node\nLEFT JOIN {} ON sampled = node\n",
            slots("node AS slot_node"),
            samples("node AS sampled")
        ),
        By::Link => String::new(),
    };
    let all = figures();
    let of_grouping = all.iter().filter(|figure| figure.on.contains(&by));
    let columns: Vec<String> = of_grouping
        .map(|figure| format!("  {} AS {}", figure.sql, figure.name))
        .collect();
    format!(
        "-- {}\nSELECT {keys},\n{}\nFROM (SELECT *, ts_enqueue - lag(ts_enqueue) OVER (PARTITION BY {keys} ORDER BY ts_enqueue) AS gap\n  \
         FROM {rows})\nCROSS JOIN bounds\n{joins}GROUP BY {keys} ORDER BY calls DESC, {keys};\n",
        by.name(),
        columns.join(",\n"),
    )
}
