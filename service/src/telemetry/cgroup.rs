//! [`Limits`]: CPU and memory limits of the control groups of this process, the minimum of all levels, in versions 1 and 2.

use std::fs;
use std::path::{Path, PathBuf};

/// Larger memory limits mean no limit. Version 1 reports "no limit" as the size of the largest possible number of whole pages.
const NO_LIMIT: u64 = 1 << 62;
const CPU: &str = "cpu";
const MEMORY: &str = "memory";

/// The effective limits; `None` without a limit.
#[derive(Debug, Default, PartialEq)]
pub struct Limits {
    /// CPUs, possibly fractional.
    pub cpus: Option<f64>,
    /// Bytes.
    pub memory: Option<u64>,
}

/// A mounted hierarchy.
struct Mount<'a> {
    /// The group that is mounted.
    root: &'a str,
    point: PathBuf,
    is_v2: bool,
    /// Mount options, which include the controllers in version 1.
    options: &'a str,
}

impl Limits {
    /// Reads the limits. `root` is `/`, except in tests.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let (groups, mounts) = (text("proc/self/cgroup"), text("proc/self/mountinfo"));
        let mut limits = Self::default();
        for mount in mounts.lines().filter_map(Mount::parse) {
            let point = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
            for (controllers, group) in groups.lines().filter_map(group) {
                for level in mount.levels(group) {
                    limits.take(&mount, controllers, &point.join(level));
                }
            }
        }
        limits
    }

    fn take(&mut self, mount: &Mount<'_>, controllers: &str, level: &Path) {
        let text = |file: &str| fs::read_to_string(level.join(file)).ok();
        let has = |controller| in_list(controllers, controller) && in_list(mount.options, controller);
        if mount.is_v2 {
            if controllers.is_empty() {
                self.take_cpus(text("cpu.max").and_then(|line| quota(line.split_once(' ')?)));
                self.take_memory(text("memory.max").as_deref());
            }
            return;
        }
        if has(CPU) {
            let period = text("cpu.cfs_period_us");
            let quota_us = text("cpu.cfs_quota_us");
            self.take_cpus(
                quota_us
                    .zip(period)
                    .and_then(|(one, other)| quota((&one, &other))),
            );
        }
        if has(MEMORY) {
            self.take_memory(text("memory.limit_in_bytes").as_deref());
            // The minimum of all levels, including those above the mount point.
            let stat = text("memory.stat").unwrap_or_default();
            let mut lines = stat.lines();
            self.take_memory(lines.find_map(|line| line.strip_prefix("hierarchical_memory_limit ")));
        }
    }

    fn take_cpus(&mut self, cpus: Option<f64>) {
        self.cpus = cpus.into_iter().chain(self.cpus).reduce(f64::min);
    }

    fn take_memory(&mut self, bytes: Option<&str>) {
        let bytes = bytes
            .and_then(|text| text.trim().parse().ok())
            .filter(|&bytes: &u64| bytes < NO_LIMIT);
        self.memory = bytes.into_iter().chain(self.memory).min();
    }
}

impl<'a> Mount<'a> {
    /// A line of /proc/self/mountinfo: number, parent, device, root, mount point, options, optional fields, `-`, type, source, options.
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut system = system.split(' ');
        let is_v2 = match system.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        Some(Self {
            root,
            // The kernel writes spaces in octal.
            point: PathBuf::from(point.replace("\\040", " ")),
            is_v2,
            options: system.nth(1).unwrap_or_default(),
        })
    }

    /// The visible levels of a group and its ancestors, relative to the mount point. A group outside of the mounted one, as in
    /// a container's view of its own path, is at the mount point.
    fn levels(&self, group: &'a str) -> impl Iterator<Item = &'a Path> {
        let below = Path::new(group).strip_prefix(self.root).ok();
        let below = below.filter(|below| !below.components().any(|part| part.as_os_str() == ".."));
        below.unwrap_or(Path::new("")).ancestors()
    }
}

/// Parses a line of /proc/self/cgroup: controllers (none in version 2) and path of the group.
fn group(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(':')?;
    rest.split_once(':')
}

