//! [`Table`]: a table of a public data set. It is recognised by the names of its columns. A call graph without names of columns
//! is recognised by its first row.

use crate::decimal::nanoseconds;
use crate::fields::Fields;
use crate::rates::RATES;
use crate::tally::Format;

/// Release of Alibaba's data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Year {
    Y2021,
    Y2022,
}

/// Content of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    CallGraph(Year),
    /// CPU and memory of nodes. The columns do not show the year.
    Nodes,
    /// CPU and memory of instances. The columns do not show the year.
    Instances,
    /// Each row has one rate or time of an instance.
    Rates,
    /// Each row has all rates and times of an instance.
    AllRates,
    /// Invocations of functions.
    Functions,
}

impl Kind {
    /// The format, if the columns show it.
    pub fn format(self) -> Option<Format> {
        match self {
            Self::CallGraph(Year::Y2021) | Self::Rates => Some(Format::Alibaba2021),
            Self::CallGraph(Year::Y2022) | Self::AllRates => Some(Format::Alibaba2022),
            Self::Nodes | Self::Instances => None,
            Self::Functions => Some(Format::Azure2021),
        }
    }
}

/// Columns of a call graph, in the order of [`Table::columns`].
pub mod call {
    pub const TIMESTAMP: usize = 0;
    pub const TRACE: usize = 1;
    pub const RPC_ID: usize = 2;
    pub const UM: usize = 3;
    pub const RPC_TYPE: usize = 4;
    pub const DM: usize = 5;
    pub const INTERFACE: usize = 6;
    pub const RT: usize = 7;
    pub const UM_INSTANCE: usize = 8;
    pub const DM_INSTANCE: usize = 9;
    pub const SERVICE: usize = 10;
}

/// Columns with their names. Several names of one column are separated by `|`, and a question mark makes a column optional.
type Names = &'static [&'static str];

const CALL_GRAPH: Names = &[
    "timestamp",
    "traceid",
    "rpcid|rpc_id",
    "um",
    "rpctype",
    "dm",
    "interface",
    "rt",
    "uminstanceid?",
    "dminstanceid?",
    "service?",
];
const NODES: Names = &[
    "timestamp",
    "nodeid",
    "cpu_utilization|node_cpu_usage",
    "memory_utilization|node_memory_usage",
];
const INSTANCES: Names = &[
    "timestamp",
    "nodeid",
    "cpu_utilization|instance_cpu_usage",
    "memory_utilization|instance_memory_usage",
    "msname",
    "msinstanceid",
];
const ONE_RATE: Names = &["timestamp", "msname", "msinstanceid", "metrics|metric", "value"];
const ALL_RATES_HEAD: Names = &["timestamp", "msname", "msinstanceid", "nodeid"];
const FUNCTIONS: Names = &["app", "func", "end_timestamp", "duration"];

/// A column that the table does not have.
const ABSENT: usize = usize::MAX;
/// Layouts of call graphs without names of columns. Each has the number of columns, and the index of each column of [`call`] in a
/// row. The first two are those of the files of 2021, with and without an index in front. The third one is the order in the
/// documentation of 2021. The last one is that of the files of 2022.
const UNNAMED: [(usize, Year, [usize; 11]); 4] = [
    (9, Year::Y2021, [2, 1, 3, 4, 5, 6, 7, 8, ABSENT, ABSENT, ABSENT]),
    (8, Year::Y2021, [1, 0, 2, 3, 4, 5, 6, 7, ABSENT, ABSENT, ABSENT]),
    (8, Year::Y2021, [0, 1, 2, 3, 4, 6, 5, 7, ABSENT, ABSENT, ABSENT]),
    (11, Year::Y2022, [0, 1, 3, 4, 6, 8, 7, 10, 5, 9, 2]),
];

/// A table whose rows can be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub kind: Kind,
    /// Index of each column in a row.
    columns: Vec<usize>,
    /// Number of columns of a row.
    pub width: usize,
    /// The line with the names of the columns, if the file has one.
    pub header: Option<Vec<u8>>,
}

