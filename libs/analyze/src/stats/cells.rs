//! [`Cells`]: sums by endpoint and node. These are the finest groups; all other groups are sums of them.

use aggregate::maps::Map;
use rundir::fields::text;

use super::figures::{Sums, Time};
use super::load::{self, LoadBuckets};
use super::row::InvocationRow;

/// Maximum number of cells (an endpoint on a node). If paths contain ids, there could be millions. For times from 1 us to 1 s,
/// 2,048 cells with five sketches of 10 KiB take 100 MiB.
const ENDPOINT_CELLS_MAX: usize = 2048;
/// Maximum number of further cells. Each is for all remaining endpoints of a module on a node.
const MODULE_CELLS_MAX: usize = 1024;
/// Size of all sketches at which no endpoint gets a cell of its own any more, bytes. Existing cells and those of modules still
/// grow, each to at most 150 KiB.
const SKETCHES_BYTES_MAX: usize = 128 << 20;
/// Name of the group for everything beyond a maximum number of groups.
pub const OTHER_NAME: &str = "(other)";
/// Name of a module or peer that has none.
pub const UNKNOWN_NAME: &str = "(unknown)";
/// Replaces the texts beyond the maximum in the key of a cell. No text of a row is equal to it, because these begin with a
/// quote.
const OTHER: &[u8] = OTHER_NAME.as_bytes();

/// The texts that the invocations of a group have in common. `None` means unknown, or not part of the grouping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub app_id: Option<String>,
    pub module_id: Option<String>,
    pub method: Option<String>,
    pub route: Option<String>,
    /// For a link: the node of the callers.
    pub from_node: Option<String>,
    pub node: Option<String>,
    /// Whether this is the group for everything beyond the maximum number of groups.
    pub is_other: bool,
}

/// Sums of one chunk. The keys are texts as in the rows.
#[derive(Default)]
pub struct ChunkCells {
    numbers: Map<Box<[u8]>, u32>,
    keys: Vec<Box<[u8]>>,
    sums: Vec<Sums>,
    loads: Vec<LoadBuckets>,
    scratch: Vec<u8>,
}

impl ChunkCells {
    /// Adds an invocation. Returns the number of its cell in this chunk. `origin` is passed to [`load::add`].
    #[inline]
    pub fn add(&mut self, row: &InvocationRow<'_>, origin: i64) -> u32 {
        self.scratch.clear();
        for part in [row.app, row.module, row.node, row.method, row.endpoint_route()] {
            self.scratch.extend_from_slice(part);
            self.scratch.push(b'\n');
        }
        let number = match self.numbers.get(&*self.scratch) {
            Some(&number) => number,
            None => self.insert(),
        };
        add(&mut self.sums[number as usize], row);
        load::add(&mut self.loads[number as usize], row, origin);
        number
    }

    /// Number of calls of each cell.
    pub fn calls(&self) -> impl Iterator<Item = u64> + Clone {
        self.sums.iter().map(|sums| sums.calls)
    }

    /// For each cell, its sums in time intervals.
    pub fn loads(&self) -> &[LoadBuckets] {
        &self.loads
    }

    fn insert(&mut self) -> u32 {
        let number = self.sums.len() as u32;
        let key: Box<[u8]> = self.scratch.as_slice().into();
        self.numbers.insert(key.clone(), number);
        self.keys.push(key);
        self.sums.push(Sums::default());
        self.loads.push(LoadBuckets::default());
        number
    }
}

/// Adds an invocation to sums.
#[inline]
pub fn add(sums: &mut Sums, row: &InvocationRow<'_>) {
    sums.calls += 1;
    sums.errors += u64::from(row.is_error);
    sums.called += u64::from(row.is_called);
    for (times, &ns) in sums.times.iter_mut().zip(&row.times) {
        times.add(ns);
    }
    let service = row.times[Time::Service as usize];
    if service.is_some() {
        sums.waits_ns += u128::from(row.waits);
    }
    sums.cpu_of_service.add(row.times[Time::Cpu as usize], service);
    sums.bytes_in.add(row.bytes_in);
    sums.bytes_out.add(row.bytes_out);
}

