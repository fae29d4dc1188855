//! [`Map`] and [`Set`]: those of the standard library with a hash that takes 3 ns instead of 20; a row asks some ten times.
//! Its seed is chosen at random, as the standard library's is, so that nobody can choose keys that share a place.

use std::collections::{HashMap, HashSet};

use foldhash::quality::RandomState;

/// A hash map.
pub type Map<K, V> = HashMap<K, V, RandomState>;
/// A hash set.
pub type Set<K> = HashSet<K, RandomState>;
