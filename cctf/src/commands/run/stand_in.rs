//! [`run`]: starts stand-ins for the instances of a recorded run, and sends the requests of that run to them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use cctf_load::record::summary::Summary;
use cctf_load::session::{LoadSession, SessionConfig};
use cctf_load::stream::Stream;
use cctf_proto::cctf::Part;
use cctf_proto::log_line;
use cctf_stack::config::Services;
use cctf_stack::deployment::Deployment;
use cctf_stack::stand_ins::pairs::Called;
use cctf_stack::stand_ins::stages::Stage;
use cctf_stack::stand_ins::{Placed, Placement, PlacementError, Recording, StandIn};
use cctf_stack::tiers::network::{ConfiguredLink, Network};
use otlp_send::{Destination, Signal};
use plan::work::Names;
use replay::stand_in::ways::{Link, Ways};
use rundir::EVENTS_CLIENT;
use rundir::parts::Run;
use standin::StandIns;

use super::args::RunArgs;
use super::whole::{Driven, whole};
use crate::commands::cells::{printable, table};
use crate::commands::display::ProgressLine;
use crate::commands::driver::DriverFlags;
use crate::commands::flags::RunFlags;
use crate::commands::placement_event::{Happened, PlacementEvent};
use crate::commands::replay::{Checked, Keep, Planned, ReplayArgs, cut_at, void_because};
use crate::commands::run_report::StandInReport;
use crate::commands::run_target::find;
use crate::commands::{Format, UsageError, print};

/// Note about the network without --netns.
const LOOPBACK: &str = "all stand-ins use this machine's loopback interface, and calls wait for their network times; --netns emulates links";
/// Note about the network without --netns, if links have delays or limits.
const WITHOUT_LINKS: &str = "all stand-ins use this machine's loopback interface, and calls wait for the times of the links without using \
                             them: root responses do not vote in cctf compare; --netns emulates the links";

/// Stand-ins, and the network in which they will run.
struct Prepared {
    placed: Arc<Placed>,
    network: Option<Network>,
    /// Whether there is a link with a delay or a limit that is not emulated.
    lacks_links: bool,
    notes: Vec<String>,
    /// Folder of the recorded run. It is resolved first, because a link such as logs/latest will lead to the new run later.
    recorded: String,
}

pub(super) fn run(args: &RunArgs, recorded: &str) -> anyhow::Result<ExitCode> {
    let (run, part) = find(Some(recorded), &args.logs_dir)?;
    let placed = placed(args, &run, &part)?;
    let folder = run.folder(&part).to_string_lossy().into_owned();
    let replay = replay_args(args, recorded);
    let mut planned = Planned::read(&replay)?;
    let prepared = Prepared::new(args, placed, &planned.called(), folder)?;
    planned.check_placed(&replay, &prepared.placed.stand_ins)?;
    planned.ways = ways(&prepared.placed, planned.names(), None);
    planned.later = prepared
        .placed
        .stages
        .iter()
        .map(|stage| {
            let names = planned.names();
            let ways = ways(&prepared.placed, names, Some(stage));
            (stage.at_s, ways, turns(stage, names))
        })
        .collect();
    if args.format == Format::Text {
        print(&format!("{}{}", planned.self_check, prepared.text(run.id())))?;
    }
    whole(args, |run_id, logs_dir, scratch, stop| {
        let folders = (run_id, logs_dir, scratch);
        drive(args, (&replay, planned), &prepared, folders, stop)
    })
}

/// The stand-ins, and notes about them.
fn placed(args: &RunArgs, run: &Run, part: &Part) -> anyhow::Result<(Placed, Vec<String>)> {
    let usage = |error: PlacementError| UsageError(error.to_string());
    let placement = args.stand_ins.placement.as_deref().map(Placement::read);
    let placement = placement.transpose().map_err(usage)?.unwrap_or_default();
    let Some(recording) = Recording::read(run, part)? else {
        let message = format!(
            "cannot start stand-ins for {}: it has no valid module_inventory.json, which lists its instances; cctf validate shows what \
             the run lacks",
            printable(run.id())
        );
        return Err(UsageError(message).into());
    };
    if !placement.events.is_empty() && args.stand_ins.keep == Keep::Work {
        let message = "cannot keep the work of modules that move during the run: remove the events of the placement, or use --keep time";
        return Err(UsageError(message.to_owned()).into());
    }
    let placed = Placed::new(&recording, &placement).map_err(usage)?;
    let mut notes = recording.notes.clone();
    notes.extend(placed.notes.iter().cloned());
    if args.stand_ins.placement.is_some() && placement.changes_nothing() {
        notes.push("the placement changes nothing: all stand-ins are as recorded".to_owned());
    }
    if !args.links.netns && !placement.links.is_empty() {
        notes.push("the links of the placement have no effect: add --netns".to_owned());
    }
    Ok((placed, notes))
}

