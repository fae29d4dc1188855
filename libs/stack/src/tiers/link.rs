//! [`connect`]: creates the interfaces of one link, and returns the address at which the calling node reaches the called one.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use crate::namespace::{Namespace, NetworkError};

/// Number of bytes that a link sends at once after a pause. It is more than one frame, but too little to change the measured
/// rate.
const BURST_BYTES: u32 = 5_000;
/// Number of bytes that can wait before a link. The queue never becomes that long, so nothing is lost.
const QUEUE_BYTES: u32 = 16_000_000;
/// Addresses of links are in 10.201.0.0/16. Each pair of interfaces has four addresses, and each link has two pairs.
const LINKS: u32 = u32::from_be_bytes([10, 201, 0, 0]);
/// Maximum length of an interface's name in Linux.
const INTERFACE_BYTES_MAX: usize = 15;

/// A node at one end of a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Number of the node.
    pub node: usize,
    pub name: &'a str,
    pub namespace: &'a Namespace,
}

/// The description of a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cable<'a> {
    /// Number of the link.
    pub link: usize,
    /// Calling node, then called node.
    pub ends: [Place<'a>; 2],
    pub rate_bps: Option<u64>,
    /// The router between both ends, if a proxy in the router delays the data.
    pub router: Option<&'a Namespace>,
}

/// The addresses of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    /// The address to which the calling node connects: the called node's own address, or the router's.
    pub listen: Ipv4Addr,
    /// The called node's own address.
    pub upstream: Ipv4Addr,
}

/// The names of interfaces in use, by node.
pub(super) type Used = HashSet<(usize, String)>;

/// Creates the interfaces of a link. The interfaces of both nodes send at most at the link's rate.
pub(super) fn connect(cable: &Cable<'_>, used: &mut Used) -> Result<Reached, NetworkError> {
    let [from, to] = cable.ends;
    let names = [
        interface(used, from.node, to.name, cable.link),
        interface(used, to.node, from.name, cable.link),
    ];
    let Some(router) = cable.router else {
        let [near, far] = addresses(cable.link, 0);
        pair((from.namespace, &names[0], near), (to.namespace, &names[1], far))?;
        limit(from.namespace, &names[0], cable.rate_bps)?;
        limit(to.namespace, &names[1], cable.rate_bps)?;
        return Ok(Reached {
            listen: far,
            upstream: far,
        });
    };
    let mut at_router = [Ipv4Addr::UNSPECIFIED; 2];
    let mut own = at_router;
    for (side, (place, name)) in [from, to].into_iter().zip(&names).enumerate() {
        [at_router[side], own[side]] = addresses(cable.link, side);
        let far = format!("link{}-{}", cable.link, side + 1);
        pair(
            (place.namespace, name, own[side]),
            (router, &far, at_router[side]),
        )?;
        limit(place.namespace, name, cable.rate_bps)?;
    }
    Ok(Reached {
        listen: at_router[0],
        upstream: own[1],
    })
}

/// The two addresses of a pair of interfaces.
fn addresses(link: usize, side: usize) -> [Ipv4Addr; 2] {
    // The number of links is limited, so this cannot overflow.
    let first = LINKS + 4 * (2 * link as u32 + side as u32);
    [1, 2].map(|host| Ipv4Addr::from_bits(first + host))
}

/// Creates two connected interfaces.
fn pair(
    (near, near_name, near_address): (&Namespace, &str, Ipv4Addr),
    (far, far_name, far_address): (&Namespace, &str, Ipv4Addr),
) -> Result<(), NetworkError> {
    near.ip(&format!(
        "link add {near_name} type veth peer name {far_name} netns {}\naddr add {near_address}/30 dev {near_name}\nlink set {near_name} up\n",
        far.path()
    ))?;
    far.ip(&format!(
        "addr add {far_address}/30 dev {far_name}\nlink set {far_name} up\n"
    ))
}

/// Limits the rate at which an interface sends.
fn limit(namespace: &Namespace, interface: &str, rate_bps: Option<u64>) -> Result<(), NetworkError> {
    let Some(rate_bps) = rate_bps else { return Ok(()) };
    namespace.tc(&format!(
        "qdisc add dev {interface} root tbf rate {rate_bps}bit burst {BURST_BYTES} limit {QUEUE_BYTES}"
    ))
}

/// The name of a node's interface to another node: `to-PEER` if the name is short enough and not in use.
fn interface(used: &mut Used, node: usize, peer: &str, link: usize) -> String {
    let named = format!("to-{peer}");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let fits = named.len() <= INTERFACE_BYTES_MAX && named.bytes().all(is_plain);
    if fits && used.insert((node, named.clone())) {
        return named;
    }
    // No other interface of the node has this name: each link has another number, and all other names begin with `to-`.
    format!("link{link}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_its_peers_name_if_possible_and_free() {
        let mut used = Used::new();
        assert_eq!(interface(&mut used, 0, "edge0", 0), "to-edge0");
        assert_eq!(interface(&mut used, 0, "edge0", 7), "link7");
        assert_eq!(interface(&mut used, 1, "edge0", 1), "to-edge0");
        for impossible in ["a name; reboot", "longer-than-twelve", "ä", "a/b"] {
            assert_eq!(interface(&mut used, 1, impossible, 3), "link3");
        }
    }

    #[test]
    fn no_two_pairs_of_interfaces_share_addresses() {
        let last = crate::tiers::network::LINKS_MAX - 1;
        let all: Vec<_> = (0..=last)
            .flat_map(|link| [addresses(link, 0), addresses(link, 1)].concat())
            .collect();
        assert_eq!(
            all[..2],
            [Ipv4Addr::new(10, 201, 0, 1), Ipv4Addr::new(10, 201, 0, 2)]
        );
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert!(all.iter().all(|address| address.octets()[..2] == [10, 201]));
    }
}
