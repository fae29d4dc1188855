//! Ten thousand connections that send nothing, and more connections than the limit allows.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;

use tempfile::TempDir;

use super::clients::{Clients, Target, send};
use super::normalizer::{Launch, PATIENCE, wait_until};
use super::requests::Request;
use super::shim::Clocks;

const CONNECTIONS: usize = 10_000;
/// Maximum memory per connection.
const BYTES_EACH: u64 = 24 * 1024;
/// Factor by which the normalizer's clock is slower while the test opens connections, because this can take a long time.
const SLOWED: u64 = 100;
/// A time for which a connection cannot stay silent.
const LONG_SECONDS: i64 = 11;

/// The limit on open files of this process. It is raised as far as it is needed and possible.
fn open_files_limit() -> usize {
    let wanted = 2 * CONNECTIONS as libc::rlim_t;
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the calls get valid pointers to a limit that outlives them, and keep none.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        // Privileged users can raise the hard limit. The normalizer inherits it.
        for hard in [limit.rlim_max.max(wanted), limit.rlim_max] {
            limit.rlim_cur = hard;
            limit.rlim_max = hard;
            if libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0 {
                break;
            }
        }
    }
    usize::try_from(limit.rlim_cur).unwrap()
}

/// This test fails without `OPENING_TIMEOUT`: the connections stay open.
#[test]
fn ten_thousand_silent_connections_delay_no_other() {
    let limit = open_files_limit();
    // Half of the connections go to each of two listeners. A listener may use nearly a third of the normalizer's files.
    let connections = CONNECTIONS.min(limit / 2);
    let folder = TempDir::new().unwrap();
    let clocks = Clocks::new(folder.path());
    let launch = Launch::in_folder(&folder.path().join("logs")).variables(clocks.variables(SLOWED));
    let normalizer = launch.start().unwrap();
    let target = Target::default();
    target.set(Some(normalizer.address("http")));
    let clients = Clients::start(&target, 2);
    clients.go_on_for(20);
    let (files, memory) = (normalizer.open_files(), normalizer.memory_peak());
    let doors = [normalizer.address("http"), normalizer.address("grpc")];
    let silent: Vec<TcpStream> = (0..connections)
        .map(|number| TcpStream::connect(doors[number % 2]).unwrap())
        .collect();
    wait_until("all connections", || {
        normalizer.open_files() >= files + connections - 20
    });
    clients.go_on_for(100);
    let cost = normalizer.memory_peak() - memory;
    assert!(
        cost < connections as u64 * BYTES_EACH,
        "{cost} bytes for {connections} connections"
    );
    wait_until("their end", || {
        // This is repeated, because the timeout of a connection starts when its task first runs. This can happen only now.
        clocks.let_go_by(LONG_SECONDS);
        normalizer.open_files() < files + 20
    });
    drop(silent);
    clients.go_on_for(20);
    let acknowledged = clients.finish();
    normalizer.stop();
    acknowledged.check(
        &launch.folder,
        &format!("{connections} silent connections, {} KiB", cost / 1024),
    );
}

/// This test fails when connections over the limit are served (without a permit): the first is not closed.
#[test]
fn a_connection_over_the_limit_is_closed_until_silent_ones_end() {
    const MAX: usize = 50;
    let folder = TempDir::new().unwrap();
    let clocks = Clocks::new(folder.path());
    let launch = Launch::in_folder(&folder.path().join("logs"))
        .flag("--connections-max", &MAX.to_string())
        .variables(clocks.variables(SLOWED));
    let normalizer = launch.start().unwrap();
    let http = normalizer.address("http");
    let silent: Vec<TcpStream> = (0..MAX).map(|_| TcpStream::connect(http).unwrap()).collect();
    let mut one_more = TcpStream::connect(http).unwrap();
    one_more.set_read_timeout(Some(PATIENCE)).unwrap();
    let closed = one_more.read(&mut [0]).map_err(|error| error.kind());
    assert!(
        matches!(closed, Ok(0) | Err(ErrorKind::ConnectionReset)),
        "it is closed at once: {closed:?}"
    );
    let request = Request { client: 0, number: 0 };
    assert_eq!(send(http, &request.http1()), None, "and so is the next");
    wait_until("room for a connection", || {
        // This is repeated, because the timeout of a connection starts when its task first runs. This can happen only now.
        clocks.let_go_by(LONG_SECONDS);
        send(http, &request.http1()) == Some(200)
    });
    drop(silent);
    normalizer.stop();
    let rows = super::requests::check_rows(&launch.folder, std::iter::once(request));
    println!("{MAX} connections at most: {rows} rows: lost 0, doubled 0, torn 0");
}
