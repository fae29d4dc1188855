//! [`Work`]: the work of one invocation. It has CPU times, calls, the calls for which each call waits, and the answer.
//! Durations are nanoseconds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bounds::{
    CALLEES_BEYOND, CALLEES_MAX, CALLEES_TOTAL_BEYOND, CALLEES_TOTAL_MAX, CALLS_BEYOND, CALLS_MAX,
    WAITS_BEYOND, WAITS_TOTAL_BEYOND, WAITS_TOTAL_MAX,
};

/// One invocation of a plan. docs/plan.md defines how it is executed. Indices refer to its calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work<'a> {
    /// Recorded span kind.
    pub kind: Kind,
    /// Recorded HTTP method of the endpoint; `None` if none was reported.
    pub method: Option<&'a str>,
    pub route: Option<&'a str>,
    /// In the order of their recorded start. At most [`CALLS_MAX`].
    #[serde(borrow, deserialize_with = "calls")]
    pub calls: Vec<Call<'a>>,
    /// The calls for which the answer waits, and the own work before the answer.
    pub answer: Wait,
    /// CPU time that runs while the invocation waits for its calls.
    pub beside_cpu_ns: u64,
    /// Size of the answer's body.
    pub bytes_out: u32,
    /// Recorded status; `None` if none was reported.
    pub status: Option<u16>,
    /// Recorded `error_type`.
    pub error: Option<&'a str>,
    pub is_failed: bool,
    /// If this list is not empty, the invocation fails only if one of these calls fails during execution.
    #[serde(deserialize_with = "indices")]
    pub fails_with: Vec<u16>,
}

/// The kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Server,
    Consumer,
    Internal,
    Client,
    Producer,
}

/// The calls for which a call or the answer waits, and the own time that follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Calls that must all have ended. If this list and `any_of` are empty, the gap counts from the invocation's start.
    #[serde(deserialize_with = "indices")]
    pub after: Vec<u16>,
    /// Of these calls, at least `need` must have ended.
    #[serde(deserialize_with = "indices")]
    pub any_of: Vec<u16>,
    pub need: u16,
    /// The gap: own time from the last of these ends to the start of the call. It includes `cpu_ns`.
    pub gap_ns: u64,
    /// CPU time in the gap.
    pub cpu_ns: u64,
}

/// The kind of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    Request,
    Message,
    /// A sleep, during which the invocation has no slot.
    Sleep,
}

/// The end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ends {
    /// The call ends with the answer of its first callee.
    Answer,
    /// The call ends this time after its start.
    Duration(u64),
    /// The call ends with the answer of its first callee or this time after its start, whichever is earlier.
    Timeout(u64),
}

/// One call of an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call<'a> {
    pub wait: Wait,
    /// Whether the call starts after the answer. Such a call holds no slot.
    pub is_after_answer: bool,
    pub what: What,
    pub ends: Ends,
    /// Network time in both directions. The call lasts at least this much longer than the response time of its first callee.
    pub net_ns: u64,
    /// HTTP status that the first callee sends for its recorded result. If the answer has this status, the call gets its own
    /// recorded result. The two results can differ, because clients and servers count different statuses as failures.
    pub answer_status: u16,
    /// The earlier attempt. This call, a retry, is sent only if that attempt failed.
    pub retry_of: Option<u16>,
    /// Recorded name of the receiver, for a call without callees.
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
    /// The invocations that the call causes. The first one answers. At most [`CALLEES_MAX`].
    #[serde(borrow, deserialize_with = "callees")]
    pub callees: Vec<Callee<'a>>,
}

/// An invocation that a call causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callee<'a> {
    pub module: &'a str,
    /// The recorded instance. If it has no stand-in, the stand-ins of its module take turns.
    pub instance: &'a str,
    /// For a message, time after the end of the call. For further callees of a request, time after the request to the first
    /// callee.
    pub delay_ns: u64,
    /// Recorded size of the request. The body is padded to this size.
    pub body_bytes: u32,
    /// The [`Work`] of this invocation, encoded by [`encode`](crate::encode).
    #[serde(serialize_with = "as_bytes")]
    pub work: &'a [u8],
}

impl Call<'_> {
    /// Number of invocations that the call causes.
    pub fn callee_count(&self) -> usize {
        self.callees.len()
    }

    /// Number of ends for which the call waits.
    pub fn wait_count(&self) -> usize {
        self.wait.after.len() + self.wait.any_of.len()
    }
}

/// Serializes the bytes in one piece. By default, serde passes them one at a time.
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

/// Lists that stop growing at a bound. This is needed because a short body can state a long list, whose items take more memory
/// than the body.
pub(crate) mod bounded {
    use std::cell::Cell;
    use std::fmt;

    use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

    thread_local! {
        /// The bound that a list exceeded, on this thread. It is stored here because errors of postcard cannot carry a text.
        static BEYOND: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Takes the bound that a list exceeded on this thread, if any.
    pub fn take_beyond() -> Option<&'static str> {
        BEYOND.take()
    }

    /// Adds up one amount of each item, and checks the sum against a maximum.
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

    /// Reads a list of at most `max` items. `beyond` is the error text for a longer one.
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