/// Result of the recognition of a file by its first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognised {
    Table(Table),
    /// A data set that cannot be converted, and the reason.
    Unusable(&'static str),
    Nothing,
}

impl Table {
    /// The text in a column; empty if the table does not have this column.
    pub fn get<'f>(&self, fields: &'f Fields, column: usize) -> &'f [u8] {
        match self.columns[column] {
            ABSENT => &[],
            index => match fields.get(index) {
                // Nearly all fields are like this, with nothing to trim.
                text @ [b'!'..=0xff, .., b'!'..=0xff] => text,
                text => text.trim_ascii(),
            },
        }
    }

    /// Whether a line contains the names of the columns. Joined files repeat this line.
    pub fn is_header(&self, line: &[u8]) -> bool {
        self.header.as_deref() == Some(line.trim_ascii_end())
    }
}

/// Recognises a table by the fields of its first line.
pub fn recognise(line: &[u8], first: &Fields) -> Recognised {
    let names: Vec<Vec<u8>> = (0..first.count())
        .map(|index| first.get(index).trim_ascii().to_ascii_lowercase())
        .collect();
    let has = |name: &str| names.iter().any(|known| known == name.as_bytes());
    let table = |kind, columns: Vec<usize>| {
        Recognised::Table(Table {
            kind,
            columns,
            width: first.count(),
            header: Some(line.trim_ascii_end().to_vec()),
        })
    };
    if let Some(columns) = columns(CALL_GRAPH, &names) {
        let year = match has("dminstanceid") || has("rpc_id") {
            true => Year::Y2022,
            false => Year::Y2021,
        };
        return table(Kind::CallGraph(year), columns);
    }
    if let Some(columns) = columns(ONE_RATE, &names) {
        return table(Kind::Rates, columns);
    }
    if let Some(mut columns) = columns(ALL_RATES_HEAD, &names)
        && RATES.iter().any(|rate| has(rate.column))
    {
        columns.extend(RATES.iter().map(|rate| column(rate.column, &names)));
        return table(Kind::AllRates, columns);
    }
    if let Some(columns) = columns(INSTANCES, &names) {
        return table(Kind::Instances, columns);
    }
    if let Some(columns) = columns(NODES, &names) {
        return table(Kind::Nodes, columns);
    }
    if let Some(columns) = columns(FUNCTIONS, &names) {
        return table(Kind::Functions, columns);
    }
    if has("hashfunction") {
        return Recognised::Unusable(
            "this is a table of Azure Functions 2019, which has counts for each minute and no invocations; convert the trace of 2021",
        );
    }
    if has("collection_id") || has("collection_type") {
        return Recognised::Unusable(
            "this is a table of Google's Borg traces, which have jobs and machines, and no requests",
        );
    }
    unnamed(first)
}

/// The index of each column; `None` if a column is missing and not optional.
fn columns(wanted: Names, names: &[Vec<u8>]) -> Option<Vec<usize>> {
    let found: Vec<usize> = wanted
        .iter()
        .map(|wanted| column(wanted.trim_end_matches('?'), names))
        .collect();
    let is_missing = |(wanted, index): (&&str, &usize)| *index == ABSENT && !wanted.ends_with('?');
    (!wanted.iter().zip(&found).any(is_missing)).then_some(found)
}

fn column(wanted: &str, names: &[Vec<u8>]) -> usize {
    let is_wanted = |name: &Vec<u8>| wanted.split('|').any(|known| known.as_bytes() == name.as_slice());
    names.iter().position(is_wanted).unwrap_or(ABSENT)
}

/// A call graph without names of columns.
fn unnamed(first: &Fields) -> Recognised {
    for (width, year, layout) in UNNAMED {
        let table = Table {
            kind: Kind::CallGraph(year),
            columns: layout.to_vec(),
            width,
            header: None,
        };
        let get = |column| table.get(first, column);
        if first.count() == width
            // A trace id has more digits than a time.
            && get(call::TIMESTAMP).len() <= 13
            && nanoseconds(get(call::TIMESTAMP), 1).is_some()
            && get(call::TRACE).len() > 1
            && is_rpc_id(get(call::RPC_ID))
            && nanoseconds(get(call::RT), 1).is_some()
        {
            return Recognised::Table(table);
        }
    }
    Recognised::Nothing
}

