//! [`match_calls`]: matches the calls of two paired invocations by receiver, method, path and order. [`is_same_request`]:
//! whether two paired roots have the same receiver, method and path.

use crate::gather::Side;

/// The matched calls of two invocations.
#[derive(Debug, Default)]
pub struct Matched {
    pub pairs: Vec<(u32, u32)>,
    pub only_a: Vec<u32>,
    pub only_b: Vec<u32>,
}

/// Receiver and request of a call.
type Key = (u32, u32);

/// The module that answered the call, or the peer.
pub fn receiver(side: &Side, call: u32) -> u32 {
    match side.tree.callee(call) {
        Some(callee) => side.rows.invocations[callee as usize].module,
        None => side.rows.calls[call as usize].peer,
    }
}

/// The key with the path, which the caller reported.
fn by_call(side: &Side, call: u32) -> Key {
    (receiver(side, call), side.rows.calls[call as usize].endpoint)
}

/// The key with the route, which the receiver reported.
pub fn by_route(side: &Side, call: u32) -> Key {
    match side.tree.callee(call) {
        Some(callee) => {
            let callee = &side.rows.invocations[callee as usize];
            (callee.module, callee.endpoint)
        }
        None => by_call(side, call),
    }
}

/// Whether two paired roots are the same request: same module, method, and path or route. A value that one of the runs lacks is
/// ignored.
pub fn is_same_request(a: &Side, b: &Side, (of_a, of_b): (u32, u32)) -> bool {
    let calls = [&a.rows.calls[of_a as usize], &b.rows.calls[of_b as usize]];
    let is_same_path = calls[0].endpoint == calls[1].endpoint;
    match (a.tree.callee(of_a), b.tree.callee(of_b)) {
        (Some(_), Some(_)) => {
            let (left, right) = (by_route(a, of_a), by_route(b, of_b));
            left.0 == right.0 && (is_same_path || left.1 == right.1)
        }
        // An inferred call has the route of its invocation, and no path.
        _ => is_same_path || calls.iter().any(|call| call.is_inferred),
    }
}

/// Matches the calls of two invocations. Both lists are in the order of start. Of the calls with the same receiver, method and
/// path or route, the k-th one matches the k-th one of the other run.
pub fn match_calls(a: &Side, b: &Side, of_a: &[u32], of_b: &[u32]) -> Matched {
    let mut matched = Matched::default();
    let is_equal = |(&left, &right): (&u32, &u32)| by_call(a, left) == by_call(b, right);
    if of_a.len() == of_b.len() && of_a.iter().zip(of_b).all(is_equal) {
        matched.pairs = of_a.iter().copied().zip(of_b.iter().copied()).collect();
        return matched;
    }
    let (rest_a, rest_b) = merge(a, b, [of_a, of_b], by_call, &mut matched.pairs);
    // A path can contain an id, which the route does not, so the remaining calls are matched by their routes.
    (matched.only_a, matched.only_b) = merge(a, b, [&rest_a, &rest_b], by_route, &mut matched.pairs);
    let start = |call: u32| a.rows.calls[call as usize].start_ns;
    matched
        .pairs
        .sort_by_key(|&(left, right)| (start(left), left, right));
    matched
}

/// Adds the pairs with equal keys, and returns the other calls in the order of their keys.
fn merge(
    a: &Side,
    b: &Side,
    lists: [&[u32]; 2],
    key: impl Fn(&Side, u32) -> Key,
    pairs: &mut Vec<(u32, u32)>,
) -> (Vec<u32>, Vec<u32>) {
    let sorted = |side: &Side, calls: &[u32]| {
        let mut keyed: Vec<(Key, u32)> = calls.iter().map(|&call| (key(side, call), call)).collect();
        // The sort is stable, so calls with equal keys stay in their order.
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().peekable()
    };
    let (mut left, mut right) = (sorted(a, lists[0]), sorted(b, lists[1]));
    let (mut rest_a, mut rest_b) = (Vec::new(), Vec::new());
    while let (Some(&(key_a, call_a)), Some(&(key_b, call_b))) = (left.peek(), right.peek()) {
        match key_a.cmp(&key_b) {
            std::cmp::Ordering::Equal => {
                pairs.push((call_a, call_b));
                left.next();
                right.next();
            }
            std::cmp::Ordering::Less => {
                rest_a.push(call_a);
                left.next();
            }
            std::cmp::Ordering::Greater => {
                rest_b.push(call_b);
                right.next();
            }
        }
    }
    rest_a.extend(left.map(|(_, call)| call));
    rest_b.extend(right.map(|(_, call)| call));
    (rest_a, rest_b)
}
