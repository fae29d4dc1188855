//! [`Map`] and [`Set`]: the standard library's, with a hash that takes 3 ns instead of 20; a row needs about ten lookups.
//! The seed is random, like the standard library's, so that nobody can choose keys that collide.

use std::collections::{HashMap, HashSet};

use foldhash::quality::RandomState;

pub type Map<K, V> = HashMap<K, V, RandomState>;
pub type Set<K> = HashSet<K, RandomState>;
