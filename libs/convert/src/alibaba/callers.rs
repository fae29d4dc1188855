//! [`tree_of`]: finds the callers in one trace. By the specification, the rpc id names the caller. If it names none or several,
//! modules and times decide. If several callers remain possible, the caller is unknown.

use aggregate::maps::Map;

use super::calls::{Call, Interval, calls_of};
use super::ids::Ids;
use super::names::{NONE, NameId, OnlyName};
use super::rows::{CallRow, Kind};
use super::tree::{Caller, Inferred, Rebuilt, Tree};

/// Maximum number of possible callers that are compared by time. If there are more, several fit anyway.
const CANDIDATES_MAX: usize = 1_000;

/// The calls of a trace by id, and the callers that have been found so far.
struct Builder<'i> {
    ids: &'i Ids<'i>,
    calls: Vec<Call>,
    /// Index of the first call of each id. The last element is the number of all calls.
    first: Vec<usize>,
    callers: Vec<Option<Caller>>,
    rebuilt: Vec<Rebuilt>,
    /// Index of the rebuilt invocation, by its id.
    rebuilt_of: Map<usize, usize>,
    inferred: Inferred,
}

/// Rebuilds a trace. The rows are in the order of the ids.
pub fn tree_of(ids: &Ids<'_>, rows: &[(usize, CallRow)]) -> Tree {
    let mut builder = Builder::new(ids, rows);
    builder.infer_modules();
    builder.rebuild();
    builder.find_callers_by_id();
    builder.find_callers_by_name();
    builder.finish()
}

impl<'i> Builder<'i> {
    fn new(ids: &'i Ids<'i>, rows: &[(usize, CallRow)]) -> Self {
        let (mut calls, mut of_id) = (Vec::with_capacity(rows.len()), Vec::new());
        let mut first = vec![0; ids.len() + 1];
        let mut next = 0;
        for same in rows.chunk_by(|(left, _), (right, _)| left == right) {
            let id = same[0].0;
            first[next..=id].fill(calls.len());
            next = id + 1;
            of_id.clear();
            of_id.extend(same.iter().map(|(_, row)| *row));
            calls_of(id, &of_id, &mut calls);
        }
        first[next..].fill(calls.len());
        Self {
            ids,
            callers: vec![None; calls.len()],
            calls,
            first,
            rebuilt: Vec::new(),
            rebuilt_of: Map::default(),
            inferred: Inferred::default(),
        }
    }

    fn calls_at(&self, id: usize) -> std::ops::Range<usize> {
        self.first[id]..self.first[id + 1]
    }

