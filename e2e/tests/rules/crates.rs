//! The crates of the workspace, and for each the crates on which it may depend. All rules use this list.

use e2e::sources::{Source, below, read};

/// A crate of the workspace.
pub struct Member {
    pub folder: &'static str,
    pub package: &'static str,
    /// The crates of this workspace on which it may depend. Tests may depend on any crate.
    behind: &'static [&'static str],
}

impl Member {
    pub fn may_depend_on(&self, package: &str) -> bool {
        self.behind.contains(&package)
    }

    /// The files of its library and programs.
    pub fn sources(&self) -> Vec<Source> {
        below(&format!("{}/src/", self.folder), ".rs").unwrap()
    }

    pub fn manifest(&self) -> String {
        read(&format!("{}/Cargo.toml", self.folder)).unwrap()
    }

    /// The name of its library in paths, which its manifest may set.
    pub fn library(&self) -> String {
        let manifest = self.manifest();
        let library = manifest.split("\n[lib]\n").nth(1).unwrap_or_default();
        let name = library
            .lines()
            .take_while(|line| !line.starts_with('['))
            .find_map(|line| line.strip_prefix("name = \""));
        name.map_or_else(
            || self.package.replace('-', "_"),
            |name| name.trim_end_matches('"').to_owned(),
        )
    }
}

const fn member(folder: &'static str, package: &'static str, behind: &'static [&'static str]) -> Member {
    Member {
        folder,
        package,
        behind,
    }
}

/// All crates. Each precedes the crates that use it.
pub const CRATES: &[Member] = &[
    member("proto", "cctf-proto", &[]),
    member("libs/cli", "cctf-cli", &[]),
    member("libs/http-once", "http-once", &[]),
    member("libs/otlp-send", "otlp-send", &[]),
    member("libs/disk", "cctf-disk", &[]),
    member("libs/sort", "cctf-sort", &[]),
    member("libs/standin", "cctf-standin", &["cctf-cli"]),
    member(
        "libs/rundir",
        "cctf-rundir",
        &["cctf-proto", "cctf-cli", "cctf-disk"],
    ),
    member(
        "libs/dataset",
        "cctf-dataset",
        &["cctf-proto", "cctf-sort", "cctf-rundir"],
    ),
    member("libs/aggregate", "cctf-aggregate", &["cctf-proto"]),
    member(
        "libs/analyze",
        "cctf-analyze",
        &["cctf-proto", "cctf-rundir", "cctf-aggregate"],
    ),
    member("libs/page", "cctf-page", &[]),
    member(
        "libs/report",
        "cctf-report",
        &["cctf-proto", "cctf-rundir", "cctf-analyze", "cctf-page"],
    ),
    member(
        "service",
        "tunable-svc",
        &["cctf-proto", "cctf-cli", "cctf-standin", "http-once", "otlp-send"],
    ),
    member(
        "normalizer",
        "cctf-normalizer",
        &[
            "cctf-proto",
            "cctf-cli",
            "cctf-disk",
            "http-once",
            "cctf-aggregate",
            "cctf-page",
        ],
    ),
    member(
        "libs/load",
        "cctf-load",
        &["cctf-proto", "cctf-cli", "http-once", "otlp-send"],
    ),
    member(
        "libs/merge",
        "cctf-merge",
        &[
            "cctf-proto",
            "cctf-sort",
            "cctf-rundir",
            "cctf-aggregate",
            "cctf-analyze",
        ],
    ),
    member(
        "libs/convert",
        "cctf-convert",
        &[
            "cctf-proto",
            "cctf-sort",
            "cctf-rundir",
            "cctf-aggregate",
            "cctf-merge",
            "cctf-normalizer",
        ],
    ),
    member(
        "libs/plan",
        "cctf-plan",
        &[
            "cctf-proto",
            "cctf-sort",
            "cctf-cli",
            "cctf-rundir",
            "cctf-aggregate",
        ],
    ),
    member(
        "libs/anonymise",
        "cctf-anonymise",
        &["cctf-proto", "cctf-cli", "cctf-rundir", "cctf-plan"],
    ),
    member(
        "libs/replay",
        "cctf-replay",
        &[
            "cctf-proto",
            "cctf-cli",
            "cctf-rundir",
            "cctf-load",
            "cctf-plan",
            "cctf-standin",
            "http-once",
        ],
    ),
    member(
        "libs/compare",
        "cctf-compare",
        &[
            "cctf-proto",
            "cctf-cli",
            "cctf-rundir",
            "cctf-analyze",
            "cctf-plan",
        ],
    ),
    member(
        "libs/export",
        "cctf-export",
        &["cctf-proto", "cctf-sort", "cctf-rundir", "cctf-plan"],
    ),
    member(
        "libs/stack",
        "cctf-stack",
        &[
            "cctf-proto",
            "cctf-cli",
            "cctf-rundir",
            "cctf-load",
            "cctf-plan",
            "cctf-standin",
            "http-once",
            "otlp-send",
        ],
    ),
    member(
        "libs/place",
        "cctf-place",
        &["cctf-cli", "cctf-analyze", "cctf-load", "cctf-plan", "cctf-stack"],
    ),
    member(
        "cctf",
        "cctf",
        &[
            "cctf-proto",
            "cctf-page",
            "cctf-place",
            "cctf-report",
            "cctf-cli",
            "cctf-rundir",
            "cctf-analyze",
            "cctf-anonymise",
            "cctf-load",
            "cctf-merge",
            "cctf-plan",
            "cctf-replay",
            "cctf-compare",
            "cctf-convert",
            "cctf-dataset",
            "cctf-export",
            "cctf-stack",
            "cctf-standin",
            "otlp-send",
        ],
    ),
    member("e2e", "e2e", &[]),
    member(
        "measure",
        "measure",
        &["cctf-proto", "cctf-rundir", "cctf-plan", "cctf-export", "e2e"],
    ),
];
