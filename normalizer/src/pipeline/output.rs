//! [`Output`]: what the pipeline has to say since it was last drained, by run and file, ready to be written.

use cctf_proto::cctf::File;

/// Rows and snapshots of all runs.
#[derive(Debug, Default)]
pub struct Output {
    runs: Vec<RunOutput>,
}

/// Rows and snapshots of one run.
#[derive(Debug)]
pub struct RunOutput {
    /// The run, which is the folder's name.
    pub run_id: String,
    /// Whether the run has been closed: nothing comes after until it is opened anew.
    pub closed: bool,
    /// Whether the run is the one that `latest` should point to.
    pub latest: bool,
    appended: [Vec<u8>; File::ALL.len()],
    replaced: [Option<Vec<u8>>; File::ALL.len()],
}

impl RunOutput {
    fn new(run_id: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            closed: false,
            latest: false,
            appended: std::array::from_fn(|_| Vec::new()),
            replaced: std::array::from_fn(|_| None),
        }
    }

    /// The buffer of whole lines to append to `file`.
    pub fn lines(&mut self, file: File) -> &mut Vec<u8> {
        &mut self.appended[file as usize]
    }

    /// The whole new content of `file`.
    pub fn replace(&mut self, file: File, content: Vec<u8>) {
        self.replaced[file as usize] = Some(content);
    }

    /// Lines to append, file by file; empty where there are none.
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
            && !self.latest
            && self.appended.iter().all(Vec::is_empty)
            && self.replaced.iter().all(Option::is_none)
    }

    /// Forgets what was written, keeping the buffers.
    pub fn clear(&mut self) {
        self.closed = false;
        self.latest = false;
        self.appended.iter_mut().for_each(Vec::clear);
        self.replaced.iter_mut().for_each(|content| *content = None);
    }
}

impl Output {
    /// The output of the run in `slot`, a small number that the pipeline gives each open run.
    pub fn run(&mut self, slot: usize, run_id: &str) -> &mut RunOutput {
        while self.runs.len() <= slot {
            self.runs.push(RunOutput::new(run_id));
        }
        let run = &mut self.runs[slot];
        if run.run_id != run_id {
            debug_assert!(
                run.is_empty(),
                "a slot is given on only when its output has been drained"
            );
            run.run_id = run_id.to_owned();
        }
        run
    }

    /// All runs that have something to write.
    pub fn drain(&mut self) -> impl Iterator<Item = &mut RunOutput> {
        self.runs.iter_mut().filter(|run| !run.is_empty())
    }
}
