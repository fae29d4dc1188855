//! [`expected`]: decides which roots of one run the other run should have. It uses what `run_meta.json` states about the
//! replays.

use crate::gather::{Facts, Side};

/// The part of a recorded run that a replay sends.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    /// Offsets from the first root of the recorded run, nanoseconds.
    from_ns: i64,
    to_ns: i64,
    /// Maximum number of requests.
    limit: u64,
}

impl Window {
    fn of(facts: &Facts) -> Self {
        Self {
            from_ns: facts.replay_from_ns.unwrap_or(0),
            to_ns: facts.replay_to_ns.unwrap_or(i64::MAX),
            limit: facts.replay_limit.unwrap_or(u64::MAX),
        }
    }
}

/// The relation between the two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The run at this index (0 for A, 1 for B) was recorded, and the other run replays it.
    Recorded(usize),
    /// Both runs replay a third run.
    Replays,
    /// Both runs have the same ids.
    Equal,
}

/// Factor and method of scaling, if the replay sent a random choice of roots or sent roots several times.
fn scaling(facts: &Facts) -> Option<(f64, &str)> {
    let (factor, by) = facts.replay_scale.as_ref()?;
    (*factor != 1.0 && by != "squeeze").then_some((*factor, by))
}

/// How often a replay sends each recorded root.
pub fn copies(facts: &Facts) -> u16 {
    /// The maximum in a replay: `docs/replay.md`.
    const COPIES_MAX: f64 = 256.0;
    match scaling(facts) {
        Some((factor, "overlap")) => factor.clamp(1.0, COPIES_MAX).ceil() as u16,
        _ => 1,
    }
}

/// Whether a root that only one run has counts as a difference of the call graph. A scaled replay leaves out roots or sends
/// them several times on purpose; this is a difference of arrivals instead.
pub fn counts_missing(sides: [&Side; 2], link: Link) -> bool {
    let facts = sides.map(|side| &side.facts);
    match link {
        Link::Recorded(place) => match scaling(facts[1 - place]) {
            None => true,
            // The first copy has all roots, unless the limit ends the replay earlier.
            Some((_, by)) => by == "overlap" && facts[1 - place].replay_limit.is_none(),
        },
        Link::Replays => {
            let scalings = facts.map(scaling);
            let [a, b] = facts.map(|facts| (Window::of(facts), facts.seed));
            scalings == [None; 2] || (scalings[0] == scalings[1] && a == b)
        }
        Link::Equal => true,
    }
}

/// For each root of the run at `place`, in the order of the roots: whether the other run should have it. `is_planned` returns
/// whether a replay counts a root towards its limit, and `is_paired` whether the root has a counterpart.
pub fn expected(
    sides: [&Side; 2],
    link: Link,
    place: usize,
    is_planned: impl Fn(u32) -> bool,
    is_paired: impl Fn(u32) -> bool,
) -> Vec<bool> {
    let (side, other) = (sides[place], sides[1 - place]);
    match link {
        Link::Recorded(recorded) if recorded == place => {
            of_recorded(side, Window::of(&other.facts), is_planned, is_paired)
        }
        Link::Replays => of_replay(side, Window::of(&other.facts), is_paired),
        Link::Recorded(_) | Link::Equal => vec![true; side.tree.roots.len()],
    }
}

/// The result of [`expected`] for a recorded run. The window counts from the first root of the run, and the limit counts HTTP
/// requests, as in `plan::roots::Selection`.
fn of_recorded(
    side: &Side,
    window: Window,
    is_planned: impl Fn(u32) -> bool,
    is_paired: impl Fn(u32) -> bool,
) -> Vec<bool> {
    // Orphans count only if the replay sent them as roots.
    let mut orphans = side.tree.orphans.clone();
    if !orphans.iter().any(|&orphan| is_paired(orphan)) {
        orphans.clear();
    }
    orphans.sort_unstable_by_key(|&orphan| side.root_start_ns(orphan));
    let mut orphans = orphans.into_iter().peekable();
    let starts = side.tree.roots.first().into_iter().chain(orphans.peek());
    let first_ns = starts.map(|&root| side.root_start_ns(root)).min().unwrap_or(0);
    let mut sent = 0_u64;
    let mut is_sent = |root: u32| {
        let offset = side.root_start_ns(root).saturating_sub(first_ns);
        let is_within = window.from_ns <= offset && offset < window.to_ns;
        sent += u64::from(is_within && is_planned(root));
        is_within && sent <= window.limit
    };
    let each = side.tree.roots.iter().map(|&root| {
        let start = side.root_start_ns(root);
        while let Some(orphan) = orphans.next_if(|&orphan| side.root_start_ns(orphan) < start) {
            is_sent(orphan);
        }
        is_sent(root)
    });
    each.collect()
}

/// The result of [`expected`] for a replay. The recorded times of its roots are not known exactly. Only two facts are known: the
/// first root is not before the window; and how much recorded time lies between one root and the next. So roots that are closer
/// to an edge of the other replay's window than the longest such time are not expected.
fn of_replay(side: &Side, other: Window, is_paired: impl Fn(u32) -> bool) -> Vec<bool> {
    let own = Window::of(&side.facts);
    let roots = &side.tree.roots;
    let squeeze = match &side.facts.replay_scale {
        Some((factor, by)) if by == "squeeze" => *factor,
        _ => 1.0,
    };
    let stretch = side.facts.replay_speed.unwrap_or(1.0) * squeeze;
    let between =
        |from: u32, to: u32| side.root_start_ns(to).saturating_sub(side.root_start_ns(from)) as f64 * stretch;
    let gap = roots
        .windows(2)
        .map(|pair| between(pair[0], pair[1]))
        .fold(0.0, f64::max);
    let last_pair = roots.iter().rposition(|&root| is_paired(root));
    let mut within = 0_u64;
    let each = roots.iter().enumerate().map(|(number, &root)| {
        let offset = own.from_ns as f64 + between(roots[0], root);
        let is_after_begin = other.from_ns <= own.from_ns || offset - gap >= other.from_ns as f64;
        let is_before_end = other.to_ns >= own.to_ns || offset + gap < other.to_ns as f64;
        let is_within = is_after_begin && is_before_end;
        within += u64::from(is_within);
        let is_below_limit = match other.limit {
            u64::MAX => true,
            limit if own.from_ns == other.from_ns => within <= limit,
            // The limit of the other replay was counted from another root, so only roots before the last paired one count as
            // below it.
            _ => last_pair.is_some_and(|last| number < last),
        };
        is_within && is_below_limit
    });
    each.collect()
}
