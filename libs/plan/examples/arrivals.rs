//! Prints the requests of a run in the form that `bench/vegeta-pacer` reads. Each line has the time after the start in
//! nanoseconds, the bytes of the body, the method, and the path with its query. `arrivals RUN_FOLDER SPEED [LIMIT]`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use plan::roots::{Roots, Selection};
use rundir::parts::Target;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const USAGE: &str = "arrivals RUN_FOLDER SPEED [LIMIT]";
    let mut args = std::env::args().skip(1);
    let (folder, speed) = (args.next().ok_or(USAGE)?, args.next().ok_or(USAGE)?);
    let selection = Selection {
        speed: speed.parse()?,
        limit: args.next().map(|limit| limit.parse()).transpose()?,
        ..Selection::default()
    };
    let found = Target::Folder(PathBuf::from(folder)).find()?;
    let (run, first) = found.ok_or("the run does not exist")?;
    let roots = Roots::read(&run, &first, &std::env::temp_dir(), &mut |_| {})?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for arrival in selection.plan(&roots)?.arrivals() {
        let arrival = arrival?;
        let root = &arrival.root;
        let (Some(method), Some(path)) = (&root.method, &root.path) else {
            continue;
        };
        let bytes = root.body_bytes.unwrap_or(0);
        write!(out, "{} {bytes} {method} {path}", arrival.offset_ns)?;
        match &root.query {
            Some(query) => writeln!(out, "?{query}")?,
            None => writeln!(out)?,
        }
    }
    Ok(out.flush()?)
}