/// The links between nodes, as recorded and as placed; with a stage, as of its event.
fn ways(placed: &Placed, names: &Names, stage: Option<&Stage>) -> Ways {
    let link = |(delay_s, rate_bps)| Link { delay_s, rate_bps };
    let moved = |module: &str, instance: &str| {
        let mut of_recorded = stage?.of_recorded.iter();
        let is_it = |one: &&StandIn| one.module == module && one.instance == instance;
        Some(of_recorded.find(is_it)?.node.as_str())
    };
    Ways::new(
        names,
        |module, instance| moved(module, instance).or_else(|| placed.node_of(module, instance)),
        |u, v| placed.recorded_way(u, v).map(link),
        |u, v| placed.way(u, v).map(link),
    )
}

/// The ids of the stand-ins that take turns, by the number of the recorded instance.
fn turns(stage: &Stage, names: &Names) -> Vec<Vec<String>> {
    let of = |instance: &plan::work::Instance| {
        let key = (
            names.modules[instance.module as usize].clone(),
            instance.id.clone(),
        );
        stage.turns.get(&key).cloned().unwrap_or_default()
    };
    names.instances.iter().map(of).collect()
}

/// The events of the placement as they are reported, each with the time from which it is in force, nanoseconds.
fn events(placed: &Placed) -> Vec<(u64, PlacementEvent)> {
    let mut events = Vec::new();
    for stage in &placed.stages {
        let like = |one: &&StandIn| one.module == stage.module && one.node == stage.node;
        let stand_in = placed.stand_ins.iter().find(like);
        let moved = (stage.from != stage.node).then(|| Happened::MovedFrom(stage.from.clone()));
        for happened in moved.into_iter().chain(stage.replicas.map(Happened::Scaled)) {
            let event = PlacementEvent {
                happened,
                module: stage.module.clone(),
                app_id: stand_in.and_then(|one| one.app_id.clone()),
                instance: None,
                node: stage.node.clone(),
                stage: stand_in.map(|one| one.stage.clone()),
                reason: stage.reason.clone(),
            };
            // A float becomes an integer by saturation.
            events.push(((stage.at_s * 1e9) as u64, event));
        }
    }
    events
}

impl Prepared {
    /// The links follow from the calls of the run.
    fn new(
        args: &RunArgs,
        (placed, mut notes): (Placed, Vec<String>),
        called: &Called<'_>,
        recorded: String,
    ) -> Result<Self, UsageError> {
        let toxiproxy = args.links.toxiproxy.clone();
        let links = placed.network(&args.driver_node_id, toxiproxy, called);
        let (network, lacks_links) = if args.links.netns {
            let (network, of_links) = links.map_err(|error| UsageError(error.to_string()))?;
            notes.extend(of_links);
            (Some(network), false)
        } else {
            let is_slow = |link: &ConfiguredLink| link.delay_ms > 0 || link.rate_bps.is_some();
            // If there are too many nodes to compute the network, at least one link is missing.
            let lacks_links = links.map_or(true, |(network, _)| network.links.iter().any(is_slow));
            notes.push(if lacks_links { WITHOUT_LINKS } else { LOOPBACK }.to_owned());
            (None, lacks_links)
        };
        Ok(Self {
            placed: Arc::new(placed),
            network,
            lacks_links,
            notes,
            recorded,
        })
    }

    fn reports(&self) -> Vec<StandInReport> {
        self.placed.stand_ins.iter().map(report).collect()
    }

    fn text(&self, run_id: &str) -> String {
        let rows: Vec<[String; 6]> = self.reports().iter().map(row).collect();
        let mut text = format!("stand-ins for {}\n", printable(run_id));
        text += &table(
            ["module", "instance", "node", "stage", "slots", "policy"],
            &rows,
            &[4],
        );
        for note in &self.notes {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "note: {}", printable(note));
        }
        text + "\n"
    }
}

fn report(stand_in: &StandIn) -> StandInReport {
    StandInReport {
        module: stand_in.module.clone(),
        instance: stand_in.instance.clone(),
        node: stand_in.node.clone(),
        stage: stand_in.stage.clone(),
        slots: stand_in.station.slots,
        slot_policy: stand_in.slot_policy(),
    }
}

fn row(stand_in: &StandInReport) -> [String; 6] {
    [
        printable(&stand_in.module),
        printable(&stand_in.instance),
        printable(&stand_in.node),
        stand_in.stage.clone(),
        stand_in
            .slots
            .map_or_else(|| "unlimited".to_owned(), |slots| slots.to_string()),
        stand_in.slot_policy.to_owned(),
    ]
}

