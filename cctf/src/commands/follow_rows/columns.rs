//! Formats a row as one line of columns, with the most important fields of each file.

use cctf_proto::cctf::{
    Call, Field, File, HostMetric, Invocation, LinkMetric, PlacementEvent, Row, SystemStat, field_index,
};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::commands::cells::{UNKNOWN, cut, printable};

/// Maximum width of a line's last cell, and of a line that is not JSON.
const WIDTH_MAX: usize = 200;
/// Number of digits that are shown of an id. They are enough to distinguish the ids on a screen.
const ID_DIGITS: usize = 8;

const MS_PER_DAY: f64 = 86_400_000.0;

/// How a column shows its fields.
#[derive(Debug, Clone, Copy)]
enum Show {
    /// Unchanged.
    Text,
    /// All known fields, separated by spaces.
    Together,
    /// A timestamp as the time of day, UTC.
    Time,
    Id,
    /// A number with this many decimals.
    Number(usize),
    /// The time between the timestamps of two fields, ms.
    Between,
}

/// A column: title, fields in order of preference, width, and the way in which they are shown.
struct Column(&'static str, &'static [&'static str], usize, Show);

use Show::{Between, Id, Number, Text, Time, Together};

const INVOCATIONS: &[Column] = checked(
    Invocation::FIELDS,
    &[
        Column("time", &["ts_enqueue"], 12, Time),
        Column("node", &["node"], 8, Text),
        Column("module", &["module_id"], 12, Text),
        Column("request", &["method", "path", "name"], 24, Together),
        Column("status", &["status", "status_text", "error_type"], 6, Text),
        Column("queue_ms", &["queue_time_ms"], 9, Number(3)),
        Column("service_ms", &["service_time_ms"], 10, Number(3)),
        Column("cpu_ms", &["cpu_time_ms"], 9, Number(3)),
        Column("bytes_in", &["bytes_in"], 8, Number(0)),
        Column("bytes_out", &["bytes_out"], 9, Number(0)),
        Column("span", &["span_id"], ID_DIGITS, Id),
        Column("parent", &["parent_id"], ID_DIGITS, Id),
        Column("flags", &["flags"], 5, Text),
    ],
);

const CALLS: &[Column] = checked(
    Call::FIELDS,
    &[
        Column("time", &["ts_start"], 12, Time),
        Column("node", &["node"], 8, Text),
        Column("module", &["module_id"], 12, Text),
        Column("request", &["method", "path", "name"], 24, Together),
        Column("to", &["peer_module", "peer"], 15, Text),
        Column("status", &["status"], 6, Text),
        Column("took_ms", &["ts_start", "ts_end"], 9, Between),
        Column("bytes_out", &["bytes_out"], 9, Number(0)),
        Column("bytes_in", &["bytes_in"], 8, Number(0)),
        Column("span", &["span_id"], ID_DIGITS, Id),
        Column("caller", &["ancestor_id"], ID_DIGITS, Id),
        Column("resent", &["resend_count"], 6, Number(0)),
        Column("error and flags", &["error_type", "flags"], 5, Together),
    ],
);

const HOST_METRICS: &[Column] = checked(
    HostMetric::FIELDS,
    &[
        Column("time", &["ts_ms"], 12, Time),
        Column("node", &["node"], 12, Text),
        Column("stage", &["stage"], 8, Text),
        Column("cpu_%", &["cpu_util"], 6, Number(1)),
        Column("free_MiB", &["mem_free_mb"], 9, Number(0)),
        Column("used_MiB", &["mem_used_mb"], 9, Number(0)),
        Column("load1", &["load1"], 6, Number(2)),
        Column("read_Bps", &["disk_read_Bps"], 12, Number(0)),
        Column("write_Bps", &["disk_write_Bps"], 12, Number(0)),
        Column("power_W", &["power_w"], 7, Number(1)),
    ],
);

const LINK_METRICS: &[Column] = checked(
    LinkMetric::FIELDS,
    &[
        Column("time", &["ts_ms"], 12, Time),
        Column("link", &["link"], 20, Text),
        Column("rx_Bps", &["rx_Bps"], 12, Number(0)),
        Column("tx_Bps", &["tx_Bps"], 12, Number(0)),
        Column("errors", &["errors"], 6, Number(0)),
        Column("dropped", &["dropped"], 7, Number(0)),
        Column("calls", &["calls"], 6, Number(0)),
        Column("net_min_ms", &["net_ms_min"], 10, Number(3)),
        Column("net_p50_ms", &["net_ms_p50"], 10, Number(3)),
        Column("net_p99_ms", &["net_ms_p99"], 10, Number(3)),
    ],
);

const PLACEMENT_EVENTS: &[Column] = checked(
    PlacementEvent::FIELDS,
    &[
        Column("time", &["ts"], 12, Time),
        Column("event", &["event"], 8, Text),
        Column("node", &["node_id"], 8, Text),
        Column("stage", &["stage"], 8, Text),
        Column("module", &["module_id"], 12, Text),
        Column("instance", &["instance_id"], 24, Text),
        Column("workers", &["workers"], 7, Number(0)),
        Column("replicas", &["replicas"], 8, Number(0)),
        Column("from", &["from_node_id"], 8, Text),
        Column("inferred", &["inferred"], 8, Text),
        Column("reason", &["reason"], 6, Text),
    ],
);

const SYSTEM_STATS: &[Column] = checked(
    SystemStat::FIELDS,
    &[
        Column("time", &["ts_ms"], 12, Time),
        Column("node", &["node_id"], 8, Text),
        Column("module", &["module_id"], 12, Text),
        Column("instance", &["instance_id"], 16, Text),
        Column("metric", &["metric"], 32, Text),
        Column("value", &["value"], 16, Number(3)),
        Column("unit", &["unit"], 12, Text),
        Column("attributes", &["attributes"], 10, Text),
    ],
);

/// Checks at compile time that each column shows fields of the row. An unknown field name is a compile error.
const fn checked(fields: &[Field], columns: &'static [Column]) -> &'static [Column] {
    let mut column = 0;
    while column < columns.len() {
        let names = columns[column].1;
        let mut name = 0;
        while name < names.len() {
            field_index(fields, names[name]);
            name += 1;
        }
        column += 1;
    }
    columns
}

fn columns(file: File) -> &'static [Column] {
    match file {
        File::Invocations => INVOCATIONS,
        File::Calls => CALLS,
        File::HostMetrics => HOST_METRICS,
        File::LinkMetrics => LINK_METRICS,
        File::PlacementEvents => PLACEMENT_EVENTS,
        File::SystemStats => SYSTEM_STATS,
        // These files do not consist of lines.
        File::Nodes | File::Links | File::ModuleInventory | File::RunMeta => &[],
    }
}

/// Appends the titles of a file's columns.
pub fn push_titles(file: File, out: &mut String) {
    let titles = columns(file).iter();
    push_cells(titles.map(|column| (column, column.0.to_owned())), out);
}

/// Appends a line of a file as cells, in the columns of the titles. A line that is not JSON is appended unchanged.
pub fn push_row(file: File, line: &[u8], out: &mut String) {
    match serde_json::from_slice::<Value>(line) {
        Ok(row) => push_cells(
            columns(file).iter().map(|column| (column, cell(column, &row))),
            out,
        ),
        Err(_) => {
            out.push_str(&cut(&printable(&String::from_utf8_lossy(line)), WIDTH_MAX));
            out.push('\n');
        }
    }
}

fn push_cells(cells: impl ExactSizeIterator<Item = (&'static Column, String)>, out: &mut String) {
    let last = cells.len().saturating_sub(1);
    for (index, (Column(_, _, width, show), text)) in cells.enumerate() {
        let is_number = matches!(show, Number(_) | Between);
        // Numbers are not cut, because a cut number would be a different number.
        let width_max = match (is_number, index == last) {
            (true, _) | (_, true) => WIDTH_MAX,
            (false, false) => *width,
        };
        let text = cut(&text, width_max);
        let gap = width.saturating_sub(text.width());
        let (before, after) = if is_number { (gap, 0) } else { (0, gap) };
        out.extend(std::iter::repeat_n(' ', before));
        out.push_str(&text);
        if index < last {
            out.extend(std::iter::repeat_n(' ', after + 1));
        }
    }
    out.push('\n');
}

fn cell(Column(_, fields, _, show): &Column, row: &Value) -> String {
    let known = || {
        fields
            .iter()
            .filter_map(|field| row.get(field).filter(|value| !value.is_null()))
    };
    let number = |value: &Value, decimals: usize| value.as_f64().map(|number| format!("{number:.decimals$}"));
    let first = known().next();
    let text = match show {
        Text => first.map(text),
        Together => Some(known().map(text).collect::<Vec<_>>().join(" ")),
        Time => first.and_then(Value::as_f64).map(time_of_day),
        Id => first.map(|value| text(value).chars().take(ID_DIGITS).collect()),
        Number(decimals) => first.and_then(|value| number(value, *decimals)),
        Between => {
            let mut timestamps = known().map(Value::as_f64);
            match (timestamps.next().flatten(), timestamps.next().flatten()) {
                (Some(start), Some(end)) => Some(format!("{:.3}", end - start)),
                _ => None,
            }
        }
    };
    text.filter(|text| !text.is_empty())
        .unwrap_or_else(|| UNKNOWN.to_owned())
}

/// A value as text without control characters.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Array(entries) => entries.iter().map(text).collect::<Vec<_>>().join(","),
        other => printable(&other.to_string()),
    }
}

/// A timestamp as `10:45:00.123`, UTC.
fn time_of_day(unix_ms: f64) -> String {
    // The value is at least 0 and less than a day, so it fits.
    let of_day = unix_ms.rem_euclid(MS_PER_DAY) as u64;
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    format!(
        "{:02}:{:02}:{:02}.{ms:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: File, rows: &[&str]) -> Vec<String> {
        let mut out = String::new();
        push_titles(file, &mut out);
        rows.iter()
            .for_each(|row| push_row(file, row.as_bytes(), &mut out));
        out.lines().map(str::to_owned).collect()
    }

    #[test]
    fn an_invocation_is_one_line_below_its_titles() {
        let row = r#"{"trace_id":"00112233445566778899aabbccddeeff","span_id":"0123456789abcdef","parent_id":"fedcba9876543210",
            "module_id":"tunable-svc","ts_enqueue":1795430700123.456789,"node":"edge0","method":"POST","path":"/blob/gzip",
            "bytes_in":8192,"bytes_out":512,"cpu_time_ms":0.401234,"queue_time_ms":0.012345,"service_time_ms":12.500000,
            "status":200,"flags":["orphan","late"]}"#;
        let unknown = r#"{"span_id":"0123456789abcdef","parent_id":null,"module_id":"a module of a long name","ts_enqueue":0.0,"node":"n",
            "method":null,"path":null,"bytes_in":null,"cpu_time_ms":null,"status":null}"#;
        assert_eq!(
            lines(File::Invocations, &[row, unknown]),
            [
                "time         node     module       request                  status  queue_ms service_ms    cpu_ms bytes_in bytes_out span     parent   flags",
                "10:45:00.123 edge0    tunable-svc  POST /blob/gzip          200        0.012     12.500     0.401     8192       512 01234567 fedcba98 orphan,late",
                "00:00:00.000 n        a module of… -                        -              -          -         -        -         - 01234567 -        -",
            ]
        );
    }

    #[test]
    fn a_row_without_method_and_path_shows_its_name() {
        let row = r#"{"ts_enqueue":1.0,"method":null,"path":null,"name":"nightly report"}"#;
        for (file, row) in [
            (File::Invocations, row.to_owned()),
            (File::Calls, row.replace("ts_enqueue", "ts_start")),
        ] {
            let line = &lines(file, &[&row])[1];
            assert!(line.contains(" nightly report "), "{line}");
        }
    }

    #[test]
    fn a_call_shows_what_it_took_and_to_whom_it_went() {
        let row = r#"{"span_id":"0123456789abcdef","ancestor_id":null,"module_id":"shop","node":"n1","ts_start":1000.000000,
            "ts_end":1012.500000,"method":"GET","path":"/stock","status":503,"bytes_out":0,"bytes_in":12,"peer":"10.0.0.2:80","error_type":"timeout"}"#;
        assert_eq!(
            lines(File::Calls, &[row])[1],
            "00:00:01.000 n1       shop         GET /stock               10.0.0.2:80     503       12.500         0       12 01234567 -             - timeout"
        );
    }

    #[test]
    fn every_file_of_lines_has_columns() {
        for &file in File::ALL {
            assert!(columns(file).iter().all(|Column(_, _, width, _)| *width > 0));
            let has_lines = file.shape() == cctf_proto::cctf::Shape::Lines;
            assert_eq!(has_lines, !columns(file).is_empty(), "{file:?}");
        }
    }

    #[test]
    fn what_came_over_the_wire_cannot_command_the_terminal() {
        let row = r#"{"ts_enqueue":1.0,"method":"GET","path":"/\u001b[2J\n\u202e","node":"日本語日本語"}"#;
        let line = &lines(File::Invocations, &[row])[1];
        assert!(line.contains(r"GET /\u{1b}[2J\n\u{202e}"), "{line}");
        assert!(
            line.contains(" 日本語…  -"),
            "a wide character takes two columns: {line}"
        );
        let no_row = &lines(File::Calls, &[&format!("\u{1b}{}", "x".repeat(1000))])[1];
        assert!(
            no_row.starts_with(r"\u{1b}xxx") && no_row.ends_with('…'),
            "{no_row}"
        );
        assert_eq!(no_row.width(), WIDTH_MAX);
    }
}
