//! [`Shredder`]: divides the rows of a file into the columns of its table.
//!
//! It accepts the same lines as the deserialiser of the row type. A test compares the two.

use std::ops::Range;

use cctf_proto::cctf::{Counters, Field, Kind, Presence, Text};
use rundir::fields::{Fields, Name, NotAnObject, Order, UNKNOWN, names_of};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::damages::Reason;
use crate::layout::Table;
use crate::leaf::{Leaf, Values, WrongType};

/// Number of rows in a batch. The columns of a batch fit into a CPU's caches.
const BATCH_ROWS: usize = 2048;
/// Bytes of lines that complete a batch if rows are long.
const BATCH_BYTES: usize = 4 << 20;

const NULL: &[u8] = b"null";

/// The columns of a batch that is not complete.
pub struct Shredder {
    fields: &'static [Field],
    names: Vec<Name>,
    /// A node for each field. `None` for a field without a column.
    nodes: Vec<Option<Node>>,
    /// A bit for each required field.
    wanted: u64,
    pub leaves: Vec<Leaf>,
    rows: usize,
    bytes: usize,
}

/// How the value of a field is stored as entries of leaves.
#[derive(Debug)]
enum Node {
    Leaf(usize),
    List {
        leaves: Range<usize>,
        /// Definition level of an empty list.
        present: i16,
        /// Repetition level of the further items of a list.
        repetition: i16,
        item: Box<Node>,
    },
    Struct {
        leaves: Range<usize>,
        /// Definition level of a struct without fields.
        present: i16,
        fields: &'static [Field],
        children: Vec<Node>,
    },
    Counters {
        leaves: Range<usize>,
        present: i16,
        repetition: i16,
    },
}

impl Shredder {
    pub fn new(table: &Table) -> Self {
        let fields = table.file.fields();
        // Each field needs a bit.
        debug_assert!(fields.len() < u64::BITS as usize);
        let mut leaves = Vec::new();
        let mut nodes: Vec<Option<Node>> = fields.iter().map(|_| None).collect();
        for column in &table.columns {
            let definition = i16::from(crate::layout::is_nullable(column.field));
            nodes[column.index] = Some(Node::new(column.field.kind, definition, 0, &mut leaves));
        }
        let is_wanted = |(_, field): &(usize, &Field)| field.presence != Presence::Optional;
        let wanted = fields.iter().enumerate().filter(is_wanted);
        Self {
            fields,
            names: (0..fields.len())
                .map(|index| names_of::<1>(&fields[index..])[0])
                .collect(),
            nodes,
            wanted: wanted.fold(0, |bits, (index, _)| bits | 1 << index),
            leaves,
            rows: 0,
            bytes: 0,
        }
    }

    /// Number of rows in the batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the batch has to be written.
    pub fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Adds a row.
    ///
    /// # Errors
    /// If the line is not a row. Then nothing is added.
    pub fn push(&mut self, line: &[u8]) -> Result<(), Reason> {
        let pushed = self.try_push(line);
        match pushed {
            Ok(()) => {
                self.rows += 1;
                self.bytes += line.len();
            }
            Err(_) => self.leaves.iter_mut().for_each(|leaf| leaf.undo(self.rows)),
        }
        pushed
    }

    fn try_push(&mut self, line: &[u8]) -> Result<(), Reason> {
        let not_an_object = |NotAnObject| Reason::NotAnObject;
        if std::str::from_utf8(line).is_err() {
            return Err(Reason::NotAnObject);
        }
        let mut order = Order::new(self.fields);
        let mut scan = Fields::new(line).map_err(not_an_object)?;
        let mut seen = 0_u64;
        while let Some((index, raw)) = scan.next_known(&mut order, &self.names).map_err(not_an_object)? {
            if index == UNKNOWN {
                serde_json::from_slice::<IgnoredAny>(raw.value).map_err(|_| Reason::NotAnObject)?;
                continue;
            }
            let field = &self.fields[index];
            if seen & 1 << index != 0 {
                return Err(Reason::Twice(field.name));
            }
            seen |= 1 << index;
            if raw.value == NULL && field.presence == Presence::Nullable {
                continue;
            }
            let wrong = |WrongType| Reason::WrongType(field.name);
            match &self.nodes[index] {
                Some(Node::Leaf(leaf)) => {
                    let leaf = &mut self.leaves[*leaf];
                    leaf.begin_row(self.rows);
                    leaf.push(raw.value, 0).map_err(wrong)?;
                }
                Some(node) => {
                    let value: &RawValue =
                        serde_json::from_slice(raw.value).map_err(|_| Reason::NotAnObject)?;
                    let row = self.rows;
                    self.leaves[node.leaves()]
                        .iter_mut()
                        .for_each(|leaf| leaf.begin_row(row));
                    node.push(value.get().as_bytes(), 0, &mut self.leaves)
                        .map_err(wrong)?;
                }
                None => {
                    serde_json::from_slice::<Text<'_>>(raw.value).map_err(|_| wrong(WrongType))?;
                }
            }
        }
        let missing = self.wanted & !seen;
        match missing {
            0 => Ok(()),
            _ => Err(Reason::Missing(
                self.fields[missing.trailing_zeros() as usize].name,
            )),
        }
    }

