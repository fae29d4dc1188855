//! Replaces names of nodes, modules, instances, applications and hosts, and addresses. Programs that read a run find out by parts
//! of a name which module a call reached, so each part is hashed by itself.

use std::net::IpAddr;

use crate::hashes::{Domain, Hashes};

/// The name of a node, module or stage that was not reported.
const UNKNOWN: &str = "unknown";
/// The third label of a Kubernetes service: `module.namespace.svc`.
const SVC: (usize, &str) = (2, "svc");
/// Maximum number of labels that are hashed one by one, so that a replacement is never longer than a text of a row may be. A
/// name with more labels is hashed as a whole.
const LABELS_MAX: usize = 16;

/// Appends the replacement of a name: `host`, `host:port`, `module.namespace.svc:port`, an address.
///
/// A call's peer is a module if its host, or the first label of its host, is the module's name. So each label is hashed by
/// itself, a port is replaced by another port, and an address by another address.
pub fn push_name(hashes: &Hashes, name: &str, out: &mut String) {
    if name.is_empty() || name == UNKNOWN {
        return out.push_str(name);
    }
    if name.parse::<IpAddr>().is_ok() {
        return out.push_str(&hashes.address(name).to_string());
    }
    match name.rsplit_once(':') {
        Some((host, port)) if is_number(port) => {
            push_host(hashes, host, out);
            out.push(':');
            push_port(hashes, port, out);
        }
        _ => push_host(hashes, name, out),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn push_port(hashes: &Hashes, text: &str, out: &mut String) {
    match text.parse() {
        Ok(port) if !text.starts_with('0') => out.push_str(&hashes.port(port).to_string()),
        _ => hashes.push_digits(Domain::Name, text, out),
    }
}

/// Appends the replacement of a host without port.
pub fn push_host(hashes: &Hashes, host: &str, out: &mut String) {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Ok(address) = inner.unwrap_or(host).parse::<IpAddr>() {
        // Before a port, an IPv6 address is in brackets.
        return out.push_str(&format!("[{}]", hashes.address(&address.to_string())));
    }
    if host.split('.').count() > LABELS_MAX {
        return hashes.push_letters(Domain::Name, host, out);
    }
    for (index, label) in host.split('.').enumerate() {
        if index > 0 {
            out.push('.');
        }
        match label {
            "" => {}
            label if (index, label) == SVC => out.push_str(label),
            label => hashes.push_letters(Domain::Name, label, out),
        }
    }
}

/// Appends the replacement of a link: `<node>.nic`, `<node>.net`, `<node>-><other>`, or another node.
pub fn push_link(hashes: &Hashes, node: &str, link: &str, out: &mut String) {
    match link.strip_prefix(node) {
        Some(end @ (".nic" | ".net")) => {
            push_name(hashes, node, out);
            out.push_str(end);
        }
        Some(rest) if rest.starts_with("->") => {
            push_name(hashes, node, out);
            out.push_str("->");
            push_name(hashes, &rest["->".len()..], out);
        }
        _ => push_name(hashes, link, out),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, SocketAddrV6};

    use super::*;
    use crate::key::Key;

    fn hashes() -> Hashes {
        Hashes::new(&Key::new(&(0..32).collect::<Vec<u8>>()))
    }

    fn name(text: &str) -> String {
        let mut out = String::new();
        push_name(&hashes(), text, &mut out);
        out
    }

    #[test]
    fn a_peer_still_names_its_module() {
        let [cart, shop] = ["cart", "shop"].map(name);
        assert!(!cart.contains(['.', ':']) && cart != shop);
        let peer = name("cart:8080");
        let (host, port) = peer.split_once(':').unwrap();
        assert_eq!(host, cart);
        assert!(port.parse::<u16>().is_ok() && port != "8080");
        assert_eq!(name("other:8080").split_once(':').unwrap().1, port);
        assert_eq!(name("cart.shop"), format!("{cart}.{shop}"));
        assert!(name("cart.shop.svc.cluster.local:80").starts_with(&format!("{cart}.{shop}.svc.")));
        assert_eq!(name("cart.:8080"), format!("{cart}.:{port}"));
        assert_eq!(name("orders:v1").len(), cart.len());
        assert_eq!((name("unknown"), name("")), ("unknown".into(), String::new()));
    }

    #[test]
    fn an_address_stays_an_address() {
        for address in ["10.0.0.1", "::1"] {
            let replaced: IpAddr = name(address).parse().unwrap();
            assert!(replaced.is_ipv6(), "{replaced}");
        }
        for address in ["10.0.0.1:5432", "[fe80::2]:5432"] {
            let replaced: SocketAddr = name(address).parse().unwrap();
            assert!(
                matches!(replaced, SocketAddr::V6(SocketAddrV6 { .. })),
                "{replaced}"
            );
        }
    }

    #[test]
    fn links_have_the_names_of_their_nodes() {
        let link = |node: &str, link: &str| {
            let mut out = String::new();
            push_link(&hashes(), node, link, &mut out);
            out
        };
        let [edge, cloud] = ["edge->0", "cloud0.net"].map(name);
        assert_eq!(link("edge->0", "edge->0.nic"), format!("{edge}.nic"));
        assert_eq!(link("edge->0", "edge->0->cloud0.net"), format!("{edge}->{cloud}"));
        assert_eq!(link("edge->0", "edge->0.net"), format!("{edge}.net"));
        assert_eq!(link("edge->0", "cloud0.net"), cloud);
    }

    #[test]
    fn a_name_of_many_labels_is_hashed_as_a_whole() {
        assert_eq!(name(&"a.".repeat(2048)).len(), crate::hashes::LETTERS);
    }
}
