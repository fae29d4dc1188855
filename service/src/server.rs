//! The whole service: starts its parts, serves until a signal, drains, and stops the parts in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::dev::{Server, ServerHandle};
use actix_web::http::Method;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, guard, web};
use anyhow::{Context as _, anyhow};
use cctf_proto::stdio;
use futures_util::future::LocalBoxFuture;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Clock;
use crate::endpoints::ENDPOINTS;
use crate::forward::Forwarder;
use crate::intake::{Target, serve};
use crate::kv::Store;
use crate::service::Service;
use crate::settings::Settings;
use crate::stand_in::intake;
use crate::stand_in::shared::StandIn;
use crate::station::queue::Queue;
use crate::station::{Item, scheduling, slot};
use crate::stats::Stats;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Sources;
use crate::telemetry::resource::set_names;
use crate::{admin, embedded, files, privileges};

/// Longer than the idle timeouts of common clients, so that the client closes idle connections.
const KEEP_ALIVE: Duration = Duration::from_secs(90);
/// Time for connections to close after their last answer.
const CLOSE_SECONDS: u64 = 1;
/// Interval of checks for the end of a drain.
const DRAIN_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Additional time after the drain for slots to finish their work.
const SLOT_GRACE: Duration = Duration::from_millis(200);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The service cannot start, for example because of a port, a folder or a setting.
pub fn run(mut settings: Settings) -> anyhow::Result<()> {
    let normalizer = embedded::Program::find(&settings)?;
    privileges::drop_root(settings.log_path.as_deref())?;
    let folder = files::Folder::prepare(settings.log_path.as_deref())?;
    let normalizer = normalizer
        .map(|normalizer| normalizer.start(folder.path(), &settings))
        .transpose()?;
    if let Some(normalizer) = &normalizer {
        settings.otel.send_to(normalizer.endpoint())?;
    }
    if settings.stand_in.is_some() {
        set_names(&mut settings);
    }
    let clock = Clock::start();
    let stats = Arc::new(Stats::default());
    let queue: Arc<Queue<Item>> = Arc::new(Queue::new(settings.queue_limit));
    let store = Store::open(&folder.path().join("kv.sqlite"), settings.kv_max_mb)?;
    let mut telemetry = Telemetry::start(&settings, clock, sources(&settings, &stats, &queue))?;
    let service = Arc::new(Service {
        clock,
        queue,
        stats,
        store,
        forwarder: Forwarder::new(&settings),
        tracer: telemetry.tracer.clone(),
        instruments: telemetry.instruments.clone(),
        span_counts: telemetry.span_counts.clone(),
        draining: AtomicBool::new(false),
        settings,
    });
    let calls = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("calls")
        .enable_all()
        .build()
        .context("cannot start the thread for downstream calls")?;
    let slots = start_slots(&service, calls.handle())?;
    let stand_in = service.settings.stand_in.clone();
    let stand_in = stand_in
        .map(|path| StandIn::start(service.clone(), path, calls.handle().clone()).map(Arc::new))
        .transpose()?;
    let serving = listen_and_serve(&service, &telemetry, stand_in.as_ref());
    let served = actix_web::rt::System::new().block_on(serving);
    service.queue.abandon();
    join_slots(slots);
    calls.shutdown_background();
    telemetry.stop(&service.settings, service.clock);
    if let Some(normalizer) = normalizer {
        normalizer.stop();
    }
    served
}

fn sources(settings: &Settings, stats: &Arc<Stats>, queue: &Arc<Queue<Item>>) -> Sources {
    let queue = queue.clone();
    let queue_length = Arc::new(move || queue.len() as u64);
    Sources {
        stats: stats.clone(),
        queue_length,
        workers: settings.slots().map(|slots| slots as u64),
    }
}

fn start_slots(
    service: &Arc<Service>,
    calls: &tokio::runtime::Handle,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let start = |number: usize| {
        let (service, calls) = (service.clone(), calls.clone());
        std::thread::Builder::new()
            .name(format!("slot-{number}"))
            .spawn(move || {
                scheduling::request_short_slices();
                if service.settings.stand_in.is_some() {
                    scheduling::request_exact_wakeups();
                }
                slot::run(&service, &calls);
            })
    };
    let slots = (0..service.settings.first_slots())
        .map(start)
        .collect::<io::Result<_>>();
    slots.map_err(|error| anyhow!("cannot start the worker slots: {error}; reduce WORKERS"))
}

