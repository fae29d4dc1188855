//! One trace as a tree: the driver's call, whom it reached, whom that called, and so on.

/// A trace: the call that began it.
#[derive(Debug)]
pub struct Trace(pub Call);

/// What both sides of a call tell.
#[derive(Debug, Clone)]
pub struct Facts {
    pub module: String,
    pub protocol: String,
    pub method: Option<String>,
    pub path: Option<String>,
    pub status: Option<i64>,
    /// Body bytes in and out, as far as they are known.
    pub bytes: [Option<u64>; 2],
}

#[derive(Debug)]
pub struct Invocation {
    pub facts: Facts,
    pub calls: Vec<Call>,
}

#[derive(Debug)]
pub struct Call {
    pub facts: Facts,
    /// Whom it reached: nobody, or one.
    pub reached: Vec<Invocation>,
}

impl Facts {
    fn line(&self, depth: usize, does: &str) -> String {
        let text = |told: &Option<String>| told.clone().unwrap_or_else(|| "-".to_owned());
        let status = self
            .status
            .map_or("no status".to_owned(), |status| status.to_string());
        format!(
            "{}{} {does} {} {} {} {status}\n",
            "  ".repeat(depth),
            self.module,
            self.protocol,
            text(&self.method),
            text(&self.path),
        )
    }
}

impl Invocation {
    fn shape(&self, depth: usize) -> String {
        let mut calls: Vec<String> = self.calls.iter().map(|call| call.shape(depth + 1)).collect();
        calls.sort();
        self.facts.line(depth, "serves") + &calls.concat()
    }

    /// Its calls, in an order that does not depend on sizes.
    fn in_order(&self) -> Vec<&Call> {
        let mut calls: Vec<&Call> = self.calls.iter().collect();
        calls.sort_by_key(|call| call.shape(0));
        calls
    }

    fn assert_sizes(&self, told: &Self, id: &str) {
        assert_sizes(&self.facts, &told.facts, id, "serves");
        for (found, told) in self.in_order().into_iter().zip(told.in_order()) {
            found.assert_sizes(told, id);
        }
    }
}

impl Call {
    fn shape(&self, depth: usize) -> String {
        let reached = self.reached.iter().map(|callee| callee.shape(depth + 1));
        self.facts.line(depth, "calls") + &reached.collect::<String>()
    }

    fn assert_sizes(&self, told: &Self, id: &str) {
        assert_sizes(&self.facts, &told.facts, id, "calls");
        for (found, told) in self.reached.iter().zip(&told.reached) {
            found.assert_sizes(told, id);
        }
    }
}

impl Trace {
    /// All but sizes and times, a line for each invocation and call, those of one invocation in the order of these lines.
    pub fn shape(&self) -> String {
        self.0.shape(0)
    }

    /// Of a trace of the same shape: every size that was found is the one that was told.
    pub fn assert_sizes_are_those_of(&self, told: &Self, id: &str) {
        self.0.assert_sizes(&told.0, id);
    }
}

fn assert_sizes(found: &Facts, told: &Facts, id: &str, does: &str) {
    for (found_bytes, told_bytes) in found.bytes.iter().zip(told.bytes) {
        if let (Some(found_bytes), Some(told_bytes)) = (found_bytes, told_bytes) {
            let line = told.line(0, does);
            assert_eq!(
                *found_bytes, told_bytes,
                "trace {id}: {line} ({:?}, told {:?})",
                found.bytes, told.bytes
            );
        }
    }
}