fn in_list(list: &str, name: &str) -> bool {
    list.split(',').any(|one| one == name)
}

/// Converts quota and period to CPUs. No limit is `max` in version 2 and -1 in version 1.
fn quota((quota, period): (&str, &str)) -> Option<f64> {
    let cpus = quota.trim().parse::<f64>().ok()? / period.trim().parse::<f64>().ok()?;
    (cpus.is_finite() && cpus > 0.0).then_some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const NONE_V1: &str = "9223372036854771712\n";

    /// The limits for these files: path and text.
    fn limits_of(cgroup: &str, mountinfo: &str, files: &[(&str, &str)]) -> Limits {
        let root = tempfile::tempdir().unwrap();
        let own = [("proc/self/cgroup", cgroup), ("proc/self/mountinfo", mountinfo)];
        for (path, text) in own.iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Limits::read(root.path())
    }

    fn some(cpus: f64, memory: u64) -> Limits {
        Limits {
            cpus: Some(cpus),
            memory: Some(memory),
        }
    }

    #[test]
    fn the_minimum_limit_of_nested_groups_applies() {
        let files = [
            ("sys/fs/cgroup/pods/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/pods/memory.max", "max\n"),
            ("sys/fs/cgroup/pods/p1/cpu.max", "400000 100000\n"),
            ("sys/fs/cgroup/pods/p1/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/pods/p1/c/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/pods/p1/c/memory.max", "2147483648\n"),
            ("sys/fs/cgroup/pods/p2/cpu.max", "10000 100000\n"),
        ];
        assert_eq!(limits_of("0::/pods/p1/c\n", V2, &files), some(1.5, 1 << 30));
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_mount_point() {
        let files = [
            ("sys/fs/cgroup/cpu.max", "50000 100000\n"),
            ("sys/fs/cgroup/memory.max", "536870912\n"),
        ];
        for path in ["0::/\n", "0::/../../elsewhere\n"] {
            assert_eq!(limits_of(path, V2, &files), some(0.5, 512 << 20));
        }
        // Without a cgroup namespace, path and mounted root are those of the host.
        let bound = V2.replace(" / /sys", " /docker/abc /sys");
        assert_eq!(
            limits_of("0::/docker/abc\n", &bound, &files),
            some(0.5, 512 << 20)
        );
    }

    #[test]
    fn version_1_has_a_hierarchy_for_each_controller() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let groups = "5:memory:/docker/abc\n4:cpuset:/other\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc\n";
        let (cpu, memory) = ("sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/memory");
        let paths = [
            format!("{cpu}/cpu.cfs_quota_us"),
            format!("{cpu}/cpu.cfs_period_us"),
            format!("{cpu}/docker/cpu.cfs_quota_us"),
            format!("{cpu}/docker/cpu.cfs_period_us"),
            format!("{cpu}/docker/abc/cpu.cfs_quota_us"),
            format!("{cpu}/docker/abc/cpu.cfs_period_us"),
            format!("{memory}/memory.limit_in_bytes"),
            format!("{memory}/docker/abc/memory.limit_in_bytes"),
            format!("{memory}/docker/abc/memory.stat"),
        ];
        let texts = [
            "-1\n",
            "100000\n",
            "125000\n",
            "50000\n",
            "300000\n",
            "100000\n",
            NONE_V1,
            "1073741824\n",
            "cache 0\nhierarchical_memory_limit 805306368\n",
        ];
        let files: Vec<(&str, &str)> = paths.iter().map(String::as_str).zip(texts).collect();
        assert_eq!(limits_of(groups, mounts, &files), some(2.5, 768 << 20));
    }

    #[test]
    fn without_any_limit_there_is_none() {
        let files = [
            ("sys/fs/cgroup/a/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/a/memory.max", "max\n"),
        ];
        assert_eq!(limits_of("0::/a\n", V2, &files), Limits::default());
        let v1 = "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let files = [("sys/fs/cgroup/memory/memory.limit_in_bytes", NONE_V1)];
        assert_eq!(limits_of("5:memory:/\n", v1, &files), Limits::default());
        assert_eq!(limits_of("", "", &[]), Limits::default());
    }
}
