//! Numbers that stand for runs, nodes, modules, instances and names. Each has a type of its own, so that none can be used as
//! another. An optional one takes four bytes, too.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// Declares number types that count from zero and are stored plus one, which leaves zero for `None`.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// Tables end far below `u32::MAX`, where this saturates.
            #[inline]
            pub const fn new(index: usize) -> Self {
                Self(NonZeroU32::MIN.saturating_add(index as u32))
            }

            /// Its place in the table that gave the number.
            #[inline]
            pub const fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }
    )*};
}

numbers! {
    /// A run, by its slot. The slot is reused once the run is forgotten.
    RunId,
    /// A node in the registry of sources; the contract's `node_id` is its text.
    NodeId,
    /// A module: `service.namespace` and `service.name`.
    ModuleId,
    /// An instance of a module on a node.
    InstanceId,
    /// A text in [`Names`](crate::names::Names): an endpoint, or the peer of a call.
    NameId,
}

const _: () = assert!(
    size_of::<Option<InstanceId>>() == 4,
    "the join's entries rely on it"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_place() {
        assert_eq!((NodeId::new(0).index(), NodeId::new(7).index()), (0, 7));
        assert!(NodeId::new(1) < NodeId::new(2));
    }
}