fn join_slots(slots: Vec<JoinHandle<()>>) {
    let deadline = Instant::now() + SLOT_GRACE;
    for slot in slots {
        while !slot.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

async fn listen_and_serve(
    service: &Arc<Service>,
    telemetry: &Telemetry,
    stand_in: Option<&Arc<StandIn>>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let (workload, listening) = bind_workload(service, stand_in)?;
    let (admin, admin_listening) = bind_admin(service, stand_in)?;
    let (workload_handle, admin_handle) = (workload.handle(), admin.handle());
    let workload = actix_web::rt::spawn(workload);
    let admin = actix_web::rt::spawn(admin);
    telemetry.report_start(&service.settings, service.clock);
    announce(listening, admin_listening);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drain(service, stand_in, &workload_handle).await;
    admin_handle.stop(false).await;
    workload
        .await
        .context("the HTTP server was cancelled")?
        .context("the HTTP server failed")?;
    admin
        .await
        .context("the admin server was cancelled")?
        .context("the admin server failed")
}

/// Prints the addresses as one line of JSON: with port 0, callers cannot know them otherwise.
fn announce(listening: SocketAddr, admin: SocketAddr) {
    let line =
        serde_json::json!({ "listening": format!("http://{listening}"), "admin": format!("http://{admin}") });
    // Not fatal: callers may know the ports from the flags.
    if let Err(error) = stdio::print_line(&line.to_string()) {
        tracing::warn!("{error}");
    }
    tracing::info!("listening on http://{listening}, admin on http://{admin}");
}

/// Refuses new connections, waits for requests in progress at most DRAIN_TIMEOUT_MS, then closes all connections.
async fn drain(service: &Service, stand_in: Option<&Arc<StandIn>>, server: &ServerHandle) {
    let has_work =
        || service.stats.active() > 0 || stand_in.is_some_and(|stand_in| stand_in.unfinished() > 0);
    service.draining.store(true, Ordering::Relaxed);
    server.pause().await;
    let active = service.stats.active();
    tracing::info!(active, "stopping: refusing new connections");
    let deadline = Instant::now() + Duration::from_millis(service.settings.drain_timeout_ms);
    while has_work() && Instant::now() < deadline {
        tokio::time::sleep(DRAIN_POLL_INTERVAL).await;
    }
    let unfinished = service.stats.active();
    if unfinished > 0 {
        tracing::warn!(unfinished, "requests did not finish within DRAIN_TIMEOUT_MS");
    }
    server.stop(unfinished == 0).await;
}

fn bind_workload(
    service: &Arc<Service>,
    stand_in: Option<&Arc<StandIn>>,
) -> anyhow::Result<(Server, SocketAddr)> {
    let address = service.settings.listen_address();
    let (shared, stand_in) = (service.clone(), stand_in.cloned());
    let routes = move |config: &mut web::ServiceConfig| match &stand_in {
        Some(stand_in) => stand_in_routes(config, stand_in),
        None => routes(config, &shared),
    };
    let server = HttpServer::new(move || App::new().configure(&routes))
        .workers(service.settings.io_worker_count())
        .max_connections(service.settings.max_connections)
        .keep_alive(KEEP_ALIVE)
        .tcp_nodelay(true)
        .shutdown_timeout(CLOSE_SECONDS)
        .disable_signals()
        .bind(address)
        .map_err(|error| {
            anyhow!("cannot listen on {address}: {error}; set LISTEN or PORT to another address")
        })?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    Ok((server.run(), bound))
}

fn bind_admin(
    service: &Arc<Service>,
    stand_in: Option<&Arc<StandIn>>,
) -> anyhow::Result<(Server, SocketAddr)> {
    let address = service.settings.admin_listen;
    let (shared, stand_in) = (service.clone(), stand_in.cloned());
    let further: admin::Further = Arc::new(move || {
        let counters = stand_in.as_ref().map(|stand_in| &stand_in.counters);
        counters.map_or_else(Vec::new, |counters| counters.lines())
    });
    let routes = move |config: &mut web::ServiceConfig| admin::routes(config, &shared, &further);
    let server = HttpServer::new(move || App::new().configure(&routes))
        .workers(1)
        .disable_signals()
        .bind(address)
        .map_err(|error| {
            anyhow!("cannot listen on {address}: {error}; set ADMIN_LISTEN to another address")
        })?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    Ok((server.run(), bound))
}

fn routes(config: &mut web::ServiceConfig, service: &Arc<Service>) {
    for (first, endpoint) in ENDPOINTS.iter().enumerate() {
        let is_duplicate = ENDPOINTS[..first]
            .iter()
            .any(|earlier| earlier.route == endpoint.route);
        if !is_duplicate {
            config.service(resource(endpoint.route, service));
        }
    }
    config.default_service(web::to(handler(service, Target::Unknown)));
}

/// Routes of a stand-in. A request for its description is answered at once. Any other request contains work, and is executed.
fn stand_in_routes(config: &mut web::ServiceConfig, stand_in: &Arc<StandIn>) {
    let (described, executing) = (stand_in.clone(), stand_in.clone());
    let probe = web::get().to(move || std::future::ready(intake::probe(&described)));
    let execute = move |head: HttpRequest, payload: web::Payload| -> LocalBoxFuture<'static, HttpResponse> {
        Box::pin(intake::serve(executing.clone(), head, payload))
    };
    config.service(
        web::resource(standin::STAND_IN_PATH)
            .guard(guard::fn_guard(|request| {
                !request.head().headers().contains_key(standin::PLAN_HEADER)
            }))
            .route(probe)
            .default_service(web::to(execute.clone())),
    );
    config.default_service(web::to(execute));
}

fn resource(route: &'static str, service: &Arc<Service>) -> actix_web::Resource {
    let mut resource = web::resource(route);
    let endpoints = ENDPOINTS
        .iter()
        .enumerate()
        .filter(|(_, endpoint)| endpoint.route == route);
    let mut allow = "";
    for (index, endpoint) in endpoints {
        let method = if endpoint.method == "GET" {
            Method::GET
        } else {
            Method::POST
        };
        allow = if allow.is_empty() {
            endpoint.method
        } else {
            "GET, POST"
        };
        resource = resource.route(web::method(method).to(handler(service, Target::Endpoint(index))));
    }
    resource.default_service(web::to(handler(service, Target::WrongMethod(allow))))
}

fn handler(
    service: &Arc<Service>,
    target: Target,
) -> impl Fn(HttpRequest, web::Payload) -> LocalBoxFuture<'static, HttpResponse> + Clone + 'static {
    let service = service.clone();
    move |head, payload| Box::pin(serve(service.clone(), target.clone(), head, payload))
}
