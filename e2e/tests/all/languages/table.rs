//! The tables of `docs/languages.md`: the fields that each language fills. `CCTF_BLESS=1 cargo test -p e2e --test all languages`
//! rewrites them. Review the difference before you commit it.

use std::fs;

use e2e::rows::text;
use e2e::sources::{read, root};
use serde_json::Value;

const DOCUMENT: &str = "docs/languages.md";
const BEGIN: &str = "<!-- measured by e2e/tests/all/languages -->\n";
const END: &str = "<!-- end of what is measured -->";

/// A column: its heading, and the module and protocol of its rows.
type Column = (&'static str, &'static str, &'static str);

const SERVES: [Column; 7] = [
    ("Python, FastAPI", "front", "http"),
    ("Python, Celery", "mailer", "messaging"),
    ("Node, Express", "catalog", "http"),
    ("Java, Spring", "advice", "http"),
    ("Go, net/http", "stock", "http"),
    ("Go, gRPC", "shipping", "rpc"),
    ("ours", "tunable-svc", "http"),
];
const CALLS: [Column; 10] = [
    ("Python, httpx", "front", "http"),
    ("the same, current names", "mailer", "http"),
    ("Python, sqlite3", "front", "db"),
    ("the same, current names", "mailer", "db"),
    ("Python, Celery", "front", "messaging"),
    ("Node, fetch", "catalog", "http"),
    ("Node, gRPC", "catalog", "rpc"),
    ("Java, HttpClient", "advice", "http"),
    ("Go, net/http", "stock", "http"),
    ("ours, SQLite", "tunable-svc", "db"),
];
const INVOCATION_FIELDS: [&str; 17] = [
    "parent_id",
    "method",
    "path",
    "route",
    "bytes_in",
    "bytes_out",
    "status",
    "error_type",
    "pid",
    "app_id",
    "queue_time_ms",
    "service_time_ms",
    "cpu_time_ms",
    "cpu_wait_ms",
    "downstream_ms",
    "caller_span_id",
    "net_ms",
];
const CALL_FIELDS: [&str; 8] = [
    "method",
    "path",
    "bytes_in",
    "bytes_out",
    "status",
    "error_type",
    "peer",
    "peer_module",
];
/// Fields that are filled only if the span of the other side arrived in time, which differs between runs.
const AS_KNOWN_IN_TIME: [&str; 3] = ["caller_span_id", "net_ms", "peer_module"];

/// Compares the tables of the document with these rows, or writes them.
pub fn check(invocations: &[Value], calls: &[Value]) {
    let document = read(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (kept, after) = rest.split_once(END).unwrap();
    let measured = format!(
        "\n{}\n{}\n",
        table("invocations.jsonl", &SERVES, &INVOCATION_FIELDS, invocations),
        table("calls.jsonl", &CALLS, &CALL_FIELDS, calls),
    );
    if std::env::var_os("CCTF_BLESS").is_some() {
        let document = format!("{before}{BEGIN}{measured}{END}{after}");
        fs::write(root().join(DOCUMENT), document).unwrap();
        return;
    }
    assert_eq!(
        kept, measured,
        "{DOCUMENT} differs from the rows; review the difference, then update it with \
         CCTF_BLESS=1 cargo test -p e2e --test all languages"
    );
}

fn table(file: &str, columns: &[Column], fields: &[&str], rows: &[Value]) -> String {
    let mut out = format!("| `{file}` |");
    for (heading, _, _) in columns {
        out += &format!(" {heading} |");
    }
    out += "\n|---|";
    out += &"---|".repeat(columns.len());
    for field in fields {
        out += &format!("\n| `{field}` |");
        for (_, module, protocol) in columns {
            let of_column = |row: &&Value| {
                text(row, "module_id") == Some(module) && text(row, "protocol") == Some(protocol)
            };
            out += &format!(" {} |", cell(field, rows.iter().filter(of_column)));
        }
    }
    out + "\n"
}

fn cell<'a>(field: &str, rows: impl Iterator<Item = &'a Value>) -> &'static str {
    let (mut filled, mut all) = (0, 0);
    for row in rows {
        all += 1;
        filled += usize::from(row.get(field).is_some_and(|value| !value.is_null()));
    }
    assert!(all > 0, "no rows for a column of {field}");
    match filled {
        0 => "",
        _ if AS_KNOWN_IN_TIME.contains(&field) => "if in time",
        _ if filled == all => "yes",
        _ => "some",
    }
}
