//! The kernel's counters of a process: CPU time, peak memory, bytes written.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};

/// CPU time of all threads so far, including ended ones, in nanoseconds.
pub fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let pid = libc::pid_t::try_from(pid)?;
    let mut clock = 0;
    // SAFETY: the call only writes the id of a clock to the given variable.
    let failed = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    ensure!(failed == 0, "process {pid} has no CPU clock: error {failed}");
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call only writes the time to the given variable.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut time) };
    ensure!(
        failed == 0,
        "cannot read the CPU clock of process {pid}: {}",
        std::io::Error::last_os_error()
    );
    Ok(Duration::new(
        u64::try_from(time.tv_sec)?,
        u32::try_from(time.tv_nsec)?,
    ))
}

/// CPU time so far of the threads with this name.
pub fn threads_cpu_time(pid: u32, name: &str) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/task");
    let mut total = Duration::ZERO;
    for task in fs::read_dir(&path).with_context(|| format!("cannot read {path}"))? {
        let task = task?.path();
        // A thread can end between the two reads; its time is then not counted.
        let Ok(comm) = fs::read_to_string(task.join("comm")) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(task.join("schedstat")) else {
            continue;
        };
        if comm.trim_end() == name {
            // The first field is the time on a CPU, in nanoseconds.
            let ns = stat.split_whitespace().next().context("an empty schedstat")?;
            total += Duration::from_nanos(ns.parse()?);
        }
    }
    Ok(total)
}

/// CPU time of all threads so far, in the kernel's clock ticks of 10 ms.
#[derive(Debug, Clone, Copy)]
pub struct CpuTimes {
    pub user: Duration,
    pub kernel: Duration,
}

pub fn cpu_times(pid: u32) -> anyhow::Result<CpuTimes> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // The name in parentheses may contain spaces. utime and stime are fields 14 and 15 of proc_pid_stat(5), the twelfth and the
    // thirteenth after the name.
    let behind_name = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let mut ticks = behind_name.split(' ').skip(11);
    let mut next = || {
        let ticks = ticks.next().with_context(|| format!("no CPU times in {path}"))?;
        anyhow::Ok(Duration::from_millis(ticks.parse::<u64>()? * 10))
    };
    Ok(CpuTimes {
        user: next()?,
        kernel: next()?,
    })
}

/// Peak memory, bytes.
pub fn peak_memory(pid: u32) -> anyhow::Result<u64> {
    Ok(number(&format!("/proc/{pid}/status"), "VmHWM:")? * 1024)
}

/// Number of bytes that the process has written to disks.
pub fn written_bytes(pid: u32) -> anyhow::Result<u64> {
    number(&format!("/proc/{pid}/io"), "write_bytes:")
}

fn number(path: &str, name: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    let found = found.with_context(|| format!("no {name} in {path}"))?;
    found
        .parse()
        .with_context(|| format!("{name} is {found} in {path}"))
}
