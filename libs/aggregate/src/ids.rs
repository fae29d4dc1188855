//! Numeric ids of runs, nodes, modules, instances and names. Each kind has its own type, so an id of one kind cannot be used as
//! another. An optional id also takes four bytes.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// Declares id types. An id counts from zero and is stored plus one, so that zero can stand for `None`.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// An id for a table index. It saturates at `u32::MAX`, which no table reaches.
            #[inline]
            pub const fn new(index: usize) -> Self {
                Self(NonZeroU32::MIN.saturating_add(index as u32))
            }

            /// The index in the table that assigned the id.
            #[inline]
            pub const fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }
    )*};
}

numbers! {
    /// A run, by its index in the table of runs. The index is used again when the run is forgotten.
    RunId,
    /// A node in the registry of sources. The field `node_id` of CCTF is its text.
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