    /// The calls with an id whose callee can make calls, because it is neither a cache nor a database.
    fn callees_at(&self, id: usize) -> impl Iterator<Item = usize> + '_ {
        self.calls_at(id)
            .filter(|&index| !matches!(self.calls[index].kind, Kind::Cache | Kind::Database))
    }

    /// The only call with an id.
    fn only_at(&self, id: usize) -> Option<usize> {
        let calls = self.calls_at(id);
        (calls.len() == 1).then_some(calls.start)
    }

    /// Fills missing names of modules. A callee gets the name that all calls below it state for their caller. A caller gets the
    /// name of the callee in the call above.
    fn infer_modules(&mut self) {
        let mut callers_below = vec![(OnlyName::Nothing, OnlyName::Nothing); self.ids.len()];
        for call in &self.calls {
            if let Some(parent) = self.ids.parent(call.id) {
                callers_below[parent].0.add(call.labels.um);
                callers_below[parent].1.add(call.labels.um_instance);
            }
        }
        for (id, (um, instance)) in callers_below.into_iter().enumerate() {
            let Some(index) = self.only_at(id) else { continue };
            let labels = &mut self.calls[index].labels;
            if let (NONE, Some(um)) = (labels.dm, um.get()) {
                labels.dm = um;
                self.inferred.modules += 1;
            }
            if let (NONE, Some(instance), true) =
                (labels.dm_instance, instance.get(), Some(labels.dm) == um.get())
            {
                labels.dm_instance = instance;
            }
        }
        for index in 0..self.calls.len() {
            let call = &self.calls[index];
            let above = self.ids.parent(call.id).and_then(|parent| self.only_at(parent));
            let above = above.map(|above| self.calls[above].labels);
            let labels = &mut self.calls[index].labels;
            if let (NONE, Some(above)) = (labels.um, above)
                && above.dm != NONE
            {
                (labels.um, labels.um_instance) = (above.dm, above.dm_instance);
                self.inferred.modules += 1;
            }
        }
    }

    /// Rebuilds an invocation for each id that has no row itself, but has calls directly below it.
    fn rebuild(&mut self) {
        let mut below: Map<usize, Vec<usize>> = Map::default();
        for (index, call) in self.calls.iter().enumerate() {
            if let Some(parent) = self.ids.parent(call.id)
                && self.calls_at(parent).is_empty()
            {
                below.entry(parent).or_default().push(index);
            }
        }
        let mut below: Vec<(usize, Vec<usize>)> = below.into_iter().collect();
        below.sort_unstable_by_key(|(id, _)| *id);
        for (id, calls) in below {
            let module = self.most_frequent_caller(&calls);
            let of_module = calls.iter().map(|&index| &self.calls[index]);
            let of_module = of_module.filter(|call| [NONE, module].contains(&call.labels.um));
            let mut instance = OnlyName::Nothing;
            let mut interval: Option<Interval> = None;
            for call in of_module {
                instance.add(call.labels.um_instance);
                let at_caller = call.at_caller();
                interval = Some(interval.map_or(at_caller, |known| known.hull(at_caller)));
            }
            let Some(interval) = interval else { continue };
            self.rebuilt_of.insert(id, self.rebuilt.len());
            self.rebuilt.push(Rebuilt {
                id,
                module,
                instance: instance.get().unwrap_or(NONE),
                interval,
                caller: Caller::Unknown,
            });
        }
        self.find_callers_of_rebuilt();
    }

    /// The module that most calls name as their caller. If several are named equally often, the first one.
    fn most_frequent_caller(&self, calls: &[usize]) -> NameId {
        let mut counts: Vec<(NameId, usize)> = Vec::new();
        for &index in calls {
            let um = self.calls[index].labels.um;
            match counts.iter().position(|(known, _)| *known == um) {
                Some(known) => counts[known].1 += 1,
                None if um != NONE && counts.len() < CANDIDATES_MAX => counts.push((um, 1)),
                None => {}
            }
        }
        let most = counts.iter().map(|(_, count)| *count).max();
        let first = counts.iter().find(|(_, count)| Some(*count) == most);
        first.map_or(NONE, |(um, _)| *um)
    }

    /// Finds the callers of rebuilt invocations. Such a caller is an invocation of the id above, either rebuilt or with a row. If
    /// a rebuilt invocation is the only one in the trace without anything known above it, it is the entry of the trace.
    fn find_callers_of_rebuilt(&mut self) {
        let is_known = |id: usize| !self.calls_at(id).is_empty() || self.rebuilt_of.contains_key(&id);
        let has_known_above = |mut id: usize| {
            while let Some(parent) = self.ids.parent(id) {
                if is_known(parent) {
                    return true;
                }
                id = parent;
            }
            false
        };
        let is_topmost: Vec<bool> = self
            .rebuilt
            .iter()
            .map(|rebuilt| !has_known_above(rebuilt.id))
            .collect();
        let roots = self
            .calls
            .iter()
            .filter(|call| self.ids.parent(call.id).is_none());
        let is_only = roots.count() + is_topmost.iter().filter(|is_topmost| **is_topmost).count() == 1;
        for (index, is_topmost) in is_topmost.into_iter().enumerate() {
            let rebuilt = self.rebuilt[index];
            let above = self.ids.parent(rebuilt.id);
            let caller = match above {
                _ if is_topmost && is_only => Caller::Outside,
                None => Caller::Unknown,
                Some(above) => match self.rebuilt_of.get(&above) {
                    Some(above) => Caller::Invocation(self.calls.len() + above),
                    None => self.by_time(self.callees_at(above), rebuilt.interval),
                },
            };
            self.inferred.unknown_callers += u64::from(caller == Caller::Unknown);
            self.inferred.entries += u64::from(caller == Caller::Outside && above.is_some());
            self.rebuilt[index].caller = caller;
        }
    }

    fn interval_of(&self, invocation: usize) -> Interval {
        match self.calls.get(invocation) {
            Some(call) => call.interval(),
            None => self.rebuilt[invocation - self.calls.len()].interval,
        }
    }

    /// The only candidate, or the only one that was busy at the time.
    fn by_time(&self, candidates: impl IntoIterator<Item = usize>, time: Interval) -> Caller {
        let mut candidates = candidates.into_iter();
        let (first, second) = match (candidates.next(), candidates.next()) {
            (None, _) => return Caller::Unknown,
            (Some(only), None) => return Caller::Invocation(only),
            (Some(first), Some(second)) => (first, second),
        };
        let all = [first, second].into_iter().chain(candidates);
        let all: Vec<usize> = all.take(CANDIDATES_MAX + 1).collect();
        match all.len() <= CANDIDATES_MAX {
            true => self.by_time_alone(&all, time),
            false => Caller::Unknown,
        }
    }

    /// The only candidate that was busy at the time.
    fn by_time_alone(&self, candidates: &[usize], time: Interval) -> Caller {
        for fits in [Interval::contains, Interval::contains_begin] {
            let mut fitting = candidates
                .iter()
                .filter(|&&candidate| fits(self.interval_of(candidate), time));
            match (fitting.next(), fitting.next()) {
                (Some(&only), None) => return Caller::Invocation(only),
                (Some(_), Some(_)) => return Caller::Unknown,
                (None, _) => {}
            }
        }
        Caller::Unknown
    }

    /// Finds callers by the description of the data: the caller has the id of the call without its last number.
    fn find_callers_by_id(&mut self) {
        for index in 0..self.calls.len() {
            let call = self.calls[index];
            let Some(above) = self.ids.parent(call.id) else {
                self.callers[index] = Some(Caller::Outside);
                continue;
            };
            let candidates = self.calls_at(above);
            if candidates.is_empty() {
                let rebuilt = self.rebuilt_of.get(&above).copied();
                let fits = |&rebuilt: &usize| [NONE, self.rebuilt[rebuilt].module].contains(&call.labels.um);
                self.callers[index] = rebuilt
                    .filter(fits)
                    .map(|rebuilt| Caller::Invocation(self.calls.len() + rebuilt));
                continue;
            }
            let shares_id = candidates.len() > 1;
            let with_module = |module| {
                let calls = &self.calls;
                candidates
                    .clone()
                    .filter(move |&candidate| calls[candidate].labels.dm == module)
            };
            let um = call.labels.um;
            let caller = if um == NONE {
                Some(self.by_time(self.callees_at(above), call.at_caller()))
            } else if with_module(um).next().is_some() {
                Some(self.by_time(with_module(um), call.at_caller()))
            } else if with_module(NONE).next().is_some() {
                Some(self.by_time(with_module(NONE), call.at_caller()))
            } else {
                None
            };
            self.callers[index] = caller;
            self.inferred.callers += u64::from(shares_id && matches!(caller, Some(Caller::Invocation(_))));
            self.inferred.unknown_callers += u64::from(caller == Some(Caller::Unknown));
        }
    }

    /// Finds the callers of calls whose id contradicts the name of their caller: an invocation of that module, anywhere in the
    /// trace, if only one was busy at the time.
    fn find_callers_by_name(&mut self) {
        if !self.callers.contains(&None) {
            return;
        }
        let mut by_module: Map<NameId, Vec<usize>> = Map::default();
        let of_calls = self.calls.iter().map(|call| call.labels.dm);
        let of_rebuilt = self.rebuilt.iter().map(|rebuilt| rebuilt.module);
        for (invocation, module) in of_calls.chain(of_rebuilt).enumerate() {
            by_module.entry(module).or_default().push(invocation);
        }
        for index in 0..self.calls.len() {
            if self.callers[index].is_some() {
                continue;
            }
            let call = self.calls[index];
            let candidates = by_module.get(&call.labels.um).map_or(&[][..], |found| &found[..]);
            let found = match candidates.len() <= CANDIDATES_MAX && call.labels.um != NONE {
                true => self.by_time_alone(candidates, call.at_caller()),
                false => Caller::Unknown,
            };
            let caller = match found {
                Caller::Invocation(caller) if self.is_below(caller, index) => Caller::Unknown,
                found => found,
            };
            self.inferred.callers += u64::from(caller != Caller::Unknown);
            self.inferred.unknown_callers += u64::from(caller == Caller::Unknown);
            self.callers[index] = Some(caller);
        }
    }

    /// Whether an invocation is caused by a call, or whether the chain of callers is too long to find out.
    fn is_below(&self, mut invocation: usize, call: usize) -> bool {
        for _ in 0..CANDIDATES_MAX {
            if invocation == call {
                return true;
            }
            let caller = match self.callers.get(invocation) {
                Some(caller) => *caller,
                None => Some(self.rebuilt[invocation - self.calls.len()].caller),
            };
            match caller {
                Some(Caller::Invocation(caller)) => invocation = caller,
                _ => return false,
            }
        }
        true
    }

    fn finish(self) -> Tree {
        let callers: Vec<Caller> = self
            .callers
            .iter()
            .map(|caller| caller.unwrap_or(Caller::Unknown))
            .collect();
        let mut has_calls = vec![false; self.calls.len() + self.rebuilt.len()];
        let of_rebuilt = self.rebuilt.iter().map(|rebuilt| rebuilt.caller);
        for caller in callers.iter().copied().chain(of_rebuilt) {
            if let Caller::Invocation(invocation) = caller {
                has_calls[invocation] = true;
            }
        }
        Tree {
            calls: self.calls,
            callers,
            rebuilt: self.rebuilt,
            has_calls,
            inferred: self.inferred,
        }
    }
}
