//! [`Output`]: the rows and snapshots since the last drain, by run and file, ready to be written.

use aggregate::ids::RunId;
use cctf_proto::cctf::{File, Part};

/// Rows and snapshots of all runs.
#[derive(Debug, Default)]
pub struct Output {
    runs: Vec<RunOutput>,
    /// Output of runs and parts that was not yet written when their slot was given to another run or part.
    left: Vec<RunOutput>,
}

/// Rows and snapshots of one run.
#[derive(Debug)]
pub struct RunOutput {
    /// The part of the run.
    pub part: Part,
    /// Whether the run has been closed. No more output follows, unless the run is opened again.
    pub closed: bool,
    /// The next part, if the run continues there. No more output follows for this part.
    pub rolled_to: Option<Part>,
    /// Whether the link `latest` must point to this run.
    pub latest: bool,
    appended: [Vec<u8>; File::ALL.len()],
    replaced: [Option<Vec<u8>>; File::ALL.len()],
}

impl RunOutput {
    fn new(part: &Part) -> Self {
        Self {
            part: part.clone(),
            closed: false,
            rolled_to: None,
            latest: false,
            appended: std::array::from_fn(|_| Vec::new()),
            replaced: std::array::from_fn(|_| None),
        }
    }

    /// The buffer for lines that are appended to `file`. It contains only whole lines.
    pub fn lines(&mut self, file: File) -> &mut Vec<u8> {
        &mut self.appended[file as usize]
    }

    /// Sets the new content of `file`, which is replaced as a whole.
    pub fn replace(&mut self, file: File, content: Vec<u8>) {
        self.replaced[file as usize] = Some(content);
    }

    /// The lines to append, for each file.
    pub fn appended(&self) -> impl Iterator<Item = (File, &[u8])> {
        File::ALL
            .iter()
            .map(|&file| (file, self.appended[file as usize].as_slice()))
    }

    /// Files to replace, with their new content.
    pub fn replaced(&self) -> impl Iterator<Item = (File, &[u8])> {
        File::ALL
            .iter()
            .filter_map(|&file| Some((file, self.replaced[file as usize].as_deref()?)))
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        !self.closed
            && self.rolled_to.is_none()
            && !self.latest
            && self.appended.iter().all(Vec::is_empty)
            && self.replaced.iter().all(Option::is_none)
    }

    /// Clears the content, but keeps the buffers.
    pub fn clear(&mut self) {
        self.closed = false;
        self.rolled_to = None;
        self.latest = false;
        self.appended.iter_mut().for_each(Vec::clear);
        self.replaced.iter_mut().for_each(|content| *content = None);
    }
}

impl Output {
    /// The output of a run.
    pub fn run(&mut self, run: RunId, part: &Part) -> &mut RunOutput {
        let slot = run.index();
        while self.runs.len() <= slot {
            self.runs.push(RunOutput::new(part));
        }
        let run = &mut self.runs[slot];
        if run.part.folder() != part.folder() {
            let left = std::mem::replace(run, RunOutput::new(part));
            if !left.is_empty() {
                self.left.push(left);
            }
        }
        run
    }

    /// Size of all lines that are to be written.
    pub fn line_bytes(&self) -> usize {
        let runs = self.left.iter().chain(&self.runs);
        runs.flat_map(|run| &run.appended).map(Vec::len).sum()
    }

    /// The runs for which there is something to write.
    pub fn drain(&mut self) -> impl Iterator<Item = &mut RunOutput> {
        self.left.retain(|run| !run.is_empty());
        let all = self.left.iter_mut().chain(&mut self.runs);
        all.filter(|run| !run.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_reused_before_it_was_drained_mixes_no_runs() {
        let mut output = Output::default();
        output
            .run(RunId::new(0), &Part::first("old"))
            .lines(File::Calls)
            .extend_from_slice(b"1\n");
        output
            .run(RunId::new(0), &Part::first("new"))
            .lines(File::Calls)
            .extend_from_slice(b"2\n");
        let drained: Vec<(String, Vec<u8>)> = output
            .drain()
            .map(|run| (run.part.folder().to_owned(), run.lines(File::Calls).clone()))
            .collect();
        assert_eq!(
            drained,
            [
                ("old".to_owned(), b"1\n".to_vec()),
                ("new".to_owned(), b"2\n".to_vec())
            ]
        );
        output.drain().for_each(RunOutput::clear);
        assert_eq!(output.drain().count(), 0);
    }
}