/// Maximum length of an rpc id, bytes, and maximum number of its levels. The deepest known ids have about 30 levels.
const RPC_ID_BYTES_MAX: usize = 512;
const LEVELS_MAX: usize = 128;

/// Whether a text is numbers with dots between them.
pub fn is_rpc_id(text: &[u8]) -> bool {
    let (mut levels, mut is_number) = (1, false);
    for &byte in text {
        match byte {
            b'0'..=b'9' => is_number = true,
            b'.' if is_number => (levels, is_number) = (levels + 1, false),
            _ => return false,
        }
    }
    is_number && levels <= LEVELS_MAX && text.len() <= RPC_ID_BYTES_MAX
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    fn of(line: &str) -> Recognised {
        let mut fields = Fields::new();
        fields.split(line.as_bytes()).unwrap();
        recognise(line.as_bytes(), &fields)
    }

    fn kind(line: &str) -> Option<Kind> {
        match of(line) {
            Recognised::Table(table) => Some(table.kind),
            _ => None,
        }
    }

    #[test]
    fn the_names_of_columns_decide_in_any_order() {
        for (line, expected) in [
            (
                ",traceid,timestamp,rpcid,um,rpctype,dm,interface,rt",
                Kind::CallGraph(Year::Y2021),
            ),
            (
                "timestamp,traceid,service,rpc_id,rpctype,um,uminstanceid,interface,dm,dminstanceid,rt",
                Kind::CallGraph(Year::Y2022),
            ),
            ("timestamp,nodeid,cpu_utilization,memory_utilization", Kind::Nodes),
            (
                "timestamp,msname,msinstanceid,nodeid,cpu_utilization,memory_utilization",
                Kind::Instances,
            ),
            ("timestamp,msname,msinstanceid,metrics,value", Kind::Rates),
            (
                "timestamp,msname,msinstanceid,nodeid,providerrpc_rt,http_mcr",
                Kind::AllRates,
            ),
            ("app,func,end_timestamp,duration", Kind::Functions),
        ] {
            assert_eq!(kind(line), Some(expected), "{line}");
        }
        assert!(matches!(
            of("HashOwner,HashApp,HashFunction,Trigger,1,2"),
            Recognised::Unusable(_)
        ));
        assert_eq!(of("a,b,c"), Recognised::Nothing);
    }

    #[test]
    fn a_call_graph_without_names_is_known_by_its_row() {
        for line in [
            "0,0b133c1915919238193454000e5d37,219678,0.1.3.1.1.1.12,um,mc,dm,,0",
            "0b133c1915919238193454000e5d37,219678,0.1.3,um,mc,dm,,0",
            "219678,0b133c1915919238193454000e5d37,0.1.3,um,mc,if,dm,0",
        ] {
            let Recognised::Table(table) = of(line) else {
                panic!("{line}");
            };
            assert_eq!(table.kind, Kind::CallGraph(Year::Y2021), "{line}");
            let mut fields = Fields::new();
            fields.split(line.as_bytes()).unwrap();
            assert_eq!(table.get(&fields, call::TIMESTAMP), b"219678", "{line}");
            assert_eq!(table.get(&fields, call::DM), b"dm", "{line}");
        }
        let line = "115352,T_11560863075,S_1,0.1,rpc,MS_5,MS_5_POD_0,xOu,MS_7,MS_7_POD_2,2.0";
        assert_eq!(kind(line), Some(Kind::CallGraph(Year::Y2022)));
        assert_eq!(kind("1,2,3,4,5,6,7,8"), None);
    }

    #[test]
    fn rpc_ids_are_numbers_with_dots() {
        for good in ["0", "0.1.12", "9.1"] {
            assert!(is_rpc_id(good.as_bytes()), "{good}");
        }
        for bad in ["", ".", "0.", "0..1", "0.a", &"0.".repeat(200)] {
            assert!(!is_rpc_id(bad.as_bytes()), "{bad}");
        }
    }
}
