//! [`Fetcher`]: lines of a file of all folders by where they are, through a bounded number of blocks.
//!
//! Lines are asked for in the order of their stamps, which is nearly the order in which a normalizer wrote them. So each
//! folder's file is read from its begin to its end, a block at a time, and what is a little out of order lies in a block
//! that is still held. A file that is much out of order costs a read for each line that lies elsewhere.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt;

use anyhow::{Context, ensure};
use cctf_proto::cctf::File;
use foldhash::fast::RandomState;

use super::inputs::Input;
use super::rows::Origin;

/// A block's bytes, however few folders there are; of many folders they are fewer.
const BLOCK_BYTES_MAX: usize = 256 << 10;
const BLOCK_BYTES_MIN: usize = 64;
/// Blocks of each folder that are to be there at once.
const BLOCKS_A_FOLDER: usize = 4;
/// Files open at once; of more folders they are opened again.
const OPEN_MAX: usize = 128;

/// A stretch of a file.
struct Block {
    /// The folder and the number of the block.
    of: (u32, u64),
    bytes: Vec<u8>,
    used: u64,
}

/// Reads lines.
pub struct Fetcher<'s> {
    inputs: &'s [Input],
    file: File,
    opened: HashMap<u32, fs::File, RandomState>,
    block_bytes: usize,
    blocks_max: usize,
    blocks: Vec<Block>,
    places: HashMap<(u32, u64), usize, RandomState>,
    /// The block of each folder that was used last.
    recent: Vec<usize>,
    uses: u64,
    line: Vec<u8>,
}

impl<'s> Fetcher<'s> {
    /// For the lines of one file of these folders, of which so many bytes are held.
    pub fn new(inputs: &'s [Input], file: File, held_bytes: usize) -> Self {
        let wanted = held_bytes / (BLOCKS_A_FOLDER * inputs.len().max(1));
        let fitting = wanted.clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
        let block_bytes = 1 << fitting.ilog2();
        Self {
            inputs,
            file,
            opened: HashMap::default(),
            block_bytes,
            blocks_max: (held_bytes / block_bytes).max(1),
            blocks: Vec::new(),
            places: HashMap::default(),
            recent: vec![usize::MAX; inputs.len()],
            uses: 0,
            line: Vec::new(),
        }
    }

    /// The line that lies there.
    pub fn line(&mut self, origin: Origin) -> anyhow::Result<&[u8]> {
        let (size, length) = (self.block_bytes as u64, origin.length as usize);
        let (number, begin) = (origin.at / size, (origin.at % size) as usize);
        if begin + length <= self.block_bytes {
            let block = self.block(origin.input, number)?;
            let line = self.blocks[block].bytes.get(begin..begin + length);
            return line.with_context(|| shorter(&self.inputs[origin.input as usize], self.file));
        }
        self.line.clear();
        let (mut number, mut begin) = (number, begin);
        while self.line.len() < length {
            let block = self.block(origin.input, number)?;
            let bytes = &self.blocks[block].bytes;
            let end = (begin + length - self.line.len()).min(bytes.len());
            ensure!(
                begin < end,
                shorter(&self.inputs[origin.input as usize], self.file)
            );
            self.line.extend_from_slice(&bytes[begin..end]);
            (number, begin) = (number + 1, 0);
        }
        Ok(&self.line)
    }

    /// The place among the blocks of that one.
    fn block(&mut self, input: u32, number: u64) -> anyhow::Result<usize> {
        self.uses += 1;
        let of = (input, number);
        let recent = self.recent[input as usize];
        let found = match self.blocks.get(recent) {
            Some(block) if block.of == of => Some(recent),
            _ => self.places.get(&of).copied(),
        };
        let place = match found {
            Some(place) => place,
            None => self.load(of)?,
        };
        self.blocks[place].used = self.uses;
        self.recent[input as usize] = place;
        Ok(place)
    }

    fn load(&mut self, of: (u32, u64)) -> anyhow::Result<usize> {
        let place = if self.blocks.len() < self.blocks_max {
            self.blocks.push(Block {
                of,
                bytes: Vec::new(),
                used: 0,
            });
            self.blocks.len() - 1
        } else {
            // The one whose last use is longest ago. They are few, and a read takes longer.
            let oldest = self.blocks.iter().enumerate().min_by_key(|(_, block)| block.used);
            let place = oldest.map_or(0, |(place, _)| place);
            self.places.remove(&self.blocks[place].of);
            place
        };
        let input = &self.inputs[of.0 as usize];
        if self.opened.len() >= OPEN_MAX && !self.opened.contains_key(&of.0) {
            self.opened.clear();
        }
        let path = || input.folder().path(self.file);
        let opened = match self.opened.entry(of.0) {
            std::collections::hash_map::Entry::Occupied(opened) => opened.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let file = fs::File::open(path()).with_context(|| format!("read {}", path().display()))?;
                vacant.insert(file)
            }
        };
        let block = &mut self.blocks[place];
        block.of = of;
        block.bytes.resize(self.block_bytes, 0);
        let mut read = 0;
        while read < self.block_bytes {
            let at = of.1 * self.block_bytes as u64 + read as u64;
            match opened.read_at(&mut block.bytes[read..], at) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).with_context(|| format!("read {}", path().display())),
            }
        }
        block.bytes.truncate(read);
        self.places.insert(of, place);
        Ok(place)
    }
}

fn shorter(input: &Input, file: File) -> String {
    format!(
        "{} has become shorter while it was merged",
        input.folder().path(file).display()
    )
}
