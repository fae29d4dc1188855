//! Writes files for measurements of the conversion: the same telemetry in each format, and call graphs of Alibaba. Usage:
//! `telemetry FOLDER REQUESTS`.

#[allow(
    clippy::unwrap_used,
    dead_code,
    reason = "shared with the tests, which use all of it; the values are its own"
)]
#[path = "../tests/convert/world.rs"]
mod world;

#[path = "../tests/convert/alibaba_world.rs"]
mod alibaba_world;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use cctf_normalizer::journal::Signal;
use cctf_normalizer::receiver::message_of_json;

/// Requests of the application in a request of OTLP: 510 spans, about as many as in a batch of the Collector.
const BATCH: u64 = 85;
/// Parts of a call graph. Each begins with the names of the columns, as in joined files.
const PARTS: u64 = 10;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(folder), Some(requests)) = (args.next(), args.next()) else {
        anyhow::bail!("telemetry FOLDER REQUESTS");
    };
    let folder = Path::new(&folder);
    let create = |name: &str| {
        File::create(folder.join(name))
            .map(BufWriter::new)
            .context(folder.display().to_string())
    };
    let (mut lines, mut messages) = (create("lines.json")?, create("messages.bin")?);
    let (mut jaeger, mut zipkin) = (create("jaeger.json")?, create("zipkin.json")?);
    jaeger.write_all(b"{\"data\":[")?;
    zipkin.write_all(b"[")?;
    let mut separator = "";
    let requests: u64 = requests.parse().context("REQUESTS")?;
    for first in (0..requests).step_by(BATCH as usize) {
        let numbers = first..requests.min(first + BATCH);
        let traces = numbers.map(|number| world::request(number, world::BEGIN_US + number * 1_000));
        let traces: Vec<Vec<world::Span>> = traces.collect();
        let json = world::otlp(&traces.concat()).to_string();
        writeln!(lines, "{json}")?;
        let message = message_of_json(Signal::Traces, json.as_bytes())?;
        messages.write_all(&u32::try_from(message.len())?.to_be_bytes())?;
        messages.write_all(&message)?;
        for trace in traces {
            write!(jaeger, "{separator}{}", world::jaeger(&trace))?;
            for span in &trace {
                write!(zipkin, "{separator}{}", world::zipkin(span))?;
                separator = ",";
            }
        }
    }
    jaeger.write_all(b"]}")?;
    zipkin.write_all(b"]")?;
    for release in alibaba_world::RELEASES {
        // In several parts, because each is in memory.
        let name = format!("alibaba{}.csv", release.year);
        let mut table = create(&name)?;
        for part in 0..PARTS {
            let world = alibaba_world::generate(&release, requests / PARTS, part);
            let text = alibaba_world::csv(release.year, &world.rows);
            table.write_all(text.as_bytes())?;
        }
        table.flush()?;
    }
    for mut file in [lines, messages, jaeger, zipkin] {
        file.flush()?;
    }
    Ok(())
}