/// Numbers of the groups that a cell belongs to: module, endpoint and node.
pub type CellGroups = [u32; 3];
pub const MODULE: usize = 0;
pub const ENDPOINT: usize = 1;
pub const NODE: usize = 2;

struct Cell {
    sums: Sums,
    groups: CellGroups,
}

/// All keys of a grouping; the number of a key is its index.
#[derive(Default)]
struct Grouping {
    numbers: Map<Key, u32>,
    keys: Vec<Key>,
}

impl Grouping {
    fn number(&mut self, key: Key) -> u32 {
        let next = self.keys.len() as u32;
        *self.numbers.entry(key).or_insert_with_key(|key| {
            self.keys.push(key.clone());
            next
        })
    }
}

/// The cells of a run.
#[derive(Default)]
pub struct Cells {
    numbers: Map<Box<[u8]>, u32>,
    cells: Vec<Cell>,
    groupings: [Grouping; 3],
    /// Number of endpoint cells and of module cells so far.
    counts: [usize; 2],
    /// Size of all sketches in memory, bytes.
    sketches_bytes: usize,
    /// Number of invocations beyond a maximum.
    pub beyond: u64,
}

impl Cells {
    /// Adds a chunk. Returns the number in the run for each of its cells.
    pub fn absorb(&mut self, chunk: &ChunkCells) -> Vec<u32> {
        let pairs = chunk.keys.iter().zip(&chunk.sums);
        pairs
            .map(|(key, sums)| {
                let number = self.number(key, sums.calls);
                let known = &mut self.cells[number as usize].sums;
                let before = known.sketch_bytes();
                known.merge(sums);
                self.sketches_bytes += known.sketch_bytes() - before;
                number
            })
            .collect()
    }

    pub fn groups_of(&self, cell: u32) -> CellGroups {
        self.cells[cell as usize].groups
    }

    /// The keys of a grouping, by number.
    pub fn keys(&self, grouping: usize) -> &[Key] {
        &self.groupings[grouping].keys
    }

    /// Sums and groups of each cell.
    pub fn iter(&self) -> impl Iterator<Item = (&Sums, CellGroups)> {
        self.cells.iter().map(|cell| (&cell.sums, cell.groups))
    }

    fn number(&mut self, key: &[u8], calls: u64) -> u32 {
        if let Some(&number) = self.numbers.get(key) {
            return number;
        }
        if self.counts[0] < ENDPOINT_CELLS_MAX && self.sketches_bytes < SKETCHES_BYTES_MAX {
            self.counts[0] += 1;
            return self.insert(key);
        }
        self.beyond += calls;
        let module = key.splitn(4, |byte| *byte == b'\n').take(3);
        let mut module: Vec<u8> = module.collect::<Vec<_>>().join(&b'\n');
        module.push(b'\n');
        module.extend_from_slice(OTHER);
        if let Some(&number) = self.numbers.get(&*module) {
            return number;
        }
        if self.counts[1] < MODULE_CELLS_MAX {
            self.counts[1] += 1;
            return self.insert(&module);
        }
        match self.numbers.get(OTHER) {
            Some(&number) => number,
            None => self.insert(OTHER),
        }
    }

    fn insert(&mut self, key: &[u8]) -> u32 {
        let parts: Vec<&[u8]> = key.split(|byte| *byte == b'\n').collect();
        let text = |index: usize| parts.get(index).and_then(|part| decoded(part));
        let other = Key {
            is_other: true,
            ..Key::default()
        };
        let (mut module, mut node) = (other.clone(), other.clone());
        let mut endpoint = other;
        if key != OTHER {
            module = Key {
                app_id: text(0),
                module_id: text(1),
                ..Key::default()
            };
            node = Key {
                node: text(2),
                ..Key::default()
            };
            let is_other = parts.get(3) == Some(&OTHER);
            endpoint = Key {
                method: text(3).filter(|_| !is_other),
                route: text(4).filter(|_| !is_other),
                is_other,
                ..module.clone()
            };
        }
        let [modules, endpoints, nodes] = &mut self.groupings;
        let groups = [
            modules.number(module),
            endpoints.number(endpoint),
            nodes.number(node),
        ];
        let number = self.cells.len() as u32;
        self.cells.push(Cell {
            sums: Sums::default(),
            groups,
        });
        self.numbers.insert(key.into(), number);
        number
    }
}

