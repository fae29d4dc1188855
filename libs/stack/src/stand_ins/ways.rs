//! The links between recorded instances, and between their stand-ins.

use super::figures::Way;
use super::placed::Placed;

impl Placed {
    /// The node of an instance's stand-in. `None` if the instance has none, and stand-ins on several nodes get its requests in
    /// turn.
    pub fn node_of(&self, module: &str, instance: &str) -> Option<&str> {
        let of_module = || self.stand_ins.iter().filter(|one| one.module == module);
        let own = of_module().find(|one| one.instance == instance);
        let node = own.or(of_module().next())?.node.as_str();
        let is_known = own.is_some() || of_module().all(|one| one.node == node);
        is_known.then_some(node)
    }

    /// Delay and rate of the recorded link over which `u` called `v`.
    pub fn recorded_way(&self, u: &str, v: &str) -> Option<Way> {
        self.figures.recorded_way(u, v)
    }

    /// Like [`Placed::recorded_way`], for the link between stand-ins.
    pub fn way(&self, u: &str, v: &str) -> Option<Way> {
        self.figures.way(u, v)
    }
}
