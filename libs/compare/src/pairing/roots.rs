//! [`match_roots`]: matches the requests from outside that both runs have.

use foldhash::fast::FixedState;

use super::window::{Link, copies, counts_missing, expected};
use crate::gather::Side;
use crate::gather::names::FixedMap;
use crate::gather::rows::{NONE, RootId};

/// The matched roots of both runs. Numbers identify root calls.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RootPairs {
    /// Pairs of roots, in the order of A's times.
    pub pairs: Vec<(u32, u32)>,
    pub only_a: Vec<u32>,
    pub only_b: Vec<u32>,
    /// Whether a root that only one run has counts as a difference. `window::counts_missing` has the rule.
    pub counts_missing: bool,
    /// Whether a root may be in several pairs, because the other run sent it several times.
    pub has_copies: bool,
    /// Number of roots of one run outside of the part that the other run replays.
    pub outside: u64,
    /// Number of roots that no HTTP request can repeat.
    pub not_replayable: u64,
}

/// The id by which a root is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Own,
    /// The ids of the recorded request that it replays.
    Original,
}

/// The combinations of keys: one run replays the other, both replay a third run, or both have the same ids, as in a prediction.
const MODES: [(Key, Key); 4] = [
    (Key::Own, Key::Original),
    (Key::Original, Key::Original),
    (Key::Original, Key::Own),
    (Key::Own, Key::Own),
];

/// The ids of a root. A prediction may contain the invocation without its call, so a root's own ids include those of the
/// invocation.
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

/// Roots by their ids. Roots with the same ids are in the order of their times.
struct ById {
    /// Index in `entries` of the first root with these ids that is not matched yet.
    first: FixedMap<RootId, u32>,
    /// A root, and the index of the next one with the same ids.
    entries: Vec<(u32, u32)>,
}

impl ById {
    fn new(side: &Side, by: Key) -> Self {
        let roots = &side.tree.roots;
        let mut found = Self {
            first: FixedMap::with_capacity_and_hasher(roots.len(), FixedState::default()),
            entries: Vec::with_capacity(roots.len()),
        };
        for &root in roots.iter().rev() {
            for id in keys(side, root, by) {
                let next = found.first.insert(id, found.entries.len() as u32);
                found.entries.push((root, next.unwrap_or(NONE)));
            }
        }
        found
    }

    /// Adds the orphans, because a replay may send requests whose caller was missing.
    fn add_orphans(&mut self, side: &Side) {
        for &orphan in &side.tree.orphans {
            let place = self.entries.len() as u32;
            let id = side.tree.root_id(&side.rows, orphan);
            if *self.first.entry(id).or_insert(place) == place {
                self.entries.push((orphan, NONE));
            }
        }
    }
}

/// Pairs of roots. The number of pairs for each root of A and of B is limited.
struct Matching {
    pairs: Vec<(u32, u32)>,
    /// For each run, the number of pairs of each call.
    uses: [Vec<u16>; 2],
    uses_max: [u16; 2],
}

impl Matching {
    /// Pairs a root of B with the roots of A that have these ids. At most one of the two limits is above 1, so each step uses
    /// up a root of A or leaves it behind.
    fn take(&mut self, of_a: &mut ById, id: RootId, of_b: u32) {
        let Some(first) = of_a.first.get_mut(&id) else {
            return;
        };
        let [a_max, b_max] = self.uses_max;
        while let Some(&(root, next)) = of_a.entries.get(*first as usize)
            && self.uses[1][of_b as usize] < b_max
        {
            if self.uses[0][root as usize] < a_max {
                self.uses[0][root as usize] += 1;
                self.uses[1][of_b as usize] += 1;
                self.pairs.push((root, of_b));
            }
            if self.uses[0][root as usize] >= a_max {
                *first = next;
            }
        }
    }

    fn is_paired(&self, place: usize, root: u32) -> bool {
        self.uses[place][root as usize] > 0
    }
}