/// Decodes a JSON string. `None` for an empty text, which stands for unknown.
pub fn decoded(raw: &[u8]) -> Option<String> {
    if raw.is_empty() {
        return None;
    }
    Some(text(raw).map_or_else(
        || String::from_utf8_lossy(raw).into_owned(),
        |text| text.into_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(module: &'a [u8], node: &'a [u8], path: &'a [u8]) -> InvocationRow<'a> {
        InvocationRow {
            module,
            node,
            path,
            ..InvocationRow::default()
        }
    }

    #[test]
    fn cells_of_chunks_add_up_and_texts_may_be_escaped() {
        let mut cells = Cells::default();
        for path in [&b"\"/a\""[..], b"\"\\u002fa\"", b"\"/b\"", b"\"/a\""] {
            let mut chunk = ChunkCells::default();
            chunk.add(&row(b"\"m\"", b"\"n\"", path), 0);
            cells.absorb(&chunk);
        }
        let routes: Vec<&str> = cells
            .keys(ENDPOINT)
            .iter()
            .flat_map(|key| key.route.as_deref())
            .collect();
        assert_eq!(routes, ["/a", "/b"]);
        let mut calls = [0; 2];
        for (sums, groups) in cells.iter() {
            calls[groups[ENDPOINT] as usize] += sums.calls;
        }
        assert_eq!(calls, [3, 1]);
        assert_eq!((cells.keys(MODULE).len(), cells.keys(NODE).len()), (1, 1));
    }

    #[test]
    fn endpoints_and_modules_past_the_maximum_share_a_group() {
        let mut cells = Cells::default();
        let mut chunk = ChunkCells::default();
        for number in 0..ENDPOINT_CELLS_MAX + 10 {
            let path = format!("\"/{number}\"");
            chunk.add(&row(b"\"m\"", b"\"n\"", path.as_bytes()), 0);
        }
        for number in 0..MODULE_CELLS_MAX + 10 {
            let module = format!("\"m{number}\"");
            chunk.add(&row(module.as_bytes(), b"\"n\"", b""), 0);
        }
        cells.absorb(&chunk);
        assert_eq!(cells.beyond, MODULE_CELLS_MAX as u64 + 20);
        let others: Vec<&Key> = cells.keys(ENDPOINT).iter().filter(|key| key.is_other).collect();
        assert_eq!(others.len(), MODULE_CELLS_MAX + 1);
        assert_eq!(others[0].module_id.as_deref(), Some("m"));
        // All modules fit except the last one. The number of its calls is still exact.
        let modules = cells.keys(MODULE);
        assert_eq!(modules.iter().filter(|key| key.is_other).count(), 1);
        let calls: u64 = cells.iter().map(|(sums, _)| sums.calls).sum();
        assert_eq!(calls, (ENDPOINT_CELLS_MAX + MODULE_CELLS_MAX + 20) as u64);
    }

    #[test]
    fn endpoints_with_large_sketches_share_a_group_earlier() {
        let mut cells = Cells::default();
        let endpoints = ENDPOINT_CELLS_MAX as u64 - 100;
        for number in 0..endpoints {
            let path = format!("\"/{number}\"");
            let mut chunk = ChunkCells::default();
            for ns in [0, u64::MAX] {
                let row = InvocationRow {
                    times: [Some(ns); Time::ALL.len()],
                    ..row(b"\"m\"", b"\"n\"", path.as_bytes())
                };
                chunk.add(&row, 0);
            }
            cells.absorb(&chunk);
        }
        let bytes: usize = cells.iter().map(|(sums, _)| sums.sketch_bytes()).sum();
        let of_one = bytes / cells.cells.len();
        assert_eq!(bytes, cells.sketches_bytes);
        assert!(bytes <= SKETCHES_BYTES_MAX + 2 * of_one, "{bytes}");
        assert!(bytes >= SKETCHES_BYTES_MAX, "{bytes}");
        let calls: u64 = cells.iter().map(|(sums, _)| sums.calls).sum();
        assert_eq!((calls, cells.keys(MODULE).len()), (2 * endpoints, 1));
        assert_eq!(cells.beyond, 2 * (endpoints + 1 - cells.cells.len() as u64));
    }
}
