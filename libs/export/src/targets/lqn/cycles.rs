//! [`cut`]: removes calls until the calls between tasks form no circle, because a layered queueing network must not have one.
//! Each instance is a task.

use super::model::Entry;

/// The state of a task in the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// The task is on the way from the first task to the current one.
    Open,
    Done,
}

/// Removes the calls that close a circle of instances. Instead, their recorded time becomes a delay of the caller, and the
/// requests that they caused arrive from outside. Returns the number of these calls. The search begins at the first entry, and
/// follows the calls of each entry in their order.
pub fn cut(entries: &mut [Entry], of_instance: &[Vec<u32>]) -> u64 {
    let mut marks = vec![Mark::New; of_instance.len()];
    let mut cut = 0;
    for first in 0..entries.len() {
        let first = entries[first].instance;
        if marks[first as usize] != Mark::New {
            continue;
        }
        marks[first as usize] = Mark::Open;
        // The tasks on the way, each with the index of its current entry and of the next call of this entry.
        let mut way = vec![(first, 0_usize, 0_usize)];
        while let Some((task, place, call)) = way.last_mut() {
            let Some(&number) = of_instance[*task as usize].get(*place) else {
                marks[*task as usize] = Mark::Done;
                way.pop();
                continue;
            };
            let number = number as usize;
            let Some(edge) = entries[number].calls.get(*call).copied() else {
                (*place, *call) = (*place + 1, 0);
                continue;
            };
            let to = entries[edge.to as usize].instance;
            match marks[to as usize] {
                Mark::Open => {
                    let entry = &mut entries[number];
                    entry.calls.remove(*call);
                    entry.away_ns += edge.recorded_ns;
                    entries[edge.to as usize].arrivals += edge.count;
                    cut += edge.count;
                }
                Mark::Done => *call += 1,
                Mark::New => {
                    *call += 1;
                    marks[to as usize] = Mark::Open;
                    way.push((to, 0, 0));
                }
            }
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::lqn::model::Edge;

    fn entry(instance: u32, calls: &[u32]) -> Entry {
        let edge = |to: &u32| Edge {
            to: *to,
            count: 2,
            net_ns: 1,
            recorded_ns: 10,
        };
        Entry {
            instance,
            calls: calls.iter().map(edge).collect(),
            ..Entry::default()
        }
    }

    /// The numbers of the entries of each instance.
    fn of_instance(entries: &[Entry]) -> Vec<Vec<u32>> {
        let mut found = vec![Vec::new(); entries.len()];
        for (number, entry) in (0..).zip(entries) {
            found[entry.instance as usize].push(number);
        }
        found
    }

    fn cut(entries: &mut [Entry]) -> u64 {
        super::cut(entries, &of_instance(entries))
    }

    #[test]
    fn a_call_back_becomes_a_delay_and_an_arrival() {
        // Entries 0 and 3 are of one instance: 0 calls 1, which calls 2 and 3.
        let mut entries = [entry(0, &[1]), entry(1, &[2, 3]), entry(2, &[]), entry(0, &[])];
        assert_eq!(cut(&mut entries), 2);
        let left: Vec<usize> = entries.iter().map(|entry| entry.calls.len()).collect();
        assert_eq!(left, [1, 1, 0, 0]);
        assert_eq!((entries[1].away_ns, entries[3].arrivals), (10, 2));
        assert_eq!(cut(&mut entries), 0);
    }

    #[test]
    fn an_instance_that_calls_itself_is_a_circle_and_two_ways_to_one_are_none() {
        let mut itself = [entry(0, &[1]), entry(0, &[])];
        assert_eq!(cut(&mut itself), 2);
        let mut two_ways = [entry(0, &[1, 2]), entry(1, &[3]), entry(2, &[3]), entry(3, &[])];
        assert_eq!(cut(&mut two_ways), 0);
    }
}
