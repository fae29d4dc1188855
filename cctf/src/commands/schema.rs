//! `cctf schema`: prints the fields and types of a CCTF file, in the notation of several tools.

use std::process::ExitCode;

use cctf_proto::cctf::File;
use cctf_proto::cctf::schema::{Format, render};
use clap::Args;

use super::{DONE, print};

const AFTER_HELP: &str = "\
Examples:
  cctf schema invocations.jsonl --format json > invocations.schema.json
  duckdb -c \"select * from read_json('cctf/invocations.jsonl', columns=$(cctf schema invocations --format duckdb))\"
  spark.read.schema(\"$(cctf schema calls --format spark)\").json(\"cctf/calls.jsonl\")

Exit codes:
  0  the schema was printed
  1  standard output cannot be written
  2  unknown file or format";

#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct SchemaArgs {
    /// CCTF file, with or without its extension.
    #[arg(value_parser = parse_file)]
    file: File,
    /// Notation of the schema: json (JSON Schema), duckdb, spark, pandas or arrow.
    #[arg(long, env = "CCTF_SCHEMA_FORMAT", default_value = "json", value_parser = parse_format)]
    format: Format,
}

fn parse_file(text: &str) -> Result<File, String> {
    let names = || {
        File::ALL
            .iter()
            .map(|file| file.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    File::by_name(text).ok_or_else(|| format!("{text:?} is not a CCTF file: use one of {}", names()))
}

fn parse_format(text: &str) -> Result<Format, String> {
    let names = || {
        Format::ALL
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found = Format::ALL.iter().find(|(name, _)| *name == text);
    found
        .map(|(_, format)| *format)
        .ok_or_else(|| format!("invalid format {text:?}: use one of {}", names()))
}

pub fn run(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    print(&render(args.file, args.format))?;
    Ok(ExitCode::from(DONE))
}
