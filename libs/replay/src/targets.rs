//! [`Targets`]: the live services by module, and the checks of their addresses before the first request.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use cctf_load::plan::target::{Target, TargetError};

/// Maximum number of modules that an error lists.
const MODULES_SHOWN: usize = 10;

/// The argument of `--target`: a URL for all modules, or `MODULE=URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFlag {
    /// `None` means all modules that have no target of their own.
    pub module: Option<String>,
    pub target: Target,
}

impl FromStr for TargetFlag {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        // A module's name may contain an equals sign, but never followed by the scheme of a URL.
        let (module, url) = match text.split_once("=http") {
            Some((module, _)) if !module.is_empty() => (Some(module), &text[module.len() + 1..]),
            _ => (None, text),
        };
        Ok(Self {
            module: module.map(str::to_owned),
            target: Target::parse(url)?,
        })
    }
}

/// Parses the argument of `--allow-target`: a name or an address, as in a URL.
///
/// # Errors
/// If it is anything else, because it would never match.
pub fn allowed_host(text: &str) -> Result<String, String> {
    let is_address = bare(text).parse::<IpAddr>().is_ok();
    let is_part_of_name = |letter: char| letter.is_alphanumeric() || "-._".contains(letter);
    match is_address || (!text.is_empty() && text.chars().all(is_part_of_name)) {
        true => Ok(text.to_owned()),
        false => {
            Err("pass a host without scheme, port and path, such as service.example or 10.0.0.2".to_owned())
        }
    }
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// The reason why a set of targets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetsError {
    #[error("two targets for {0}: use one --target for it")]
    Twice(String),
    #[error(
        "cannot replay: no target for {}; add --target MODULE=URL for each, or one --target URL for all",
        listed("module", modules)
    )]
    Missing { modules: Vec<String> },
    #[error("cannot use --target for {}: the replay sends it nothing; its modules are {}", .module, listed("module", known))]
    Unused { module: String, known: Vec<String> },
    #[error("cannot send load to {host}: it is not this machine; allow it with --allow-target {host}")]
    NotLoopback { host: String },
    #[error("cannot resolve {host}: {source}; check the name")]
    Unresolved { host: String, source: std::io::Error },
    #[error("cannot connect to {target}: {source}; check that the service runs there")]
    Unreachable { target: Target, source: std::io::Error },
}

/// `module a`, `modules a and b`, `modules a, b and 3 more`.
pub fn listed(what: &str, names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(MODULES_SHOWN)
        .map(|name| format!("{name:?}"))
        .collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    let more = names.len() - shown.len();
    match (more, shown.split_last()) {
        (0, Some((last, rest))) if !rest.is_empty() => {
            format!("{what}{plural} {} and {last}", rest.join(", "))
        }
        (0, _) => format!("{what}{plural} {}", shown.join(", ")),
        _ => format!("{what}{plural} {} and {more} more", shown.join(", ")),
    }
}

/// The live services, by module.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    all: Vec<Target>,
    by_module: BTreeMap<String, usize>,
    default: Option<usize>,
}

impl Targets {
    /// # Errors
    /// [`TargetsError::Twice`].
    pub fn new(flags: &[TargetFlag]) -> Result<Self, TargetsError> {
        let mut targets = Self::default();
        for flag in flags {
            let index = targets.index_of(&flag.target);
            let former = match &flag.module {
                Some(module) => targets.by_module.insert(module.clone(), index),
                None => targets.default.replace(index),
            };
            if former.is_some() {
                let name = flag.module.as_ref().map(|module| format!("module {module:?}"));
                return Err(TargetsError::Twice(
                    name.unwrap_or_else(|| "all modules".to_owned()),
                ));
            }
        }
        Ok(targets)
    }

    fn index_of(&mut self, target: &Target) -> usize {
        let known = self.all.iter().position(|known| known == target);
        known.unwrap_or_else(|| {
            self.all.push(target.clone());
            self.all.len() - 1
        })
    }

    /// The distinct services.
    pub fn all(&self) -> &[Target] {
        &self.all
    }

    /// The index of the service for a module.
    pub fn of_module(&self, module: &str) -> Option<usize> {
        self.by_module.get(module).copied().or(self.default)
    }

    /// Checks that each of these modules has a target, and that each target of a module is used.
    ///
    /// # Errors
    /// [`TargetsError::Missing`] and [`TargetsError::Unused`].
    pub fn check_modules(&self, modules: &BTreeSet<String>) -> Result<(), TargetsError> {
        let missing: Vec<String> = modules
            .iter()
            .filter(|module| self.of_module(module).is_none())
            .cloned()
            .collect();
        if !missing.is_empty() {
            return Err(TargetsError::Missing { modules: missing });
        }
        match self.by_module.keys().find(|module| !modules.contains(*module)) {
            Some(module) => Err(TargetsError::Unused {
                module: module.clone(),
                known: modules.iter().cloned().collect(),
            }),
            None => Ok(()),
        }
    }

