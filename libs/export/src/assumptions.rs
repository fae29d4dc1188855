//! [`Assumptions`]: values that an export assumes because the run does not state them, and facts that are lost because the
//! target cannot express them.

use plan::work::counted;
use serde::Serialize;

use crate::counts::Counts;
use crate::source::Source;

/// Maximum number of names in a sentence.
const NAMES_SHOWN_MAX: usize = 3;

/// One assumption or loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// The name of the assumption in `assumptions.json`.
    pub id: &'static str,
    /// Number of things that the assumption concerns.
    pub count: u64,
    /// Whether the assumption can make results of the target wrong.
    pub matters: bool,
    pub sentence: String,
}

/// The error for an export that was not written, because assumptions can make its results wrong.
#[derive(Debug, thiserror::Error)]
#[error("cannot export {run_id} with --strict: {}; omit --strict to accept this", .sentences.join("; "))]
pub struct Refused {
    run_id: String,
    sentences: Vec<String>,
}

/// All assumptions of an export, in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Assumptions {
    pub list: Vec<Assumption>,
}

impl Assumptions {
    /// Adds an assumption that concerns `count` things; 0 is ignored. Its sentence is the count, followed by `one` or `more`.
    pub fn add(&mut self, id: &'static str, matters: bool, count: u64, one: &str, more: &str) {
        if count > 0 {
            self.list.push(Assumption {
                id,
                count,
                matters,
                sentence: counted(count, one, more),
            });
        }
    }

    /// Adds a whole sentence.
    pub fn say(&mut self, id: &'static str, matters: bool, sentence: String) {
        self.list.push(Assumption {
            id,
            count: 1,
            matters,
            sentence,
        });
    }

    /// Adds an assumption about named things. Its sentence includes the first names. An empty list is ignored.
    pub fn add_named(&mut self, id: &'static str, matters: bool, names: &[String], one: &str, more: &str) {
        let shown = names[..names.len().min(NAMES_SHOWN_MAX)].join(", ");
        let rest = match names.len().saturating_sub(NAMES_SHOWN_MAX) {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        let with_names = |text: &str| format!("{text} ({shown}{rest})");
        self.add(
            id,
            matters,
            names.len() as u64,
            &with_names(one),
            &with_names(more),
        );
    }

    /// Whether any assumption can make results wrong.
    pub fn matter(&self) -> bool {
        self.list.iter().any(|assumption| assumption.matters)
    }

    /// Refuses the export if any assumption can make results wrong.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn refuse(&self, run_id: &str) -> Result<(), Refused> {
        if !self.matter() {
            return Ok(());
        }
        let list = self.list.iter().filter(|one| one.matters);
        Err(Refused {
            run_id: run_id.to_owned(),
            sentences: list.map(|one| one.sentence.clone()).collect(),
        })
    }

    /// Adds what the rows of the run lack, and the roots beyond `--limit`. Both concern every target that uses the plan.
    pub fn rows(&mut self, source: &Source<'_>) {
        let notes = &source.plan.recorded.notes;
        for missing in &notes.missing {
            self.say("missing", true, missing.clone());
        }
        self.add(
            "damaged_lines",
            true,
            notes.damaged_lines,
            "line is damaged and is left out; cctf validate shows what is wrong with it",
            "lines are damaged and are left out; cctf validate shows what is wrong with them",
        );
        self.add(
            "sampled",
            true,
            notes.sampled,
            "row represents several requests and is exported as one",
            "rows represent several requests and are exported as one each",
        );
        self.add(
            "duplicates",
            false,
            notes.duplicates,
            "row has the id of an earlier row and is left out",
            "rows have the id of an earlier row and are left out",
        );
        self.add(
            "without_duration",
            false,
            notes.without_duration,
            "invocation has no valid duration and takes no time",
            "invocations have no valid duration and take no time",
        );
        for note in &source.notes {
            self.say("note", false, note.clone());
        }
        let left_out = source.plan.counts.roots - source.roots();
        self.add(
            "limit",
            false,
            left_out,
            "root is left out because of --limit",
            "roots are left out because of --limit",
        );
    }

