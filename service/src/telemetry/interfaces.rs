//! [`edge`]: the network interfaces at the edge of the machine, derived from sysfs, so that no byte is counted twice.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// ARPHRD_LOOPBACK of linux/if_arp.h.
const LOOPBACK: u64 = 772;

/// An interface in /sys/class/net.
#[derive(Debug)]
struct Interface {
    name: String,
    index: u64,
    /// Index of the interface below or at the other end, possibly in another namespace; its own index if there is none.
    link: u64,
    is_loopback: bool,
    /// Whether it is an end of a veth pair. Its other end can have the same index in another namespace. It is recognised by its
    /// speed: of the virtual interfaces, only veth, tun and tap report one.
    is_veth: bool,
    /// Whether it has a hardware device; virtual interfaces have no such link.
    is_physical: bool,
    is_bridge_or_bond: bool,
    /// Whether it is a port of a bridge.
    is_port: bool,
    master: Option<String>,
    /// Interfaces of this namespace that are below this one.
    lowers: Vec<String>,
}

/// Names of the interfaces through which traffic enters and leaves the machine: the physical ones. In a network namespace without
/// physical interfaces, such as a container's, they are the interfaces whose other end is in another namespace. `class_net` is
/// /sys/class/net, except in tests.
pub fn edge(class_net: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(class_net).into_iter().flatten().flatten();
    let all: Vec<Interface> = entries
        .filter_map(|entry| Interface::read(&entry.path()))
        .collect();
    let choices: [&dyn Fn(&Interface) -> bool; 5] = [
        &|one| one.is_physical && !one.is_below_physical(&all),
        &|one| one.leads_outside() && !one.is_port && !one.is_paired(&all),
        &|one| one.leads_outside() && !one.is_port,
        &|one| one.leads_outside(),
        &|_| true,
    ];
    let chosen = choices.into_iter().map(|is_eligible| {
        all.iter()
            .filter(|one| !one.is_loopback && !one.is_stacked(&all) && is_eligible(one))
            .map(|one| one.name.clone())
            .collect::<BTreeSet<_>>()
    });
    let mut non_empty = chosen.filter(|names| !names.is_empty());
    non_empty.next().unwrap_or_default()
}

impl Interface {
    fn read(folder: &Path) -> Option<Self> {
        let number =
            |file: &str| -> Option<u64> { fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok() };
        let has = |file: &str| folder.join(file).exists();
        let index = number("ifindex")?;
        let files = fs::read_dir(folder).ok()?.flatten();
        let lowers = files.filter_map(|file| {
            file.file_name()
                .to_str()?
                .strip_prefix("lower_")
                .map(str::to_owned)
        });
        let master = fs::read_link(folder.join("master")).ok();
        Some(Self {
            name: folder.file_name()?.to_str()?.to_owned(),
            index,
            link: number("iflink").unwrap_or(index),
            is_loopback: number("type") == Some(LOOPBACK),
            is_veth: number("speed").is_some() && !has("tun_flags"),
            is_physical: has("device"),
            is_bridge_or_bond: has("bridge") || has("bonding"),
            is_port: has("brport"),
            master: master.and_then(|master| Some(master.file_name()?.to_str()?.to_owned())),
            lowers: lowers.collect(),
        })
    }

    /// Whether interfaces below it count the same bytes: a bridge, a bond, a VLAN. A physical master of physical interfaces, as
    /// with Hyper-V and virtio failover, includes their bytes and is counted instead of them.
    fn is_stacked(&self, all: &[Self]) -> bool {
        let is_master = |lower: &String| {
            all.iter()
                .any(|one| one.name == *lower && one.master.as_ref() == Some(&self.name))
        };
        let replaces_lowers = self.is_physical && self.lowers.iter().all(is_master);
        self.is_bridge_or_bond || !(self.lowers.is_empty() || replaces_lowers)
    }

    fn is_below_physical(&self, all: &[Self]) -> bool {
        let is_master = |one: &Self| Some(&one.name) == self.master.as_ref();
        all.iter().any(|one| is_master(one) && one.is_physical)
    }

    fn leads_outside(&self) -> bool {
        self.link != self.index || self.is_veth
    }

