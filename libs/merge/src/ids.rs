//! Ids of nodes, modules and instances: their indices in the [`EntityRegistry`](crate::registry::EntityRegistry).

pub use aggregate::ids::ModuleId;

macro_rules! id {
    ($name:ident) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(NodeId);
id!(InstanceId);
