//! [`Collector`]: adds up the invocations of each module, and of some endpoints, for each time interval (bucket).

use aggregate::maps::Map;

use super::grid::Grid;
use super::series::{Bucket, BucketTime, Series};
use crate::coarse::{CoarseSketch, bin_of};
use crate::stats::cells::{Key, decoded};
use crate::stats::figures::Time;
use crate::stats::row::InvocationRow;

/// Maximum number of modules with sketches. 120 buckets with five sketches of 600 bytes each take 360 KiB for each module.
pub const SKETCHED_MAX: usize = 40;
/// Maximum number of modules with counts and sums. 120 buckets of 200 bytes take 24 KiB for each module.
pub const COUNTED_MAX: usize = 340;

/// Maximum number of endpoints with a series. Only their response times have sketches: 96 KiB for each endpoint.
pub const ENDPOINTS_MAX: usize = 40;

/// Stands for all modules or endpoints that have no series of their own.
const REST: u32 = u32::MAX;

/// The modules of a timeline. The rank of a module is its position by descending total response time.
pub struct Ranks {
    ranks: Map<Key, u32>,
    /// For each module: whether its requests release their slot during downstream calls.
    released: Vec<bool>,
    endpoints: Map<Key, u32>,
}

/// Ranks of an endpoint and of its module.
#[derive(Clone, Copy)]
struct Place {
    module: u32,
    is_released: bool,
    endpoint: u32,
}

#[derive(Default)]
struct CellTime {
    count: u64,
    sum_ns: u128,
    sketch: CoarseSketch,
}

/// Sums of a module in a bucket.
#[derive(Default)]
pub struct Cell {
    calls: u64,
    errors: u64,
    times: [CellTime; Time::ALL.len()],
    /// Busy time of slots in the bucket, nanoseconds.
    pub busy_ns: u128,
}

/// Sums by rank and bucket.
#[derive(Default)]
struct Cells {
    numbers: Map<(u32, u32), u32>,
    cells: Vec<((u32, u32), Cell)>,
}

/// Sums over a chunk.
#[derive(Default)]
pub struct ChunkTimeline {
    /// By endpoint, as JSON texts.
    places: Map<Box<[u8]>, Place>,
    of_modules: Cells,
    of_endpoints: Cells,
    scratch: Vec<u8>,
}

/// A series, and the busy time of its slots in each bucket, nanoseconds.
pub type SeriesWithBusy = (Series, Vec<u128>);

/// Sums over a run.
pub struct Collector {
    grid: Grid,
    run: Vec<Cell>,
    /// By rank.
    modules: Vec<Vec<Cell>>,
    endpoints: Vec<Vec<Cell>>,
}

/// The series of a run. Modules and endpoints are in the order of their ranks.
pub struct Collected {
    pub run: SeriesWithBusy,
    pub modules: Vec<SeriesWithBusy>,
    pub endpoints: Vec<Series>,
}

impl Ranks {
    /// `modules` are the keys of modules in the order of their ranks, each with whether the module releases its slots during
    /// calls. `endpoints` are the keys of endpoints in the order of their ranks.
    pub fn new(modules: &[(Key, bool)], endpoints: &[Key]) -> Self {
        let ranked = modules.iter().take(COUNTED_MAX).zip(0..);
        let ranked_endpoints = endpoints.iter().take(ENDPOINTS_MAX).zip(0..);
        Self {
            ranks: ranked.map(|((key, _), rank)| (key.clone(), rank)).collect(),
            released: modules.iter().map(|(_, is_released)| *is_released).collect(),
            endpoints: ranked_endpoints.map(|(key, rank)| (key.clone(), rank)).collect(),
        }
    }

    /// The ranks of a row's module and endpoint, which have the same keys as in `cctf stats`.
    fn place(&self, row: &InvocationRow<'_>) -> Place {
        let module = Key {
            app_id: decoded(row.app),
            module_id: decoded(row.module),
            ..Key::default()
        };
        let rank = self.ranks.get(&module).copied().unwrap_or(REST);
        let endpoint = Key {
            method: decoded(row.method),
            route: decoded(row.endpoint_route()),
            ..module
        };
        Place {
            module: rank,
            is_released: self.released.get(rank as usize).copied().unwrap_or(false),
            endpoint: self.endpoints.get(&endpoint).copied().unwrap_or(REST),
        }
    }
}

