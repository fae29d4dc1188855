//! [`Branches`]: starts the test program whose calls depend on each other in known ways, and its callees.

use std::path::Path;

use crate::binaries::command_in;
use crate::child::Child;

/// Name of the program, which calls the others.
pub const FRONT: &str = "front";
pub const CALLEES: [&str; 4] = ["a", "b", "c", "d"];
/// The routes. There is one for each pattern.
pub const ROUTES: [&str; 7] = [
    "/sequence",
    "/fan-out",
    "/independent",
    "/inner-spans",
    "/quorum",
    "/after-answer",
    "/retry",
];

/// The program and its callees.
#[derive(Debug)]
pub struct Branches {
    front: Child,
    callees: Vec<Child>,
}

impl Branches {
    /// Starts all processes. `link` gets the URL of a callee, and returns the URL at which the program shall call it.
    pub fn start(
        bin_dir: &Path,
        otlp_endpoint: &str,
        link: impl Fn(&str, &str) -> anyhow::Result<String>,
    ) -> anyhow::Result<Self> {
        let mut front = command_in(bin_dir, "branches")?;
        front.args(["--name", FRONT, "--otlp-endpoint", otlp_endpoint]);
        let mut callees = Vec::new();
        for name in CALLEES {
            let mut command = command_in(bin_dir, "branches")?;
            command.args(["--name", name, "--otlp-endpoint", otlp_endpoint]);
            let callee = Child::start(name, command)?;
            let url = link(name, &callee.url("listening")?)?;
            front.args(["--call", &format!("{name}={url}")]);
            callees.push(callee);
        }
        let front = Child::start(FRONT, front)?;
        Ok(Self { front, callees })
    }

    /// URL of the program.
    pub fn url(&self) -> anyhow::Result<String> {
        self.front.url("listening")
    }

    /// Stops all processes. They have exported all their spans then.
    pub fn stop(self) -> anyhow::Result<()> {
        for child in [self.front].into_iter().chain(self.callees) {
            let ended = child.stop()?;
            anyhow::ensure!(ended.status.success(), "{}", ended.stderr);
        }
        Ok(())
    }
}