    /// Whether both ends of a pair are in this namespace. Indexes of other namespaces can coincide.
    fn is_paired(&self, all: &[Self]) -> bool {
        all.iter()
            .any(|one| one.index == self.link && one.link == self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Calls [`edge`] with a folder like /sys/class/net: name, index, link and further entries of each interface. `master=`
    /// creates a symbolic link.
    fn edge_of(interfaces: &[(&str, u64, u64, &[&str])]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (name, index, link, others) in interfaces {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            let kind = if *name == "lo" { LOOPBACK } else { 1 };
            for (file, number) in [("ifindex", *index), ("iflink", *link), ("type", kind)] {
                fs::write(folder.join(file), format!("{number}\n")).unwrap();
            }
            for other in *others {
                match other.split_once('=') {
                    Some(("speed", speed)) => fs::write(folder.join("speed"), speed).unwrap(),
                    Some((file, target)) => symlink(format!("../{target}"), folder.join(file)).unwrap(),
                    None => fs::create_dir(folder.join(other)).unwrap(),
                }
            }
        }
        fs::write(root.path().join("bonding_masters"), "bond0\n").unwrap();
        edge(root.path()).into_iter().collect()
    }

    #[test]
    fn a_host_of_containers_counts_only_its_physical_interfaces() {
        let edge = edge_of(&[
            ("lo", 1, 1, &[]),
            ("eth0", 2, 2, &["device", "upper_eth0.100"]),
            ("eth0.100", 3, 2, &["lower_eth0"]),
            ("docker0", 4, 4, &["bridge", "lower_veth1"]),
            ("veth1", 5, 2, &["master=docker0", "brport"]),
            ("br-5d41402abc4b", 6, 6, &["bridge"]),
            ("cali1", 7, 3, &[]),
            ("wg0", 8, 8, &[]),
            ("dummy0", 9, 9, &[]),
            ("vxlan.calico", 10, 10, &[]),
        ]);
        assert_eq!(edge, ["eth0"]);
    }

    #[test]
    fn a_bond_and_a_bridge_are_counted_by_their_ports() {
        let edge = edge_of(&[
            ("eth0", 2, 2, &["device", "master=bond0"]),
            ("eth1", 3, 3, &["device", "master=bond0"]),
            (
                "bond0",
                4,
                4,
                &["bonding", "lower_eth0", "lower_eth1", "master=br0", "brport"],
            ),
            ("br0", 5, 5, &["bridge", "lower_bond0", "lower_vnet0"]),
            ("vnet0", 6, 6, &["master=br0", "brport"]),
        ]);
        assert_eq!(edge, ["eth0", "eth1"]);
    }

    #[test]
    fn a_physical_master_is_counted_instead_of_the_function_below() {
        let edge = edge_of(&[
            ("eth0", 2, 2, &["device", "lower_enP1s1"]),
            ("enP1s1", 3, 3, &["device", "master=eth0"]),
        ]);
        assert_eq!(edge, ["eth0"]);
        // Ports of a switch, tagged on the interface to the CPU, which is the edge.
        let edge = edge_of(&[
            ("eth0", 2, 2, &["device", "upper_lan1", "upper_lan2"]),
            ("lan1", 3, 2, &["device", "lower_eth0"]),
            ("lan2", 4, 2, &["device", "lower_eth0"]),
        ]);
        assert_eq!(edge, ["eth0"]);
    }

    #[test]
    fn without_hardware_interfaces_to_other_namespaces_are_counted() {
        let container = edge_of(&[("lo", 1, 1, &[]), ("eth0", 2, 9, &[]), ("dummy0", 3, 3, &[])]);
        assert_eq!(container, ["eth0"]);
        let machine = edge_of(&[
            ("lo", 1, 1, &[]),
            ("uplink", 2, 9, &["upper_vlan"]),
            ("second", 3, 8, &[]),
            ("vlan", 4, 2, &["lower_uplink"]),
            ("docker0", 5, 5, &["bridge", "lower_veth1"]),
            ("veth1", 6, 2, &["master=docker0", "brport"]),
            ("in", 10, 11, &[]),
            ("out", 11, 10, &[]),
        ]);
        assert_eq!(machine, ["second", "uplink"]);
        let same_index = edge_of(&[
            ("up", 2, 2, &["speed=10000"]),
            ("veth1", 3, 2, &["brport"]),
            ("tap0", 4, 4, &["speed=10000", "tun_flags"]),
        ]);
        assert_eq!(same_index, ["up"]);
        let look_alike = edge_of(&[("eth0", 2, 3, &[]), ("eth1", 3, 2, &[])]);
        assert_eq!(look_alike, ["eth0", "eth1"]);
        let tap = edge_of(&[("lo", 1, 1, &[]), ("tap0", 2, 2, &[])]);
        assert_eq!(tap, ["tap0"]);
    }

    #[test]
    fn without_sysfs_nothing_is_counted() {
        assert!(edge(Path::new("/nonexistent")).is_empty());
    }
}