impl Cells {
    #[inline]
    fn of(&mut self, rank: u32, bucket: usize) -> &mut Cell {
        let key = (rank, bucket as u32);
        let next = self.cells.len() as u32;
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.cells.push((key, Cell::default()));
        }
        &mut self.cells[number as usize].1
    }
}

impl Cell {
    fn add(&mut self, row: &InvocationRow<'_>, is_sketched: impl Fn(usize) -> bool) {
        self.calls += 1;
        self.errors += u64::from(row.is_error);
        for (number, (time, ns)) in self.times.iter_mut().zip(row.times).enumerate() {
            if let Some(ns) = ns {
                time.count += 1;
                time.sum_ns += u128::from(ns);
                if is_sketched(number) {
                    time.sketch.add(bin_of(ns));
                }
            }
        }
    }

    fn merge(&mut self, other: &Self, with_sketches: bool) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.busy_ns += other.busy_ns;
        for (time, more) in self.times.iter_mut().zip(&other.times) {
            time.count += more.count;
            time.sum_ns += more.sum_ns;
            if with_sketches {
                time.sketch.merge(&more.sketch);
            }
        }
    }
}

impl From<Cell> for Bucket {
    fn from(cell: Cell) -> Self {
        Self {
            calls: cell.calls,
            errors: cell.errors,
            times: cell.times.map(|time| BucketTime {
                count: time.count,
                sum_ns: time.sum_ns,
                bins: time.sketch.bins(),
            }),
            in_flight: None,
            utilisation: None,
        }
    }
}

impl ChunkTimeline {
    #[inline]
    pub fn add(&mut self, row: &InvocationRow<'_>, grid: Grid, ranks: &Ranks) {
        let bucket = grid.bucket_of_start(row.ts_start);
        let place = self.place(row, ranks);
        self.of_modules.of(place.module, bucket).add(row, |_| true);
        if place.endpoint != REST {
            let cell = self.of_endpoints.of(place.endpoint, bucket);
            cell.add(row, |time| time == Time::Response as usize);
        }
        let Some(service) = row.times[Time::Service as usize] else {
            return;
        };
        let free = if place.is_released { row.waits } else { 0 };
        self.add_busy(place.module, grid, row, service.saturating_sub(free));
    }

    /// Spreads the busy time of a request evenly over the buckets between its start and end.
    fn add_busy(&mut self, rank: u32, grid: Grid, row: &InvocationRow<'_>, busy: u64) {
        let span = i128::from(row.ts_end) - i128::from(row.ts_start);
        let (Some(first), Some(last)) = (grid.bucket(row.ts_start), grid.bucket(row.ts_end)) else {
            return;
        };
        if first == last {
            self.of_modules.of(rank, first).busy_ns += u128::from(busy);
            return;
        }
        for bucket in first..=last {
            let bounds = grid.bounds(bucket);
            let inside = i128::from(bounds.end.min(row.ts_end)) - i128::from(bounds.begin.max(row.ts_start));
            // Both are positive, because the buckets are between start and end.
            let share = i128::from(busy) * inside / span.max(1);
            self.of_modules.of(rank, bucket).busy_ns += u128::try_from(share).unwrap_or(0);
        }
    }

    /// The ranks for a row. One lookup is enough, because an endpoint determines its module.
    #[inline]
    fn place(&mut self, row: &InvocationRow<'_>, ranks: &Ranks) -> Place {
        self.scratch.clear();
        for part in [row.app, row.module, row.method, row.endpoint_route()] {
            self.scratch.extend_from_slice(part);
            self.scratch.push(b'\n');
        }
        if let Some(&place) = self.places.get(&*self.scratch) {
            return place;
        }
        let place = ranks.place(row);
        self.places.insert(self.scratch.as_slice().into(), place);
        place
    }
}