    /// Removes the texts of the last row group, whose dictionaries are complete.
    pub fn forget_texts(&mut self) {
        for leaf in &mut self.leaves {
            if let Values::Texts(texts) = &mut leaf.values {
                texts.forget();
            }
        }
    }

    /// Completes the batch: each leaf then has entries for all rows.
    pub fn end_batch(&mut self) {
        for leaf in &mut self.leaves {
            leaf.end_batch(self.rows);
        }
        (self.rows, self.bytes) = (0, 0);
    }
}

impl Node {
    /// `definition` and `repetition` are the levels of a value that is present.
    fn new(kind: Kind, definition: i16, repetition: i16, leaves: &mut Vec<Leaf>) -> Self {
        let first = leaves.len();
        match kind {
            Kind::List(of) => {
                let item = Self::new(*of, definition + 1, repetition + 1, leaves);
                Self::List {
                    leaves: first..leaves.len(),
                    present: definition,
                    repetition: repetition + 1,
                    item: Box::new(item),
                }
            }
            Kind::Object(fields) => {
                let child = |field: &Field| {
                    let definition = definition + i16::from(crate::layout::is_nullable(field));
                    Self::new(field.kind, definition, repetition, leaves)
                };
                let children = fields.iter().map(child).collect();
                Self::Struct {
                    leaves: first..leaves.len(),
                    present: definition,
                    fields,
                    children,
                }
            }
            Kind::Counters => {
                for kind in [Kind::Text, Kind::Unsigned] {
                    leaves.push(Leaf::new(kind, definition + 1, repetition + 1));
                }
                Self::Counters {
                    leaves: first..leaves.len(),
                    present: definition,
                    repetition: repetition + 1,
                }
            }
            _ => {
                leaves.push(Leaf::new(kind, definition, repetition));
                Self::Leaf(first)
            }
        }
    }

    fn leaves(&self) -> Range<usize> {
        match self {
            Self::Leaf(leaf) => *leaf..leaf + 1,
            Self::List { leaves, .. } | Self::Struct { leaves, .. } | Self::Counters { leaves, .. } => {
                leaves.clone()
            }
        }
    }

    /// Adds an entry without a value to all leaves. `definition` is the level at which the path ends.
    fn push_empty(&self, definition: i16, repetition: i16, leaves: &mut [Leaf]) {
        for leaf in &mut leaves[self.leaves()] {
            leaf.push_empty(definition, repetition);
        }
    }

    /// Adds a value that is valid JSON and not null.
    fn push(&self, raw: &[u8], repetition: i16, leaves: &mut [Leaf]) -> Result<(), WrongType> {
        match self {
            Self::Leaf(leaf) => leaves[*leaf].push(raw, repetition),
            Self::List {
                present,
                repetition: further,
                item,
                ..
            } => {
                let items: Vec<&RawValue> = serde_json::from_slice(raw).map_err(|_| WrongType)?;
                if items.is_empty() {
                    self.push_empty(*present, repetition, leaves);
                }
                for (number, value) in items.iter().enumerate() {
                    let repetition = if number == 0 { repetition } else { *further };
                    item.push(value.get().as_bytes(), repetition, leaves)?;
                }
                Ok(())
            }
            Self::Struct {
                present,
                fields,
                children,
                ..
            } => push_struct(raw, repetition, *present, fields, children, leaves),
            Self::Counters {
                leaves: own,
                present,
                repetition: further,
            } => {
                let counters: Counters = serde_json::from_slice(raw).map_err(|_| WrongType)?;
                if counters.0.is_empty() {
                    self.push_empty(*present, repetition, leaves);
                }
                for (number, (name, count)) in counters.0.iter().enumerate() {
                    let repetition = if number == 0 { repetition } else { *further };
                    let name = serde_json::to_vec(name).map_err(|_| WrongType)?;
                    leaves[own.start].push(&name, repetition)?;
                    leaves[own.start + 1].push(count.to_string().as_bytes(), repetition)?;
                }
                Ok(())
            }
        }
    }
}

