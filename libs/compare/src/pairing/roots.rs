//! [`match_roots`]: the requests from outside that both runs have.

use foldhash::fast::FixedState;

use crate::gather::Side;
use crate::gather::names::FixedMap;
use crate::gather::rows::{NONE, RootId};

/// Roots of both runs. Numbers are of root calls.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RootPairs {
    /// In the order of A's times.
    pub pairs: Vec<(u32, u32)>,
    pub only_a: Vec<u32>,
    pub only_b: Vec<u32>,
    /// Roots of A outside of the time that B replays.
    pub outside: u64,
    /// Roots that no HTTP request can repeat.
    pub not_replayable: u64,
}

/// The id by which a root is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Own,
    /// Of the recorded request that it replays.
    Original,
}

/// One run replays the other, both replay a third one, or both have the same ids, as a prediction may.
const MODES: [(Key, Key); 4] = [
    (Key::Own, Key::Original),
    (Key::Original, Key::Original),
    (Key::Original, Key::Own),
    (Key::Own, Key::Own),
];

fn key(side: &Side, root: u32, key: Key) -> Option<RootId> {
    match key {
        Key::Own => Some(side.tree.root_id(&side.rows, root)),
        Key::Original => match side.rows.calls[root as usize].original {
            NONE => None,
            original => Some(side.rows.originals[original as usize]),
        },
    }
}

fn by_id(side: &Side, by: Key) -> FixedMap<RootId, u32> {
    let roots = &side.tree.roots;
    let mut found = FixedMap::with_capacity_and_hasher(roots.len(), FixedState::default());
    for &root in roots {
        if let Some(id) = key(side, root, by) {
            found.entry(id).or_insert(root);
        }
    }
    found
}

/// Matches the roots. `None` if fewer than half of the smaller run's roots have a counterpart: the runs are no replays.
pub fn match_roots(a: &Side, b: &Side) -> Option<RootPairs> {
    let maps = [by_id(a, Key::Own), by_id(a, Key::Original)];
    let count = |&(of_a, of_b): &(Key, Key)| {
        let ids = b.tree.roots.iter().filter_map(|&root| key(b, root, of_b));
        ids.filter(|id| maps[of_a as usize].contains_key(id)).count()
    };
    // Of modes with as many matches, the first one.
    let (matches, mode) = MODES
        .iter()
        .rev()
        .map(|mode| (count(mode), *mode))
        .max_by_key(|(count, _)| *count)?;
    let smaller = a.tree.roots.len().min(b.tree.roots.len());
    if matches == 0 || matches * 2 < smaller {
        return None;
    }
    let mut ids = maps.into_iter().nth(mode.0 as usize)?;
    let mut found = RootPairs::default();
    let is_replay = mode != (Key::Own, Key::Own);
    let is_repeatable = |side: &Side, root: u32| !is_replay || side.rows.calls[root as usize].is_http;
    if is_replay {
        // A replay may send requests whose caller was missing.
        for &orphan in &a.tree.orphans {
            ids.entry(a.tree.root_id(&a.rows, orphan)).or_insert(orphan);
        }
    }
    for &root in &b.tree.roots {
        match key(b, root, mode.1).and_then(|id| ids.remove(&id)) {
            Some(of_a) => found.pairs.push((of_a, root)),
            None if is_repeatable(b, root) => found.only_b.push(root),
            None => found.not_replayable += 1,
        }
    }
    let start = |root: u32| a.rows.calls[root as usize].start_ns;
    found.pairs.sort_by_key(|&(of_a, of_b)| (start(of_a), of_a, of_b));
    let range = found.pairs.first().zip(found.pairs.last());
    let range = range.map(|(first, last)| start(first.0)..=start(last.0))?;
    let paired: FixedMap<u32, ()> = found.pairs.iter().map(|&(of_a, _)| (of_a, ())).collect();
    for &root in a.tree.roots.iter().filter(|root| !paired.contains_key(root)) {
        if !range.contains(&start(root)) {
            found.outside += 1;
        } else if is_repeatable(a, root) {
            found.only_a.push(root);
        } else {
            found.not_replayable += 1;
        }
    }
    Some(found)
}