/// The flags of a replay of this run, with the stand-ins as receivers.
fn replay_args(args: &RunArgs, recorded: &str) -> ReplayArgs {
    let load = &args.load;
    ReplayArgs {
        recorded: recorded.to_owned(),
        logs_dir: args.logs_dir.clone(),
        targets: Vec::new(),
        allowed: Vec::new(),
        stand_in: None,
        keep: args.stand_ins.keep,
        selection: args.stand_ins.selection.clone(),
        bodies: None,
        seed: None,
        strict: false,
        unfinished: false,
        aa: None,
        dry_run: false,
        sending: load.sending.clone(),
        // The folder of the new run was checked before.
        run: RunFlags {
            run_id: None,
            ..load.run.clone()
        },
        driver: DriverFlags {
            otlp_endpoint: None,
            otlp: args.otlp.clone(),
            out: None,
            node_id: Some(args.driver_node_id.clone()),
            stage: None,
            app_id: args.app_id.clone(),
            workers: None,
        },
        format: args.format,
    }
}

/// Starts the stand-ins, sends the requests, and stops the stand-ins. Then the run's folder is complete.
fn drive(
    args: &RunArgs,
    (replay, planned): (&ReplayArgs, Planned),
    prepared: &Prepared,
    (run_id, logs_dir, scratch): (&str, &Path, &Path),
    stop: &'static AtomicBool,
) -> anyhow::Result<Driven> {
    let services = Services::StandIns {
        placed: Arc::clone(&prepared.placed),
        driver: args.driver_node_id.clone(),
    };
    let config = args.stack_config(run_id, logs_dir, services, prepared.network.clone())?;
    let mut deployment = Deployment::start(config, scratch, stop)?;
    if let Some(page) = deployment.live_page() {
        log_line!("live page: {page}");
    }
    let file = deployment.stand_ins().context("no stand-in was started")?;
    let checked = Checked::of_stand_ins(replay, planned, &StandIns::read(file)?)?;
    if args.format == Format::Text {
        print(&checked.preview.text())?;
    }
    let stream = checked.stream(replay, run_id, stop)?;
    let mut facts = replay.run_facts(run_id, &checked);
    if let Some(replay) = facts.replay.as_mut().filter(|_| prepared.lacks_links) {
        replay.network = Some("loopback");
    }
    let mut session = LoadSession::begin(SessionConfig {
        run: facts,
        identity: args.identity(),
        otlp: Some(Destination::plain(Signal::Traces, deployment.otlp_endpoint())?),
        events_path: Some(logs_dir.join(run_id).join(EVENTS_CLIENT)),
        stop,
    })?;
    let events = events(&prepared.placed);
    let summary = send(&mut session, stream, &checked, (&mut deployment, events), stop)?;
    session.flush()?;
    deployment.settle(stop)?;
    let delivery = session.end()?;
    deployment.finish(stop)?;
    Ok(Driven {
        void_because: void_because(&summary),
        drives: vec![summary],
        delivery,
        links: prepared
            .network
            .as_ref()
            .map_or_else(Vec::new, |network| network.links.clone()),
        stand_ins: prepared.reports(),
        notes: prepared.notes.clone(),
        compare_with: Some(prepared.recorded.clone()),
    })
}

/// Sends all requests. Reports each event when the first request after it is due. Stops early with an error if a child process exits.
fn send(
    session: &mut LoadSession,
    stream: Stream,
    checked: &Checked,
    (deployment, events): (&mut Deployment, Vec<(u64, PlacementEvent)>),
    stop: &AtomicBool,
) -> anyhow::Result<Summary> {
    let destination = Destination::plain(Signal::Traces, deployment.otlp_endpoint())?;
    let mut events = events.into_iter().peekable();
    let mut unreported = None;
    let length = Duration::from_secs_f64(checked.preview.length_s);
    let line = ProgressLine::new("replay", checked.preview.requests, length);
    let mut failure = None;
    let mut report = |now_ns: u64| {
        while let Some((_, event)) = events.next_if(|(at_ns, _)| *at_ns <= now_ns) {
            unreported = unreported.take().or(event.report(&destination).err());
        }
    };
    let sent = session.send(stream, |progress| {
        line.show(progress);
        report(progress.last_offset_ns.load(Ordering::Relaxed));
        if failure.is_none() {
            failure = deployment.check_alive().err();
            if failure.is_some() {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    line.clear();
    // The last requests may have been sent since the last look.
    session.last_offset_ns().into_iter().for_each(report);
    if let Some(error) = unreported {
        return Err(error.context("cannot record an event of the placement"));
    }
    if failure.is_none() {
        let cut_at = cut_at(session, &sent, checked, stop);
        session.set_replayed_to(cut_at);
    }
    match failure.or_else(|| deployment.check_alive().err()) {
        Some(failure) => Err(failure.into()),
        None => Ok(sent?),
    }
}
