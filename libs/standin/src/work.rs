//! [`Work`]: what one invocation does: its calls, what each waits for, its CPU time, its answer. Durations are nanoseconds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bounds::{
    CALLEES_BEYOND, CALLEES_MAX, CALLEES_TOTAL_BEYOND, CALLEES_TOTAL_MAX, CALLS_BEYOND, CALLS_MAX,
    WAITS_BEYOND, WAITS_TOTAL_BEYOND, WAITS_TOTAL_MAX,
};

/// One invocation of a plan, as docs/plan.md defines its execution. Indices are those of its calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work<'a> {
    /// Span kind as recorded.
    pub kind: Kind,
    /// HTTP method of its endpoint as recorded; `None`: none was reported.
    pub method: Option<&'a str>,
    pub route: Option<&'a str>,
    /// In the order of their recorded start. At most [`CALLS_MAX`].
    #[serde(borrow, deserialize_with = "calls")]
    pub calls: Vec<Call<'a>>,
    /// What the answer waits for.
    pub answer: Wait,
    /// CPU time that runs while the invocation waits for its calls.
    pub beside_cpu_ns: u64,
    /// Size of the answer's body.
    pub bytes_out: u32,
    /// Recorded status; `None`: none was reported.
    pub status: Option<u16>,
    /// Recorded `error_type`.
    pub error: Option<&'a str>,
    pub is_failed: bool,
    /// If it is not empty, the invocation fails only if one of these calls fails during execution.
    #[serde(deserialize_with = "indices")]
    pub fails_with: Vec<u16>,
}

/// A span's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Server,
    Consumer,
    Internal,
    Client,
    Producer,
}

/// What a call, or the answer, waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// All of these calls must have ended. Empty, without `any_of`: the invocation's start.
    #[serde(deserialize_with = "indices")]
    pub after: Vec<u16>,
    /// Of these calls, `need` must have ended.
    #[serde(deserialize_with = "indices")]
    pub any_of: Vec<u16>,
    pub need: u16,
    /// Own time after that, which includes `cpu_ns`.
    pub gap_ns: u64,
    /// CPU time in the gap.
    pub cpu_ns: u64,
}

/// The kind of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    Request,
    Message,
    /// A sleep without a slot.
    Sleep,
}

/// The end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ends {
    /// With the answer of its first callee.
    Answer,
    /// This time after its start.
    Duration(u64),
    /// With the answer of its first callee or this time after its start, whichever is earlier.
    Timeout(u64),
}

/// One call of an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call<'a> {
    pub wait: Wait,
    /// It starts after the answer and holds no slot.
    pub is_after_answer: bool,
    pub what: What,
    pub ends: Ends,
    /// Network time in both directions: an answered call lasts at least this much longer than the response of its first callee.
    pub net_ns: u64,
    /// Status of its first callee's recorded answer on the wire. With this answer the call has its recorded result, which can be another
    /// one: clients and servers do not count the same statuses as failures.
    pub answer_status: u16,
    /// The earlier attempt: this call is sent only if that one failed.
    pub retry_of: Option<u16>,
    /// Recorded name of the receiver, of a call without callee.
    pub peer: Option<&'a str>,
    pub method: Option<&'a str>,
    pub path: Option<&'a str>,
    /// Recorded sizes of the bodies.
    pub bytes_out: u32,
    pub bytes_in: u32,
    /// Recorded status, error and failure.
    pub status: Option<u16>,
    pub error: Option<&'a str>,
    pub is_failed: bool,
    /// The invocations that it causes; the first one answers. At most [`CALLEES_MAX`].
    #[serde(borrow, deserialize_with = "callees")]
    pub callees: Vec<Callee<'a>>,
}

/// An invocation that a call causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callee<'a> {
    pub module: &'a str,
    /// The recorded instance; others of the module take its place if it has no stand-in.
    pub instance: &'a str,
    /// For a message, from the end of the call. For further callees of a request, from the sending of the first one.
    pub delay_ns: u64,
    /// Recorded size of the request, to which it is padded.
    pub body_bytes: u32,
    /// Its [`Work`], encoded by [`encode`](crate::encode).
    #[serde(serialize_with = "as_bytes")]
    pub work: &'a [u8],
}

impl Call<'_> {
    /// Number of invocations that it causes.
    pub fn callee_count(&self) -> usize {
        self.callees.len()
    }

    /// Number of ends for which it waits.
    pub fn wait_count(&self) -> usize {
        self.wait.after.len() + self.wait.any_of.len()
    }
}

/// Without this, serde passes the bytes one at a time.
fn as_bytes<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

fn calls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Call<'de>>, D::Error> {
    let totals = [
        bounded::Total {
            of: |call: &Call<'de>| call.callee_count(),
            max: CALLEES_TOTAL_MAX,
            beyond: CALLEES_TOTAL_BEYOND,
        },
        bounded::Total {
            of: |call: &Call<'de>| call.wait_count(),
            max: WAITS_TOTAL_MAX,
            beyond: WAITS_TOTAL_BEYOND,
        },
    ];
    bounded::list(deserializer, (CALLS_MAX, CALLS_BEYOND), &totals)
}

fn callees<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Callee<'de>>, D::Error> {
    bounded::list(deserializer, (CALLEES_MAX, CALLEES_BEYOND), &[])
}

fn indices<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u16>, D::Error> {
    bounded::list(deserializer, (CALLS_MAX, WAITS_BEYOND), &[])
}

/// Lists that stop growing at their bound: a short body can state a long list, whose items take more memory than their bytes.
pub(crate) mod bounded {
    use std::cell::Cell;
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

    thread_local! {
        /// The bound for which this thread has refused a list. The errors of postcard have no text.
        static BEYOND: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Returns and forgets the bound for which this thread has refused a list.
    pub fn take_beyond() -> Option<&'static str> {
        BEYOND.take()
    }

    /// An amount of each item, and the maximum of its sum.
    pub struct Total<T> {
        pub of: fn(&T) -> usize,
        pub max: usize,
        pub beyond: &'static str,
    }

    struct Bounded<'a, T> {
        max: usize,
        beyond: &'static str,
        totals: &'a [Total<T>],
    }

    fn refused<E: Error>(beyond: &'static str) -> E {
        BEYOND.set(Some(beyond));
        E::custom(beyond)
    }

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<'_, T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            write!(formatter, "a list of at most {} items", self.max)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            if items.size_hint().unwrap_or_default() > self.max {
                return Err(refused(self.beyond));
            }
            let mut list = Vec::new();
            let mut sums = vec![0_usize; self.totals.len()];
            while let Some(item) = items.next_element()? {
                for (sum, total) in sums.iter_mut().zip(self.totals) {
                    *sum += (total.of)(&item);
                    if *sum > total.max {
                        return Err(refused(total.beyond));
                    }
                }
                if list.len() == self.max {
                    return Err(refused(self.beyond));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    /// A list of at most `max` items; `beyond` is the sentence about a longer one.
    pub fn list<'de, D, T>(
        deserializer: D,
        (max, beyond): (usize, &'static str),
        totals: &[Total<T>],
    ) -> Result<Vec<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        deserializer.deserialize_seq(Bounded { max, beyond, totals })
    }
}
