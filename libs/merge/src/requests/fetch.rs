//! [`Fetcher`]: reads lines of one file of all folders by their location. It keeps a limited number of blocks of the files in
//! memory.
//!
//! Lines are requested in the order of their timestamps. A normalizer wrote them in nearly the same order, so each folder's
//! file is read from start to end in blocks. A line that is slightly out of order is in a block that is still in memory. Lines of
//! a file that is far out of order, such as one that was written trace by trace, are read one by one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::os::unix::fs::FileExt;

use anyhow::{Context, ensure};
use cctf_proto::cctf::File;
use foldhash::fast::RandomState;

use crate::inputs::{Input, LineLocation};

/// Maximum size of a block. With many folders, blocks are smaller.
const BLOCK_BYTES_MAX: usize = 256 << 10;
const BLOCK_BYTES_MIN: usize = 64;
/// Reading a line by itself takes about as long as reading this many bytes of a block.
const BYTES_PER_LINE: usize = 4 << 10;
/// Number of blocks of each folder that should fit into memory.
const BLOCKS_PER_FOLDER: usize = 4;
/// Maximum number of open files. If there are more folders, files are closed and opened again.
const OPEN_MAX: usize = 128;

/// Index of the folder, and index of the block in the folder's file.
type BlockId = (u32, u64);

struct Block {
    id: BlockId,
    bytes: Vec<u8>,
    /// Number of the request that used the block last.
    used: u64,
}

pub struct Fetcher<'s> {
    inputs: &'s [Input],
    file: File,
    opened: HashMap<u32, fs::File, RandomState>,
    block_bytes: usize,
    blocks_max: usize,
    blocks: Vec<Block>,
    /// Indices of blocks in memory, by id.
    indices: HashMap<BlockId, usize, RandomState>,
    /// Index of the last used block of each folder.
    recent: Vec<usize>,
    /// For each folder: the last block from which lines were read one by one, and their number.
    jumps: Vec<(u64, usize)>,
    uses: u64,
    /// Memory for a line that is in more than one block, or in none.
    line: Vec<u8>,
}

impl<'s> Fetcher<'s> {
    /// Creates a fetcher for lines of `file`, which keeps about `held_bytes` bytes of blocks in memory.
    pub fn new(inputs: &'s [Input], file: File, held_bytes: usize) -> Self {
        let wanted = held_bytes / (BLOCKS_PER_FOLDER * inputs.len().max(1));
        let fitting = wanted.clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
        let block_bytes = 1 << fitting.ilog2();
        Self {
            inputs,
            file,
            opened: HashMap::default(),
            block_bytes,
            blocks_max: (held_bytes / block_bytes).max(1),
            blocks: Vec::new(),
            indices: HashMap::default(),
            recent: vec![usize::MAX; inputs.len()],
            jumps: vec![(u64::MAX, 0); inputs.len()],
            uses: 0,
            line: Vec::new(),
        }
    }

    /// For lines of `file` that were copied from the folders to a temporary file. All locations must be in it, with the number of
    /// the first folder.
    pub fn of_copies(inputs: &'s [Input], file: File, copies: fs::File, held_bytes: usize) -> Self {
        let mut fetcher = Self::new(&inputs[..inputs.len().min(1)], file, held_bytes);
        fetcher.opened.insert(0, copies);
        fetcher
    }

    pub fn line(&mut self, location: LineLocation) -> anyhow::Result<&[u8]> {
        let (size, length) = (self.block_bytes as u64, location.length as usize);
        let (mut number, mut begin) = (location.offset / size, (location.offset % size) as usize);
        let first = (location.folder, number);
        if self.held(first).is_none() && self.is_jump(first) {
            return self.line_alone(location);
        }
        if begin + length <= self.block_bytes {
            let block = self.block(first)?;
            let line = self.blocks[block].bytes.get(begin..begin + length);
            return line.with_context(|| shrunk(&self.inputs[location.folder as usize], self.file));
        }
        self.line.clear();
        while self.line.len() < length {
            let block = self.block((location.folder, number))?;
            let bytes = &self.blocks[block].bytes;
            let end = (begin + length - self.line.len()).min(bytes.len());
            ensure!(
                begin < end,
                shrunk(&self.inputs[location.folder as usize], self.file)
            );
            self.line.extend_from_slice(&bytes[begin..end]);
            (number, begin) = (number + 1, 0);
        }
        Ok(&self.line)
    }

