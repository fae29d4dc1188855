//! One trace as a tree: the driver's call, the invocation that it caused, the calls of this invocation, and so on.

/// A trace: its first call.
#[derive(Debug)]
pub struct Trace(pub Call);

/// Facts that both sides of a call know.
#[derive(Debug, Clone)]
pub struct Facts {
    pub module: String,
    pub protocol: String,
    pub method: Option<String>,
    pub path: Option<String>,
    pub status: Option<i64>,
    /// Body bytes in and out, if known.
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
    /// The invocations that the call caused: at most one.
    pub reached: Vec<Invocation>,
}

impl Facts {
    fn line(&self, depth: usize, does: &str) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
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

    /// The calls in an order that does not depend on sizes.
    fn in_order(&self) -> Vec<&Call> {
        let mut calls: Vec<&Call> = self.calls.iter().collect();
        calls.sort_by_key(|call| call.shape(0));
        calls
    }

    fn assert_sizes(&self, logged: &Self, id: &str) {
        assert_sizes(&self.facts, &logged.facts, id, "serves");
        for (found, logged) in self.in_order().into_iter().zip(logged.in_order()) {
            found.assert_sizes(logged, id);
        }
    }
}

impl Call {
    fn shape(&self, depth: usize) -> String {
        let reached = self.reached.iter().map(|callee| callee.shape(depth + 1));
        self.facts.line(depth, "calls") + &reached.collect::<String>()
    }

    fn assert_sizes(&self, logged: &Self, id: &str) {
        assert_sizes(&self.facts, &logged.facts, id, "calls");
        for (found, logged) in self.reached.iter().zip(&logged.reached) {
            found.assert_sizes(logged, id);
        }
    }
}

impl Trace {
    /// All facts except for sizes and times. There is one line for each invocation and call, and the calls of an invocation are
    /// sorted.
    pub fn shape(&self) -> String {
        self.0.shape(0)
    }

    /// Asserts that all known sizes are those of a trace of the same shape.
    pub fn assert_sizes_are_those_of(&self, logged: &Self, id: &str) {
        self.0.assert_sizes(&logged.0, id);
    }
}

fn assert_sizes(found: &Facts, logged: &Facts, id: &str, does: &str) {
    for (found_bytes, logged_bytes) in found.bytes.iter().zip(logged.bytes) {
        if let (Some(found_bytes), Some(logged_bytes)) = (found_bytes, logged_bytes) {
            let line = logged.line(0, does);
            assert_eq!(
                *found_bytes, logged_bytes,
                "trace {id}: {line} ({:?}, logged {:?})",
                found.bytes, logged.bytes
            );
        }
    }
}
