//! `cctf stats --cpu`: CPU times of endpoints, estimated for modules whose rows do not report them.

use std::num::NonZero;
use std::process::ExitCode;
use std::thread;

use analyze::endpoint_cpu::{CpuOfEndpoint, EndpointCpu, NoCpuTime, Options, endpoint_cpu, with_cpu_times};
use analyze::regression::{Estimate, NoEstimate, NoRegression};
use analyze::stats::cells::OTHER_NAME;
use cctf_proto::cctf::{EndpointCpuSource, File, Part, WHOLE_BYTES_MAX};
use cctf_proto::log_line;
use rundir::RunFolder;
use rundir::output::{lock_run, replace_whole};
use rundir::parts::{Run, State};
use serde_json::{Value, json};

use crate::commands::cells::{UNKNOWN, counted, cut, printable, table as columns};
use crate::commands::damages;
use crate::commands::display::BytesBar;
use crate::commands::{DONE, FAILED, UsageError};

const NAME_WIDTH_MAX: usize = 60;
/// Value of `cpu_src` for these figures.
const REGRESSED: &str = EndpointCpuSource::Regressed.as_str();

/// Prints a table, or JSON. `is_written` states whether the estimates are also written to the inventory.
pub fn run(run: &Run, part: &Part, is_json: bool, is_written: bool) -> anyhow::Result<ExitCode> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let bar = BytesBar::new();
    let found = endpoint_cpu(run, part, &Options::all(threads), &mut |progress| {
        bar.show("reading", progress.done, progress.total);
    });
    bar.clear();
    let found = found?;
    if is_written {
        write(run, part, &found)?;
    }
    crate::commands::print(&match is_json {
        true => json(&found)?,
        false => table(&found),
    })?;
    damages::show_count(found.damaged);
    if found.damaged > 0 {
        return Ok(ExitCode::from(FAILED));
    }
    Ok(ExitCode::from(DONE))
}

/// Adds the estimates to the inventory of the last part, which contains the modules of all parts.
fn write(run: &Run, first: &Part, found: &EndpointCpu) -> anyhow::Result<()> {
    let Some(last) = run.parts_from(first)?.pop() else {
        return Ok(());
    };
    let path = run.path(&last, File::ModuleInventory);
    let refusal = |cause: &str| UsageError(format!("cannot write {}: {cause}", path.display()));
    let folder = run.folder(&last);
    let lock = lock_run(&folder)?;
    if lock.is_none() || run.state(&last)? != State::Ended {
        return Err(refusal("the run has not ended; repeat the command after its end").into());
    }
    let inventory = RunFolder::open(&folder)?.whole(File::ModuleInventory, WHOLE_BYTES_MAX)?;
    let inventory =
        inventory.ok_or_else(|| refusal("the file does not exist; restore it or choose another run"))?;
    let estimated = with_cpu_times(&inventory, &found.modules)
        .map_err(|error| refusal(&format!("{error}; cctf validate shows more")))?;
    if *estimated.inventory != inventory {
        replace_whole(&path, &estimated.inventory)?;
    }
    log_line!(
        "cctf: {} in {}",
        counted(estimated.set, "estimate"),
        printable(&path.to_string_lossy())
    );
    Ok(())
}

fn table(found: &EndpointCpu) -> String {
    let notes: String = found.notes.iter().map(|note| format!("note: {note}\n")).collect();
    if found.modules.is_empty() {
        return notes + "no module lacks cpu_time_ms and has samples of process.cpu.time\n";
    }
    let mut rows = Vec::new();
    for module in &found.modules {
        for endpoint in &module.endpoints {
            let name = format!("{} {}", module.module_id, name(endpoint));
            let ms = |seconds: f64| format!("{:.3}", seconds * 1e3);
            let (mean, interval, source) = match &endpoint.cpu {
                Ok(Estimate { mean, low, high, .. }) => {
                    let interval = format!("{}..{}", ms(*low), ms(*high));
                    (ms(*mean), interval, REGRESSED.to_owned())
                }
                Err(reason) => (UNKNOWN.to_owned(), UNKNOWN.to_owned(), reason.to_string()),
            };
            let name = cut(&printable(&name), NAME_WIDTH_MAX);
            rows.push([name, endpoint.requests.to_string(), mean, interval, source]);
        }
    }
    let titles = ["endpoint", "requests", "cpu ms", "95% interval", "source"];
    notes + &columns(titles, &rows, &[1, 2])
}

fn name(endpoint: &CpuOfEndpoint) -> String {
    let text = |text: &Option<String>| text.as_deref().unwrap_or(UNKNOWN).to_owned();
    match endpoint.is_other {
        true => OTHER_NAME.to_owned(),
        false => format!("{} {}", text(&endpoint.method), text(&endpoint.route)),
    }
}

fn json(found: &EndpointCpu) -> serde_json::Result<String> {
    let modules: Vec<Value> = found
        .modules
        .iter()
        .map(|module| {
            let endpoints: Vec<Value> = module.endpoints.iter().map(object).collect();
            json!({ "module_id": module.module_id, "endpoints": endpoints })
        })
        .collect();
    let whole = json!({ "modules": modules, "damaged_lines": found.damaged, "notes": found.notes });
    Ok(serde_json::to_string(&whole)? + "\n")
}

fn object(endpoint: &CpuOfEndpoint) -> Value {
    let mut object = json!({
        "method": endpoint.method,
        "route": endpoint.route,
        "requests": endpoint.requests,
    });
    if endpoint.is_other {
        object["other"] = true.into();
    }
    match &endpoint.cpu {
        Ok(Estimate { mean, low, high, .. }) => {
            object["cpu_ms"] = (mean * 1e3).into();
            object["cpu_ms_interval"] = json!([low * 1e3, high * 1e3]);
            object["cpu_src"] = REGRESSED.into();
        }
        Err(reason) => {
            object["cpu_ms"] = Value::Null;
            object["reason"] = reason_name(reason).into();
            object["message"] = reason.to_string().into();
        }
    }
    object
}

fn reason_name(reason: &NoCpuTime) -> &'static str {
    match reason {
        NoCpuTime::Endpoint(NoEstimate::InStep { .. } | NoEstimate::TooWide(_)) => "not_separable",
        NoCpuTime::Endpoint(NoEstimate::NoRequests | NoEstimate::TooFew { .. }) => "too_few",
        NoCpuTime::Process(NoRegression::TooShort { .. }) => "too_short",
        NoCpuTime::Process(NoRegression::NoCpu) => "no_cpu",
        NoCpuTime::Process(NoRegression::NotCumulative) => "not_cumulative",
    }
}