    /// Checks that each host is this machine, or is allowed by name. A name counts as this machine only if all of its addresses
    /// do.
    ///
    /// # Errors
    /// [`TargetsError::NotLoopback`] and [`TargetsError::Unresolved`].
    pub fn check_hosts(&self, allowed: &[String]) -> Result<(), TargetsError> {
        for target in &self.all {
            let host = &target.host;
            if is_allowed(allowed, host) {
                continue;
            }
            let resolved = (host.as_str(), target.port).to_socket_addrs();
            let addresses: Vec<SocketAddr> = resolved
                .map_err(|source| TargetsError::Unresolved {
                    host: host.clone(),
                    source,
                })?
                .collect();
            if addresses.is_empty() || !addresses.iter().all(|address| is_loopback(*address)) {
                return Err(TargetsError::NotLoopback { host: host.clone() });
            }
        }
        Ok(())
    }

    /// For each service, an address that accepts a connection. The address is checked again, because a name may have changed
    /// its address since the hosts were checked.
    ///
    /// # Errors
    /// [`TargetsError::Unreachable`] and [`TargetsError::NotLoopback`].
    pub fn addresses(&self, allowed: &[String]) -> Result<Vec<SocketAddr>, TargetsError> {
        let address = |target: &Target| {
            let reached = target.reachable_address();
            let address = reached.map_err(|source| TargetsError::Unreachable {
                target: target.clone(),
                source,
            })?;
            let host = &target.host;
            match is_loopback(address) || is_allowed(allowed, host) {
                true => Ok(address),
                false => Err(TargetsError::NotLoopback { host: host.clone() }),
            }
        };
        self.all.iter().map(address).collect()
    }

    /// The URLs of all services, as shown to users.
    pub fn urls(&self) -> String {
        let urls: Vec<String> = self.all.iter().map(Target::to_string).collect();
        urls.join(", ")
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    // `::ffff:127.0.0.1`, for example, is an IPv4 address in IPv6 form.
    address.ip().to_canonical().is_loopback()
}

fn is_allowed(allowed: &[String], host: &str) -> bool {
    let is_same = |allowed: &String| bare(allowed).eq_ignore_ascii_case(host);
    allowed.iter().any(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(flags: &[&str]) -> Result<Targets, TargetsError> {
        let flags: Vec<TargetFlag> = flags.iter().map(|flag| flag.parse().unwrap()).collect();
        Targets::new(&flags)
    }

    #[test]
    fn an_allowed_target_is_a_host_and_nothing_else() {
        for host in [
            "h",
            "service.example",
            "my_host-1",
            "10.0.0.2",
            "::1",
            "[fe80::1]",
            "bücher.example",
        ] {
            assert_eq!(allowed_host(host).as_deref(), Ok(host));
        }
        for text in ["", " ", "http://x", "x:80", "x/", "[", "h h", "*"] {
            assert!(allowed_host(text).is_err(), "{text}");
        }
    }

    fn modules(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_module_has_its_own_target_or_that_of_all() {
        let targets = targets(&[
            "http://127.0.0.1:1",
            "cart=http://127.0.0.1:2",
            "a=b=http://127.0.0.1:1",
        ])
        .unwrap();
        let port = |module| targets.all()[targets.of_module(module).unwrap()].port;
        assert_eq!([port("cart"), port("front"), port("a=b")], [2, 1, 1]);
        assert_eq!(targets.all().len(), 2, "one service for two modules");
    }

    #[test]
    fn two_targets_for_one_module_are_refused() {
        let error = targets(&["a=http://h:1", "a=http://h:2"])
            .unwrap_err()
            .to_string();
        assert_eq!(error, "two targets for module \"a\": use one --target for it");
        let error = targets(&["http://h:1", "http://h:2"]).unwrap_err().to_string();
        assert!(error.contains("all modules"), "{error}");
        assert!("a=https://h".parse::<TargetFlag>().is_err());
        assert!("h:8080".parse::<TargetFlag>().is_err());
    }

    #[test]
    fn one_sentence_names_all_modules_without_target() {
        let own = targets(&["cart=http://127.0.0.1:1"]).unwrap();
        let error = own
            .check_modules(&modules(&["cart", "b", "c"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no target for modules \"b\" and \"c\""), "{error}");
        let many: Vec<String> = (0..30).map(|number| format!("m{number:02}")).collect();
        let error = own
            .check_modules(&many.into_iter().collect())
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"m09\" and 20 more"), "{error}");
        let error = own.check_modules(&modules(&["b"])).unwrap_err();
        assert!(matches!(error, TargetsError::Missing { .. }));
        let all = targets(&["http://127.0.0.1:1", "crat=http://127.0.0.1:2"]).unwrap();
        let error = all.check_modules(&modules(&["cart"])).unwrap_err().to_string();
        assert!(
            error.contains("crat") && error.contains("module \"cart\""),
            "{error}"
        );
    }

    #[test]
    fn another_machine_needs_a_flag_that_names_it() {
        for loopback in [
            "http://127.0.0.1:1",
            "http://127.9.9.9:1",
            "http://[::1]:1",
            "http://[::ffff:127.0.0.1]:1",
        ] {
            assert!(
                targets(&[loopback]).unwrap().check_hosts(&[]).is_ok(),
                "{loopback}"
            );
        }
        for other in ["http://192.0.2.1:1", "http://[2001:db8::1]:1", "http://0.0.0.0:1"] {
            let other = targets(&[other]).unwrap();
            let host = other.all()[0].host.clone();
            let error = other.check_hosts(&["192.0.2.9".into()]).unwrap_err().to_string();
            assert!(error.ends_with(&format!("--allow-target {host}")), "{error}");
            assert!(other.check_hosts(&[host]).is_ok());
        }
    }
}
