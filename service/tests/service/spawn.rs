//! Starts the binary on free ports, and stops it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::client::{self, Response};

/// A busy machine can be too slow for the default timeouts.
const PATIENCE: [(&str, &str); 4] = [
    ("DRAIN_TIMEOUT_MS", "180000"),
    ("FLUSH_TIMEOUT_MS", "180000"),
    ("NEXT_TIMEOUT_MS", "180000"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "180000"),
];

/// A running service. It is killed if the test ends without stopping it.
pub struct Service {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    child: Option<Child>,
}

/// Exit status and log of a stopped service.
pub struct Ended {
    pub status: ExitStatus,
    pub stderr: String,
}

/// A command that runs the service without the environment variables of this process.
pub fn command(args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tunable-svc"));
    command
        .env_clear()
        .args(args)
        .envs(variables.iter().copied())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Starts a service with these environment variables.
pub fn spawn(variables: &[(&str, &str)]) -> Service {
    spawn_with_stderr(variables, Stdio::piped())
}

/// Like [`spawn`], with another standard error.
pub fn spawn_with_stderr(variables: &[(&str, &str)], stderr: Stdio) -> Service {
    let free_ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let variables = [&PATIENCE, variables].concat();
    let mut child = command(&free_ports, &variables).stderr(stderr).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let Ok(ports) = serde_json::from_str::<serde_json::Value>(&line) else {
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        panic!("the service did not start: {stderr}");
    };
    let address = |key: &str| {
        ports[key]
            .as_str()
            .unwrap()
            .strip_prefix("http://")
            .unwrap()
            .parse()
            .unwrap()
    };
    Service {
        address: address("listening"),
        admin: address("admin"),
        child: Some(child),
    }
}

impl Service {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn get(&self, path: &str) -> Response {
        client::send(self.address, "GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Response {
        self.post_with(path, &[], body)
    }

    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Response {
        client::send(self.address, "POST", path, headers, body.as_ref())
    }

    /// The value of a line of /metrics.
    pub fn metric(&self, name: &str) -> u64 {
        let text = client::send(self.admin, "GET", "/metrics", &[], b"");
        let line = text
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .map(str::to_owned);
        line.unwrap_or_else(|| panic!("no metric {name} in {}", text.text()))
            .parse()
            .unwrap()
    }

    /// Waits until a metric has a value.
    pub fn wait_for_metric(&self, name: &str, value: u64) {
        self.wait_until(name, || self.metric(name) == value);
    }

    /// Waits until `holds` returns true.
    pub fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(180);
        while !holds() {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::yield_now();
        }
    }

    /// CPU time of the thread with this name, nanoseconds; 0 if it has not started.
    pub fn cpu_ns_of_thread(&self, name: &str) -> u64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let mut threads = threads.map(|thread| thread.unwrap().path());
        let is_it = |thread: &std::path::PathBuf| {
            std::fs::read_to_string(thread.join("comm")).is_ok_and(|is| is.trim_end() == name)
        };
        threads.find(is_it).map_or(0, |thread| {
            let times = std::fs::read_to_string(thread.join("schedstat")).unwrap();
            times.split(' ').next().unwrap().parse().unwrap()
        })
    }

    fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.pid()).unwrap();
        // SAFETY: kill only sends a signal to the child that this test started.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Waits for the exit of a service that has received a signal.
    pub fn wait(mut self) -> Ended {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        Ended {
            status: output.status,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Stops the service, which sends all its telemetry and exits with code 0.
    pub fn stop(self) -> Ended {
        self.signal(libc::SIGTERM);
        let ended = self.wait();
        assert!(ended.status.success(), "{:?}: {}", ended.status, ended.stderr);
        ended
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
