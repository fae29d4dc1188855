//! [`MadeRows`]: gives rows that are in no folder their nodes and instances, and collects what the files beside the rows need.

use cctf_proto::cctf::{File, Milliseconds, PlacementEvent, PlacementKind, Row, Stage, Text};

use crate::ids::{InstanceId, NodeId};
use crate::made::MadeTrace;
use crate::registry::EntityRegistry;
use crate::values::encoded;

/// Facts about all rows so far.
#[derive(Debug, Default)]
pub struct MadeRows {
    pub rows: u64,
    /// Rows of senders whose node is unknown.
    pub on_unknown_node: u64,
    /// The first start and the last end, nanoseconds.
    pub begin: Option<i64>,
    pub end: Option<i64>,
    /// Index of the folder as which the rows count.
    folder: u32,
    /// By the numbers of the source.
    senders: Vec<Known>,
}

/// A sender that the registry knows.
#[derive(Debug)]
struct Known {
    node: NodeId,
    instance: InstanceId,
    stage: Stage,
    is_node_known: bool,
    /// Start of its first row, nanoseconds.
    first: Option<i64>,
}

impl MadeRows {
    /// `folder` is the index of no other folder.
    pub fn new(folder: u32) -> Self {
        Self {
            folder,
            ..Self::default()
        }
    }

    /// Sets node and instance of each row of a trace.
    pub fn register(&mut self, trace: &mut MadeTrace, registry: &mut EntityRegistry) -> anyhow::Result<()> {
        registry.reading = self.folder;
        for sender in trace.senders.drain(..) {
            registry.row = Some((File::Invocations as u8, self.folder, self.senders.len() as u64));
            let node = registry.node(&encoded(&Text::from(sender.node.as_str())), sender.stage)?;
            let module = encoded(&Text::from(sender.module_id.as_str()));
            let instance = encoded(&Text::from(sender.instance_id.as_str()));
            self.senders.push(Known {
                node,
                instance: registry.instance(&module, &instance, None, node, None)?,
                stage: sender.stage,
                is_node_known: registry.is_known(node),
                first: None,
            });
        }
        for row in &mut trace.rows {
            // The source numbers its senders itself, so a wrong number is a defect of the source.
            let Some(known) = self.senders.get_mut(row.instance.index()) else {
                anyhow::bail!("internal error: a row has no sender");
            };
            (row.node, row.instance) = (known.node, known.instance);
            registry.touch(known.instance, Some(row.end));
            known.first = Some(known.first.map_or(row.start, |first| first.min(row.start)));
            self.begin = Some(self.begin.map_or(row.start, |begin| begin.min(row.start)));
            self.end = self.end.max(Some(row.end));
            self.rows += 1;
            self.on_unknown_node += u64::from(!known.is_node_known);
        }
        Ok(())
    }

    /// Passes the inferred start of each instance to `take`, as a line of `placement_events.jsonl`: that of its first row.
    pub fn each_start(
        &self,
        registry: &mut EntityRegistry,
        mut take: impl FnMut(&[u8], &mut EntityRegistry) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        registry.reading = self.folder;
        let mut line = Vec::new();
        for known in &self.senders {
            let Some(first) = known.first else { continue };
            let instance = &registry.instances[known.instance.index()];
            let event = PlacementEvent {
                ts: Milliseconds::from_ns(first),
                app_id: None,
                module_id: registry.module_name(instance.module).into(),
                instance_id: Some(instance.instance_id.as_str().into()),
                node_id: registry.node_name(known.node).into(),
                event: PlacementKind::Start,
                stage: known.stage,
                inferred: true,
                workers: None,
                queue_limit: None,
                slot_policy: None,
                replicas: None,
                from_node_id: None,
                image: None,
                cpu_limit: None,
                mem_limit_mb: None,
                reason: None,
            };
            line.clear();
            event.encode(&mut line);
            take(&line, registry)?;
        }
        Ok(())
    }
}
