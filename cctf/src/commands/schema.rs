//! `cctf schema`: the types of a file of the contract, for readers that want them written down.

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
  0  printed
  1  standard output could not be written
  2  no such file in the contract, or no such format";

/// Flags of `cctf schema`.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct SchemaArgs {
    /// File of the contract, with or without its ending.
    #[arg(value_parser = parse_file)]
    file: File,
    /// Reader that the types are for: json (JSON Schema), duckdb, spark, pandas or arrow.
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
    File::by_name(text).ok_or_else(|| format!("{text:?} is no file of the contract: use one of {}", names()))
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
        .ok_or_else(|| format!("{text:?} is no format: use one of {}", names()))
}

/// Runs the subcommand.
pub fn run(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    print(&render(args.file, args.format))?;
    Ok(ExitCode::from(DONE))
}
