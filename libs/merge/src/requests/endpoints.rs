//! [`Endpoints`]: statistics of the endpoints of all modules. Only the endpoints that appear first, in the order of traces, are listed.

use aggregate::maps::Map;
use aggregate::modules::{ENDPOINTS_MAX as PER_MODULE_MAX, EndpointStats, InvocationFacts, ModuleStats};
use aggregate::names::Names;
use cctf_proto::cctf::TraceId;

use crate::ids::ModuleId;

/// Maximum number of endpoints of all modules, because their histograms take about 8 KiB each. Further endpoints of a module
/// are counted as one.
const ENDPOINTS_MAX: usize = 2048;
/// Maximum bytes of an endpoint's method and route. An endpoint with longer ones is counted as one without method and route. So all
/// listed endpoints fit into [`Names`].
const KEY_BYTES_MAX: usize = 4096;

/// Where an invocation is in the order in which traces are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub trace_hash: u64,
    pub trace: TraceId,
    /// Index of the row in its trace.
    pub row: u32,
}

/// A listed endpoint.
#[derive(Debug)]
pub struct Listed {
    /// Its first invocation.
    pub first: Place,
    pub stats: EndpointStats,
}

#[derive(Debug, Default)]
struct OfModule {
    listed: Map<Box<str>, Listed>,
    /// All endpoints that are not listed.
    others: Option<EndpointStats>,
}

#[derive(Debug, Default)]
pub struct Endpoints {
    modules: Map<ModuleId, OfModule>,
    /// Number of all listed ones.
    count: usize,
}

impl Endpoints {
    /// Counts an invocation. Returns false, without counting it, if its endpoint is not listed and there is no room for it.
    pub fn add(&mut self, module: ModuleId, key: &str, place: Place, facts: &InvocationFacts) -> bool {
        if self.add_listed(module, key, facts) {
            return true;
        }
        let has_room = self.count < ENDPOINTS_MAX;
        let of_module = self.modules.entry(module).or_default();
        if key.len() > KEY_BYTES_MAX {
            of_module.others.get_or_insert_default().add(facts);
            return true;
        }
        if !has_room || of_module.listed.len() >= PER_MODULE_MAX {
            return false;
        }
        let mut stats = EndpointStats::default();
        stats.add(facts);
        of_module
            .listed
            .insert(key.into(), Listed { first: place, stats });
        self.count += 1;
        true
    }

    /// Counts an invocation if its endpoint is listed. Returns whether it is.
    pub fn add_listed(&mut self, module: ModuleId, key: &str, facts: &InvocationFacts) -> bool {
        let of_module = self.modules.get_mut(&module);
        match of_module.and_then(|of_module| of_module.listed.get_mut(key)) {
            Some(known) => {
                known.stats.add(facts);
                true
            }
            None => false,
        }
    }

    /// Counts an invocation of an endpoint that is not listed.
    pub fn add_other(&mut self, module: ModuleId, facts: &InvocationFacts) {
        let of_module = self.modules.entry(module).or_default();
        of_module.others.get_or_insert_default().add(facts);
    }

    /// Adds the statistics of an endpoint. Endpoints must come in the order of their first invocations. Without room
    /// for it, it counts among the others of its module.
    pub fn unite(&mut self, module: ModuleId, key: Option<&str>, first: Place, stats: EndpointStats) {
        let of_module = self.modules.entry(module).or_default();
        let has_room = self.count < ENDPOINTS_MAX && of_module.listed.len() < PER_MODULE_MAX;
        match key {
            Some(key) if of_module.listed.contains_key(key) => {
                if let Some(known) = of_module.listed.get_mut(key) {
                    known.stats.merge(&stats);
                }
            }
            Some(key) if has_room => {
                of_module.listed.insert(key.into(), Listed { first, stats });
                self.count += 1;
            }
            _ => of_module.others.get_or_insert_default().merge(&stats),
        }
    }

    /// All endpoints: module, method and route, first invocation, and statistics. The unlisted endpoints of a module are one entry,
    /// without method, route and first invocation.
    pub fn iter(&self) -> impl Iterator<Item = (ModuleId, Option<(&str, Place)>, &EndpointStats)> {
        self.modules.iter().flat_map(|(&module, of_module)| {
            let listed = of_module.listed.iter();
            let listed = listed.map(move |(key, of)| (module, Some((&**key, of.first)), &of.stats));
            listed.chain(of_module.others.as_ref().map(|stats| (module, None, stats)))
        })
    }

    /// Moves the statistics to their modules, and gives each listed endpoint a number.
    pub fn move_to(&mut self, modules: &mut Map<ModuleId, ModuleStats>, names: &mut Names) {
        for (module, of_module) in self.modules.drain() {
            let endpoints = &mut modules.entry(module).or_default().endpoints;
            for (key, listed) in of_module.listed {
                endpoints.insert(names.number(&key), listed.stats);
            }
            endpoints.extend(of_module.others.map(|stats| (None, stats)));
        }
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: u64) -> Place {
        Place {
            trace_hash: number,
            trace: TraceId([1; 16]),
            row: 0,
        }
    }

    /// Each of two parts lists other endpoints than the whole does, because each has room for more.
    #[test]
    fn parts_with_their_rest_united_list_what_the_whole_lists() {
        let facts = InvocationFacts::default();
        let keys: Vec<String> = (0..700)
            .map(|number| format!("+GET\t+/{}\t", number % 400))
            .collect();
        let module = ModuleId::new(0);
        let mut whole = Endpoints::default();
        let mut parts = [Endpoints::default(), Endpoints::default()];
        let mut rest = Vec::new();
        for (number, key) in (0_u64..).zip(&keys) {
            if !whole.add(module, key, place(number), &facts) {
                whole.add_other(module, &facts);
            }
            if !parts[usize::from(number.is_multiple_of(3))].add(module, key, place(number), &facts) {
                rest.push(key);
            }
        }
        let mut handed: Vec<(Place, String, u64)> = Vec::new();
        for (_, listed, stats) in parts.iter().flat_map(Endpoints::iter) {
            let (key, first) = listed.unwrap();
            handed.push((first, key.to_owned(), stats.calls));
        }
        handed.sort();
        let mut united = Endpoints::default();
        for (first, key, calls) in handed {
            let mut stats = EndpointStats::default();
            (0..calls).for_each(|_| stats.add(&facts));
            united.unite(module, Some(&key), first, stats);
        }
        assert!(!rest.is_empty());
        for key in rest {
            if !united.add_listed(module, key, &facts) {
                united.add_other(module, &facts);
            }
        }
        let figures = |of: &Endpoints| {
            let mut found: Vec<_> = of
                .iter()
                .map(|(_, key, stats)| (key.map(|(key, _)| key.to_owned()), stats.calls))
                .collect();
            found.sort();
            found
        };
        assert_eq!(figures(&united), figures(&whole));
        assert_eq!(figures(&whole).len(), PER_MODULE_MAX + 1);
    }
}