fn link(a: &Side, b: &Side, mode: (Key, Key)) -> Link {
    let replays =
        |replay: &Side, recorded: &Side| replay.facts.replay_of.as_deref() == Some(&recorded.facts.run_id);
    match mode {
        (Key::Own, Key::Original) => Link::Recorded(0),
        (Key::Original, Key::Own) => Link::Recorded(1),
        (Key::Original, Key::Original) => Link::Replays,
        (Key::Own, Key::Own) if replays(b, a) => Link::Recorded(0),
        (Key::Own, Key::Own) if replays(a, b) => Link::Recorded(1),
        (Key::Own, Key::Own) => Link::Equal,
    }
}

/// Matches the roots. `None` if fewer than half of the smaller run's roots have a counterpart; then the runs are not replays.
pub fn match_roots(a: &Side, b: &Side) -> Option<RootPairs> {
    let maps = [ById::new(a, Key::Own), ById::new(a, Key::Original)];
    let count = |&(of_a, of_b): &(Key, Key)| {
        let map = &maps[of_a as usize].first;
        let is_known = |root: &&u32| keys(b, **root, of_b).any(|id| map.contains_key(&id));
        b.tree.roots.iter().filter(is_known).count()
    };
    // Of several combinations with the same number of matches, the first one is used.
    let (matches, mode) = MODES
        .iter()
        .rev()
        .map(|mode| (count(mode), *mode))
        .max_by_key(|(count, _)| *count)?;
    let smaller = a.tree.roots.len().min(b.tree.roots.len());
    if matches == 0 || matches * 2 < smaller {
        return None;
    }
    let ids = maps.into_iter().nth(mode.0 as usize)?;
    let link = link(a, b, mode);
    let matching = pair_by_ids(a, b, ids, mode, link);
    Some(sort_out([a, b], link, mode != (Key::Own, Key::Own), matching))
}

/// Pairs the k-th occurrence of ids in A with the k-th in B. If one run is the recorded one, its root is paired with all copies
/// in the other run.
fn pair_by_ids(a: &Side, b: &Side, mut ids: ById, mode: (Key, Key), link: Link) -> Matching {
    let uses_max = match link {
        Link::Recorded(0) => [copies(&b.facts), 1],
        Link::Recorded(_) => [1, copies(&a.facts)],
        Link::Replays | Link::Equal => [1, 1],
    };
    let mut matching = Matching {
        pairs: Vec::new(),
        uses: [a, b].map(|side| vec![0; side.rows.calls.len()]),
        uses_max,
    };
    if mode == (Key::Own, Key::Original) {
        ids.add_orphans(a);
    }
    let orphans: &[u32] = match mode {
        (Key::Original, Key::Own) => &b.tree.orphans,
        _ => &[],
    };
    for &root in b.tree.roots.iter().chain(orphans) {
        for id in keys(b, root, mode.1) {
            if !matching.is_paired(1, root) {
                matching.take(&mut ids, id, root);
            }
        }
    }
    let start = |root: u32| a.root_start_ns(root);
    matching
        .pairs
        .sort_by_key(|&(of_a, of_b)| (start(of_a), of_a, of_b));
    matching
}

/// Sorts the roots without a counterpart: missing roots, roots outside the replayed part, and roots that cannot be sent.
fn sort_out(sides: [&Side; 2], link: Link, is_replay: bool, mut matching: Matching) -> RootPairs {
    let mut found = RootPairs {
        pairs: std::mem::take(&mut matching.pairs),
        counts_missing: counts_missing(sides, link),
        has_copies: matching.uses_max != [1, 1],
        ..RootPairs::default()
    };
    for (place, side) in sides.into_iter().enumerate() {
        let clues = |root: u32| side.rows.calls[root as usize].clues;
        let can_be_sent = |root: u32| !is_replay || clues(root).is_sent();
        let is_planned = |root: u32| !is_replay || clues(root).kind().can_be_sent();
        let is_paired = |root: u32| matching.is_paired(place, root);
        let expected = expected(sides, link, place, is_planned, is_paired);
        for (&root, is_expected) in side.tree.roots.iter().zip(expected) {
            match (is_paired(root), is_expected, can_be_sent(root)) {
                (true, ..) => {}
                (false, false, _) => found.outside += 1,
                (false, true, false) => found.not_replayable += 1,
                (false, true, true) if place == 0 => found.only_a.push(root),
                (false, true, true) => found.only_b.push(root),
            }
        }
    }
    found
}