    /// Adds what a simulation of the exported roots assumes about their work.
    pub fn work(&mut self, source: &Source<'_>, counts: &Counts) {
        let assumed = &counts.assumed;
        self.add(
            "orphans",
            true,
            assumed.orphans,
            "root is an invocation whose caller is missing: it arrives at its recorded time",
            "roots are invocations whose callers are missing: they arrive at their recorded times",
        );
        self.add(
            "cpu_unknown",
            true,
            assumed.cpu_unknown,
            "invocation has no CPU time: all of its own time is a sleep, which no CPU speed changes",
            "invocations have no CPU time: all of their own time is a sleep, which no CPU speed changes",
        );
        self.add(
            "cpu_regressed",
            false,
            assumed.cpu_regressed,
            "invocation has the mean CPU time of its endpoint, by regression",
            "invocations have the mean CPU time of their endpoint, by regression",
        );
        self.add(
            "queue_unknown",
            true,
            assumed.without_queue_time,
            "invocation reports no queue time: waits are part of its own time",
            "invocations report no queue time: waits are part of their own time",
        );
        self.add(
            "refused",
            true,
            assumed.refused,
            "invocation was refused by a full queue: its own time is the mean of its endpoint",
            "invocations were refused by a full queue: their own time is the mean of their endpoint",
        );
        self.left_out(source);
    }

    /// Adds the invocations and calls that the plan leaves out because of its maximum sizes.
    pub fn left_out(&mut self, source: &Source<'_>) {
        let plan = &source.plan.counts;
        self.add(
            "left_out",
            true,
            plan.invocations_left_out + plan.calls_left_out + plan.unreached,
            "invocation or call is beyond the bounds of a plan and is left out",
            "invocations and calls are beyond the bounds of a plan and are left out",
        );
    }

    /// Adds the instances whose number of slots is unknown.
    pub fn slots(&mut self, source: &Source<'_>) {
        let instances = &source.plan.recorded.names.instances;
        let without = (0..)
            .zip(instances)
            .filter(|(_, instance)| instance.station.slots.is_none());
        let names: Vec<String> = without.map(|(number, _)| source.instance_name(number)).collect();
        self.add_named(
            "slots_unknown",
            true,
            &names,
            "instance reports no slots: it processes any number of requests at once",
            "instances report no slots: they process any number of requests at once",
        );
    }

    /// Adds the nodes with instances whose number of CPUs is unknown.
    pub fn cpus(&mut self, source: &Source<'_>) {
        let names = &source.plan.recorded.names;
        let has_instance = |number: usize| {
            let mut instances = names.instances.iter();
            instances.any(|instance| instance.node as usize == number)
        };
        let unknown = (0..names.nodes.len())
            .filter(|&number| source.nodes[number].cpu_cores.is_none() && has_instance(number));
        let unknown: Vec<String> = unknown.map(|number| names.nodes[number].clone()).collect();
        self.add_named(
            "cpus_unknown",
            true,
            &unknown,
            "node has no number of CPUs: no request waits for a CPU",
            "nodes have no number of CPUs: no request waits for a CPU",
        );
    }

    /// Adds the nodes with instances whose speed is unknown.
    pub fn node_speed(&mut self, source: &Source<'_>) {
        let names = &source.plan.recorded.names;
        let mut has_instance = vec![false; names.nodes.len()];
        for instance in &names.instances {
            has_instance[instance.node as usize] = true;
        }
        let unknown = (0..names.nodes.len()).filter(|&node| {
            let facts = &source.nodes[node];
            has_instance[node] && facts.mips_per_core.is_none() && facts.cpu_score.is_none()
        });
        let names: Vec<String> = unknown.map(|node| names.nodes[node].clone()).collect();
        self.add_named(
            "node_speed_unknown",
            true,
            &names,
            "node has no speed (mips_per_core, cpu_score): it counts as fast as the recording",
            "nodes have no speed (mips_per_core, cpu_score): they count as fast as the recording",
        );
    }

    /// Adds the pairs of nodes that call each other although no link between them is known.
    pub fn links(&mut self, source: &Source<'_>) {
        let nodes = &source.plan.recorded.names.nodes;
        let unknown = source.calling_nodes().into_iter().filter(|&(from, to)| {
            let link = source.link(from, to);
            link.is_none_or(|link| link.delay_s.is_none() || link.rate_bps.is_none())
        });
        let name = |node: u32| &nodes[node as usize];
        let names: Vec<String> = unknown
            .map(|(from, to)| format!("{}->{}", name(from), name(to)))
            .collect();
        self.add_named(
            "link_unknown",
            true,
            &names,
            "link has no delay or rate: it takes no time",
            "links have no delay or rate: they take no time",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_a_count_and_the_first_names() {
        let mut assumptions = Assumptions::default();
        assumptions.add("none", true, 0, "x", "xs");
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        assumptions.add_named("few", false, &names[..1], "node is slow", "nodes are slow");
        assumptions.add_named("many", false, &names, "node is slow", "nodes are slow");
        let sentences: Vec<&str> = assumptions.list.iter().map(|one| one.sentence.as_str()).collect();
        assert_eq!(
            sentences,
            ["1 node is slow (a)", "4 nodes are slow (a, b, c and 1 more)"]
        );
        assert!(!assumptions.matter());
        assumptions.add("one", true, 1, "x", "xs");
        assert!(assumptions.matter());
    }
}