impl Collector {
    pub fn new(grid: Grid) -> Self {
        Self {
            grid,
            run: cells(grid),
            modules: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    pub fn absorb(&mut self, chunk: &ChunkTimeline) {
        for ((rank, bucket), cell) in &chunk.of_modules.cells {
            let (rank, bucket) = (*rank as usize, *bucket as usize);
            self.run[bucket].merge(cell, true);
            if rank >= COUNTED_MAX {
                continue;
            }
            let of_module = ranked(&mut self.modules, rank, self.grid);
            of_module[bucket].merge(cell, rank < SKETCHED_MAX);
        }
        for ((rank, bucket), cell) in &chunk.of_endpoints.cells {
            let of_endpoint = ranked(&mut self.endpoints, *rank as usize, self.grid);
            of_endpoint[*bucket as usize].merge(cell, true);
        }
    }

    pub fn finish(self) -> Collected {
        let endpoints = self.endpoints.into_iter().map(|cells| series(cells).0);
        Collected {
            run: series(self.run),
            modules: self.modules.into_iter().map(series).collect(),
            endpoints: endpoints.collect(),
        }
    }
}

/// The cells for a rank, which are created if they are missing.
fn ranked(all: &mut Vec<Vec<Cell>>, rank: usize, grid: Grid) -> &mut Vec<Cell> {
    while all.len() <= rank {
        all.push(cells(grid));
    }
    &mut all[rank]
}

fn cells(grid: Grid) -> Vec<Cell> {
    (0..grid.buckets()).map(|_| Cell::default()).collect()
}

fn series(cells: Vec<Cell>) -> SeriesWithBusy {
    let busy = cells.iter().map(|cell| cell.busy_ns).collect();
    let buckets = cells.into_iter().map(Bucket::from).collect();
    (Series { buckets }, busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_modules_have_counts_only_and_the_rest_are_in_the_run() {
        let grid = Grid::new(0, 0);
        let key = |number: usize| Key {
            module_id: Some(format!("m{number}")),
            ..Key::default()
        };
        let modules: Vec<(Key, bool)> = (0..COUNTED_MAX).map(|number| (key(number), false)).collect();
        let endpoint = |number: usize| Key {
            route: Some(format!("/{number}")),
            ..key(number)
        };
        let endpoints: Vec<Key> = (0..ENDPOINTS_MAX + 5).map(endpoint).collect();
        let ranks = Ranks::new(&modules, &endpoints);
        let mut chunk = ChunkTimeline::default();
        for number in 0..COUNTED_MAX + 7 {
            let module = format!("\"m{number}\"");
            let path = format!("\"/{number}\"");
            let mut row = InvocationRow {
                module: module.as_bytes(),
                path: path.as_bytes(),
                ..InvocationRow::default()
            };
            row.times[Time::Response as usize] = Some(9);
            chunk.add(&row, grid, &ranks);
        }
        let mut collector = Collector::new(grid);
        collector.absorb(&chunk);
        let Collected {
            run,
            modules,
            endpoints,
        } = collector.finish();
        assert_eq!(endpoints.len(), ENDPOINTS_MAX);
        for series in &endpoints {
            let time = &series.buckets[0].times[Time::Response as usize];
            assert_eq!((series.buckets[0].calls, time.sum_ns, time.bins.len()), (1, 9, 1));
        }
        let bins = |series: &SeriesWithBusy| series.0.buckets[0].times[Time::Response as usize].bins.clone();
        let bin = bin_of(9);
        assert_eq!(bins(&run), [(bin, COUNTED_MAX as u32 + 7)]);
        assert_eq!(modules.len(), COUNTED_MAX);
        for (rank, series) in modules.iter().enumerate() {
            let bucket = &series.0.buckets[0];
            let time = &bucket.times[Time::Response as usize];
            assert_eq!((bucket.calls, time.count, time.sum_ns), (1, 1, 9));
            let wanted: &[(u16, u32)] = if rank < SKETCHED_MAX { &[(bin, 1)] } else { &[] };
            assert_eq!(bins(series), wanted, "{rank}");
        }
    }
}