    /// Whether to read a line without its block, which is not in memory: the block does not follow one in memory, and so few of
    /// its lines were requested that reading all of it would take longer.
    fn is_jump(&mut self, (folder, number): BlockId) -> bool {
        let is_next = match number.checked_sub(1) {
            Some(before) => self.held((folder, before)).is_some(),
            None => true,
        };
        if is_next {
            return false;
        }
        let (block, lines) = &mut self.jumps[folder as usize];
        if *block != number {
            (*block, *lines) = (number, 0);
        }
        *lines += 1;
        *lines <= self.block_bytes / BYTES_PER_LINE
    }

    fn line_alone(&mut self, location: LineLocation) -> anyhow::Result<&[u8]> {
        let mut line = std::mem::take(&mut self.line);
        line.resize(location.length as usize, 0);
        let read = self.read(location.folder, location.offset, &mut line)?;
        ensure!(
            read == line.len(),
            shrunk(&self.inputs[location.folder as usize], self.file)
        );
        self.line = line;
        Ok(&self.line)
    }

    /// The index of a block, if it is in memory.
    fn held(&self, id: BlockId) -> Option<usize> {
        let recent = self.recent[id.0 as usize];
        match self.blocks.get(recent) {
            Some(block) if block.id == id => Some(recent),
            _ => self.indices.get(&id).copied(),
        }
    }

    /// The index of a block in memory. If the block is not in memory, it is read.
    fn block(&mut self, id: BlockId) -> anyhow::Result<usize> {
        self.uses += 1;
        let index = match self.held(id) {
            Some(index) => index,
            None => self.load(id)?,
        };
        self.blocks[index].used = self.uses;
        self.recent[id.0 as usize] = index;
        Ok(index)
    }

    fn load(&mut self, id: BlockId) -> anyhow::Result<usize> {
        let index = self.free_block(id);
        let mut bytes = std::mem::take(&mut self.blocks[index].bytes);
        bytes.resize(self.block_bytes, 0);
        let read = self.read(id.0, id.1 * self.block_bytes as u64, &mut bytes)?;
        bytes.truncate(read);
        let block = &mut self.blocks[index];
        (block.id, block.bytes) = (id, bytes);
        self.indices.insert(id, index);
        Ok(index)
    }

    /// Reads a folder's file from `begin` on, until `bytes` is full or the file ends. Returns the number of bytes.
    fn read(&mut self, folder: u32, begin: u64, bytes: &mut [u8]) -> anyhow::Result<usize> {
        let path = self.inputs[folder as usize].folder_of(self.file).path(self.file);
        let cannot_read = || format!("cannot read {}", path.display());
        if self.opened.len() >= OPEN_MAX && !self.opened.contains_key(&folder) {
            self.opened.clear();
        }
        let opened = match self.opened.entry(folder) {
            Entry::Occupied(opened) => opened.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(fs::File::open(&path).with_context(cannot_read)?),
        };
        let mut read = 0;
        while read < bytes.len() {
            match opened.read_at(&mut bytes[read..], begin + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).with_context(cannot_read),
            }
        }
        Ok(read)
    }

    /// The index of a new block, or of the one that was not used for the longest time. A linear search is enough, because there
    /// are few blocks and a read takes longer.
    fn free_block(&mut self, id: BlockId) -> usize {
        if self.blocks.len() < self.blocks_max {
            self.blocks.push(Block {
                id,
                bytes: Vec::new(),
                used: 0,
            });
            return self.blocks.len() - 1;
        }
        let oldest = self.blocks.iter().enumerate().min_by_key(|(_, block)| block.used);
        let index = oldest.map_or(0, |(index, _)| index);
        self.indices.remove(&self.blocks[index].id);
        index
    }
}

fn shrunk(input: &Input, file: File) -> String {
    format!(
        "cannot merge {}: the file shrank during the merge",
        input.folder_of(file).path(file).display()
    )
}
