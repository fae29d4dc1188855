//! Values of flags: parsers, and an invalid command line as one sentence.

use cctf_proto::cctf::Stage;
use cli::units::parse_bytes;

use crate::journal::BODY_LEN_MAX;

/// Clap's error about an invalid command line, as one sentence.
pub fn first_sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let paragraph: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let sentence = paragraph.join(" ");
    let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
    format!("{sentence} (see --help)")
}

pub(super) fn parse_stage(text: &str) -> Result<Stage, String> {
    Stage::parse(text).ok_or_else(|| {
        let stages: Vec<&str> = Stage::ALL.iter().map(|stage| stage.as_str()).collect();
        format!("invalid stage, use one of {}", stages.join(", "))
    })
}

pub(super) fn parse_stage_of(text: &str) -> Result<(String, Stage), String> {
    match text.split_once('=') {
        Some((key, stage)) if !key.is_empty() => Ok((key.to_owned(), parse_stage(stage)?)),
        _ => Err("write KEY=STAGE, such as edge0=edge".to_owned()),
    }
}

pub(super) fn parse_number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("the value must be an integer greater than 0".to_owned()),
    }
}

pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    match parse_bytes(text)? {
        0 => Err("the value must be greater than 0".to_owned()),
        // A message must fit into a frame of the journal.
        bytes if bytes > BODY_LEN_MAX => Err("the value must be at most 256MiB".to_owned()),
        bytes => Ok(bytes),
    }
}

pub(super) fn parse_any_size(text: &str) -> Result<u64, String> {
    parse_bytes(text).map(|bytes| bytes as u64)
}
