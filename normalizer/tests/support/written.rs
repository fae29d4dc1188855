//! [`Written`]: a pipeline, and the folders that the sink would write for its output.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::fmt::Display;

use cctf_normalizer::journal::Record;
use cctf_normalizer::pipeline::{Output, Pipeline, Settings};

use super::folders::Folders;

pub struct Written {
    pub pipeline: Pipeline,
    output: Output,
    pub folders: Folders,
}

impl Written {
    /// A pipeline with at most this many templates.
    pub fn new(settings: Settings, templates: usize) -> Self {
        let mut pipeline = Pipeline::new(settings);
        pipeline.limit_templates(templates);
        Self {
            pipeline,
            output: Output::default(),
            folders: Folders::default(),
        }
    }

    pub fn feed(&mut self, record: &Record) {
        self.pipeline.feed(record, &mut self.output);
        self.folders.take(&mut self.output);
    }

    /// Fails if the folders of another pipeline, which got the same records, differ.
    pub fn assert_same(&self, other: &Self, what: impl Display) {
        assert!(
            self.folders == other.folders,
            "{what}: {:?}",
            self.folders.first_difference(&other.folders)
        );
    }
}