fn push_struct(
    raw: &[u8],
    repetition: i16,
    present: i16,
    fields: &'static [Field],
    children: &[Node],
    leaves: &mut [Leaf],
) -> Result<(), WrongType> {
    let mut found: Vec<Option<&[u8]>> = vec![None; fields.len()];
    let mut order = Order::new(fields);
    let mut scan = Fields::new(raw).map_err(|NotAnObject| WrongType)?;
    while let Some(field) = scan.next_field().map_err(|NotAnObject| WrongType)? {
        let index = order.index(field.name);
        if index != UNKNOWN && found[index].replace(field.value).is_some() {
            return Err(WrongType);
        }
    }
    for ((field, child), value) in fields.iter().zip(children).zip(found) {
        match (value, field.presence) {
            (Some(NULL), Presence::Nullable) | (None, Presence::Optional) => {
                child.push_empty(present, repetition, leaves);
            }
            (Some(value), _) => child.push(value, repetition, leaves)?,
            (None, _) => return Err(WrongType),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cctf_proto::cctf::{
        Call, File, HostMetric, Invocation, Module, Node as CctfNode, RunMeta, SystemStat,
    };
    use proptest::prelude::*;

    use super::*;

    /// Rows with every field. For each type of field, the row of at least one file has a field of this type.
    const ROWS: [(File, &str); 7] = [
        (
            File::Invocations,
            r#"{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00f067aa0ba902b7","parent_id":null,"parent_span_id":"00f067aa0ba902b6","module_id":"m","instance_id":"i","ts_enqueue":1.000001,"ts_start":2.000000,"ts_end":3.000000,"node":"n","stage":"edge","method":"GET","path":"/a","bytes_in":1,"bytes_out":2,"cpu_time_ms":0.100000,"queue_time_ms":1.000000,"service_time_ms":1.000000,"rt_ms":2.000000,"status":200,"pid":7,"app_id":"a","protocol":"http","cold_start":true,"downstream_ms":null,"kind":"server","links":[{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00f067aa0ba902b7"}],"sample_weight":1.5,"flags":["orphan","late"]}"#,
        ),
        (
            File::Calls,
            r#"{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00f067aa0ba902b7","parent_span_id":null,"ancestor_id":null,"module_id":"m","instance_id":"i","node":"n","stage":"edge","ts_start":2.000000,"ts_end":3.000000,"method":null,"path":null,"bytes_out":null,"bytes_in":null,"status":null}"#,
        ),
        (
            File::HostMetrics,
            r#"{"ts_ms":1.000000,"node":"n","stage":"edge","cpu_util":1.0,"mem_free_mb":null}"#,
        ),
        (
            File::SystemStats,
            r#"{"ts_ms":1.000000,"node_id":"n","stage":"edge","metric":"m","value":1.0,"attributes":{"a":[1,{"b":null}]}}"#,
        ),
        (
            File::Nodes,
            r#"{"node_id":"n","stage":"edge","cpu_cores":1,"mem_mb":1.0,"ips":["a","b"]}"#,
        ),
        (
            File::ModuleInventory,
            r#"{"app_id":null,"module_id":"m","name":"m","type":"SINK","resources":{"cpu":1.0,"mem_mb":null},"instances":[{"instance_id":"i","node_id":"n","workers":null},{"instance_id":"j","node_id":"n","workers":2,"slots_src":"told"}],"endpoints":[{"method":null,"route":"/","calls":3,"service_ms":{"p50":1.0,"p95":1.0,"p99":2.0}}],"calls":[]}"#,
        ),
        (
            File::RunMeta,
            r#"{"run_id":"r","rate":1.0,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,"cctf_version":"1","normalizer_version":"0","started_ts":1.000000,"ended_ts":null,"time_base":"unix_utc","counts":{"spans":1,"points":0,"logs":0,"rows":{"calls.jsonl":1},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{},"spans_by_outcome":{"rows":1,"inner":0,"asides":0,"control":0,"duplicates":0,"rejected":0}}}"#,
        ),
    ];

    /// Values that replace others.
    const VALUES: [&str; 24] = [
        "null",
        "true",
        "0",
        "1",
        "-1",
        "1.5",
        "1.000001",
        "1.0000001",
        "1e3",
        "\"x\"",
        "\"edge\"",
        "\"a\\nb\"",
        "\"\\ud800\"",
        "\"00f067aa0ba902b7\"",
        "\"00F067aa0ba902b7\"",
        "[]",
        "[null]",
        "[\"late\"]",
        "[\"x\",1]",
        "{}",
        "{\"a\":1}",
        "{\"a\":-1}",
        "{\"cpu\":null,\"mem_mb\":2.0,\"more\":[]}",
        "[{\"trace_id\":\"x\",\"span_id\":\"y\"}]",
    ];

    /// Whether the deserialiser of the row type accepts a line.
    fn is_row(file: File, line: &str) -> bool {
        match file {
            File::Invocations => serde_json::from_str::<Invocation<'_>>(line).is_ok(),
            File::Calls => serde_json::from_str::<Call<'_>>(line).is_ok(),
            File::HostMetrics => serde_json::from_str::<HostMetric<'_>>(line).is_ok(),
            File::SystemStats => serde_json::from_str::<SystemStat<'_>>(line).is_ok(),
            File::Nodes => serde_json::from_str::<CctfNode<'_>>(line).is_ok(),
            File::ModuleInventory => serde_json::from_str::<Module<'_>>(line).is_ok(),
            _ => serde_json::from_str::<RunMeta<'_>>(line).is_ok(),
        }
    }

    /// A row with one change: a field gets another value, is missing, occurs twice, or is unknown.
    fn changed(row: &str, field: usize, value: &str, change: usize) -> String {
        let mut scan = Fields::new(row.as_bytes()).unwrap();
        let mut fields = Vec::new();
        while let Some(field) = scan.next_field().unwrap() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            fields.push((text(field.name), text(field.value)));
        }
        let field = field % fields.len();
        match change {
            0 => fields[field].1 = value.to_owned(),
            1 => drop(fields.remove(field)),
            2 => fields.push(fields[field].clone()),
            3 => fields.swap(0, field),
            _ => fields.insert(field, ("mine".to_owned(), value.to_owned())),
        }
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    }

    /// Numbers of entries and values of each leaf. A refused line must not change them.
    fn counts(shredder: &mut Shredder) -> Vec<(usize, usize)> {
        shredder.end_batch();
        let leaves = shredder.leaves.iter();
        leaves
            .map(|leaf| (leaf.definitions.len(), leaf.values.len()))
            .collect()
    }

    proptest! {
        #[test]
        fn the_lines_that_the_row_type_accepts_are_accepted(
            row in 0..ROWS.len(), field in 0..40_usize, value in 0..VALUES.len(), change in 0..5_usize,
        ) {
            let (file, row) = ROWS[row];
            let line = changed(row, field, VALUES[value], change);
            let mut shredder = Shredder::new(&Table::new(file));
            shredder.push(row.as_bytes()).unwrap();
            let pushed = shredder.push(line.as_bytes());
            prop_assert_eq!(pushed.is_ok(), is_row(file, &line), "{:?} {}", pushed, line);
            if pushed.is_err() {
                let mut alone = Shredder::new(&Table::new(file));
                alone.push(row.as_bytes()).unwrap();
                prop_assert_eq!(counts(&mut shredder), counts(&mut alone), "{}", line);
            }
        }
    }

    #[test]
    fn levels_of_lists_in_objects_and_of_empty_ones_are_those_of_parquet() {
        let table = Table::new(File::ModuleInventory);
        let mut shredder = Shredder::new(&table);
        let (_, full) = ROWS[5];
        let none = r#"{"app_id":null,"module_id":"m","name":"m","type":"SINK","resources":null}"#;
        for row in [none, full, none] {
            shredder.push(row.as_bytes()).unwrap();
        }
        shredder.end_batch();
        let levels = |name: &str| {
            let schema = parquet::schema::types::SchemaDescriptor::new(table.schema().unwrap());
            let column = schema
                .columns()
                .iter()
                .position(|column| column.path().string() == name)
                .unwrap();
            let leaf = &shredder.leaves[column];
            let [definition, repetition] = leaf.levels();
            let declared = schema.column(column);
            assert_eq!(
                (definition, repetition),
                (declared.max_def_level(), declared.max_rep_level()),
                "{name}"
            );
            (leaf.definitions.clone(), leaf.repetitions.clone())
        };
        assert_eq!(levels("resources.cpu"), (vec![0, 2, 0], vec![]));
        assert_eq!(
            levels("instances.list.element.workers"),
            (vec![0, 2, 3, 0], vec![0, 0, 1, 0])
        );
        assert_eq!(
            levels("endpoints.list.element.service_ms.p99"),
            (vec![0, 3, 0], vec![0, 0, 0])
        );
        assert_eq!(levels("calls.list.element.to"), (vec![0, 1, 0], vec![0, 0, 0]));
    }
}
