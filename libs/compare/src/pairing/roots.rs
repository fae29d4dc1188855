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

/// The ids of a root. A prediction may have the invocation and no call before it, so an own id is also that of the invocation.
fn keys(side: &Side, root: u32, key: Key) -> impl Iterator<Item = RootId> {
    let ids = match key {
        Key::Own => {
            let answer = side
                .tree
                .callee(root)
                .map(|callee| &side.rows.invocations[callee as usize]);
            let answer = answer.map(|answer| (answer.trace_id, answer.span_id));
            [Some(side.tree.root_id(&side.rows, root)), answer]
        }
        Key::Original => match side.rows.calls[root as usize].original {
            NONE => [None; 2],
            original => [Some(side.rows.originals[original as usize]), None],
        },
    };
    ids.into_iter().flatten()
}

fn by_id(side: &Side, by: Key) -> FixedMap<RootId, u32> {
    let roots = &side.tree.roots;
    let mut found = FixedMap::with_capacity_and_hasher(roots.len(), FixedState::default());
    for &root in roots {
        for id in keys(side, root, by) {
            found.entry(id).or_insert(root);
        }
    }
    found
}

/// Matches the roots. `None` if fewer than half of the smaller run's roots have a counterpart: the runs are no replays.
pub fn match_roots(a: &Side, b: &Side) -> Option<RootPairs> {
    let maps = [by_id(a, Key::Own), by_id(a, Key::Original)];
    let count = |&(of_a, of_b): &(Key, Key)| {
        let map = &maps[of_a as usize];
        let is_known = |root: &&u32| keys(b, **root, of_b).any(|id| map.contains_key(&id));
        b.tree.roots.iter().filter(is_known).count()
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
    // Several requests of B may name the same one of A; the first one is its counterpart.
    let mut paired: FixedMap<u32, ()> = FixedMap::default();
    let is_replay = mode != (Key::Own, Key::Own);
    let is_repeatable = |side: &Side, root: u32| !is_replay || side.rows.calls[root as usize].is_http;
    if is_replay {
        // A replay may send requests whose caller was missing.
        for &orphan in &a.tree.orphans {
            ids.entry(a.tree.root_id(&a.rows, orphan)).or_insert(orphan);
        }
    }
    for &root in &b.tree.roots {
        let mut known = keys(b, root, mode.1).filter_map(|id| ids.get(&id).copied());
        match known.find(|of_a| paired.insert(*of_a, ()).is_none()) {
            Some(of_a) => found.pairs.push((of_a, root)),
            None if is_repeatable(b, root) => found.only_b.push(root),
            None => found.not_replayable += 1,
        }
    }
    let start = |root: u32| a.rows.calls[root as usize].start_ns;
    found.pairs.sort_by_key(|&(of_a, of_b)| (start(of_a), of_a, of_b));
    let range = found.pairs.first().zip(found.pairs.last());
    let range = range.map(|(first, last)| start(first.0)..=start(last.0))?;
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
