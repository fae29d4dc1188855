//! [`Treatment`]: how a field's values change when a run is anonymised. It is declared with the field, and [`Treat`] applies it
//! while a row is encoded.

use super::ids::{SpanId, TraceId};
use super::known::Known;
use super::milliseconds::Milliseconds;
use super::row::{Field, Presence};
use super::value::{Counters, JsonObject, Kind, Text, Value, push_json_string};

/// How a field's values change in an anonymised run.
#[derive(Debug, Clone, Copy)]
pub enum Treatment {
    /// A trace or span id: a keyed hash of the same length.
    Id,
    /// The name of a node, module, instance, application or host, or an address: a keyed hash of each part.
    Name,
    /// A path: a keyed hash of each segment.
    Path,
    /// A URL: the scheme is kept, the host is treated like a name, the path like a path, and the query as a whole.
    Url,
    /// The query of a URL: one keyed hash.
    Query,
    /// A free text: one keyed hash.
    Text,
    /// The id of a run: one keyed hash, which is a valid run id.
    RunId,
    /// The name of a link, which contains the name of the node in another field of the row. Node names in it are treated like
    /// names.
    Link,
    /// Attributes: all keys that are not known, and all values except true and false, are hashed.
    Attributes,
    /// A text, or the keys of counters: kept if known, and otherwise replaced by one keyed hash.
    Known(Known),
    /// A point in time: shifted.
    Time,
    /// Not changed.
    Keep,
    /// Replaced by null, or left out.
    Drop,
    /// A row or a list of rows, whose fields have their own treatments.
    Inner,
}

impl Treatment {
    /// Returns the treatment, if values of this kind can have it.
    ///
    /// # Panics
    /// If values of this kind cannot have this treatment. In a constant, this is a compile error.
    pub const fn checked(self, kind: Kind, presence: Presence) -> Self {
        let of_one = match kind {
            Kind::List(of) => *of,
            kind => kind,
        };
        let fits = match self {
            Self::Id => matches!(kind, Kind::TraceId | Kind::SpanId),
            Self::Name | Self::Path | Self::Url | Self::Query | Self::Text | Self::RunId | Self::Link => {
                matches!(of_one, Kind::Text)
            }
            Self::Attributes => matches!(kind, Kind::Attributes),
            Self::Known(_) => matches!(of_one, Kind::Text | Kind::Counters),
            Self::Time => matches!(kind, Kind::Milliseconds | Kind::Text),
            Self::Keep => !matches!(
                of_one,
                Kind::TraceId | Kind::SpanId | Kind::Attributes | Kind::Counters | Kind::Object(_)
            ),
            Self::Drop => !matches!(presence, Presence::Required),
            Self::Inner => matches!(of_one, Kind::Object(_)),
        };
        assert!(fits, "a field of this type cannot be treated like this");
        self
    }

    /// Description of the treatment, for the tables.
    pub fn doc(&self) -> String {
        match self {
            Self::Id => "hash of the same length".into(),
            Self::Name => "name: hash of each part".into(),
            Self::Path => "path: hash of each segment".into(),
            Self::Url => "URL: hashes of host, port, segments and query".into(),
            Self::Query | Self::Text | Self::RunId => "hash".into(),
            Self::Link => "hashes of the names in it".into(),
            Self::Attributes => "keys kept if known, otherwise hashed; values hashed".into(),
            Self::Known(known) => format!("kept if known ({}), otherwise hashed", known.doc),
            Self::Time => "shifted".into(),
            Self::Keep => "kept".into(),
            Self::Drop => "dropped".into(),
            Self::Inner => "by field, below".into(),
        }
    }
}

/// The error for a value without a replacement. Its row cannot be anonymised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untreatable {
    #[error("a timestamp is beyond the calendar")]
    Time,
    #[error("a timestamp is not in the form of RFC 3339")]
    Timestamp,
    #[error("attributes are not a JSON object")]
    Attributes,
}

/// Replaces values. Equal values always get equal replacements.
pub trait Replacer {
    fn trace_id(&mut self, id: TraceId) -> TraceId;
    fn span_id(&mut self, id: SpanId) -> SpanId;
    /// Returns the shifted time.
    ///
    /// # Errors
    /// If the shifted time cannot be represented.
    fn time(&mut self, time: Milliseconds) -> Result<Milliseconds, Untreatable>;
    /// Appends the replacement of a text as a JSON string. `node` is the node of a [`Treatment::Link`], otherwise empty.
    ///
    /// # Errors
    /// If a text with [`Treatment::Time`] is not a timestamp.
    fn text(
        &mut self,
        treatment: Treatment,
        node: &str,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable>;
    /// Appends the replacement of a JSON object of attributes.
    ///
    /// # Errors
    /// If the text is not a JSON object.
    fn attributes(&mut self, attributes: &str, out: &mut Vec<u8>) -> Result<(), Untreatable>;
    /// Counts a value with [`Treatment::Drop`].
    fn dropped(&mut self, field: &'static Field);
}

/// A value that can be encoded with a treatment.
pub trait Treat: Value {
    /// Appends the value or its replacement as JSON. The default implementation appends the value.
    ///
    /// # Errors
    /// If the value has no replacement. `out` may then contain a part of it.
    #[inline]
    fn encode_treated<R: Replacer>(
        &self,
        _treatment: Treatment,
        _node: &str,
        _by: &mut R,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable> {
        self.encode(out);
        Ok(())
    }
}

impl Treat for u64 {}
impl Treat for i64 {}
impl Treat for f64 {}
impl Treat for bool {}

impl Treat for TraceId {
    #[inline]
    fn encode_treated<R: Replacer>(
        &self,
        _: Treatment,
        _: &str,
        by: &mut R,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable> {
        by.trace_id(*self).encode(out);
        Ok(())
    }
}

impl Treat for SpanId {
    #[inline]
    fn encode_treated<R: Replacer>(
        &self,
        _: Treatment,
        _: &str,
        by: &mut R,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable> {
        by.span_id(*self).encode(out);
        Ok(())
    }
}

impl Treat for Milliseconds {
    #[inline]
    fn encode_treated<R: Replacer>(
        &self,
        treatment: Treatment,
        _: &str,
        by: &mut R,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable> {
        let value = match treatment {
            Treatment::Time => by.time(*self)?,
            _ => *self,
        };
        value.encode(out);
        Ok(())
    }
}

impl Treat for Text<'_> {
    #[inline]
    fn encode_treated<R: Replacer>(
        &self,
        treatment: Treatment,
        node: &str,
        by: &mut R,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable> {
        match treatment {
            Treatment::Keep => {
                push_json_string(self, out);
                Ok(())
            }
            treatment => by.text(treatment, node, self, out),
        }
    }
}

impl<T: Treat> Treat for Vec<T> {
    fn encode_treated<R: Replacer>(
        &self,
        treatment: Treatment,
        node: &str,
        by: &mut R,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable> {
        out.push(b'[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.encode_treated(treatment, node, by, out)?;
        }
        out.push(b']');
        Ok(())
    }
}

impl Treat for JsonObject<'_> {
    fn encode_treated<R: Replacer>(
        &self,
        _: Treatment,
        _: &str,
        by: &mut R,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable> {
        by.attributes(&self.0, out)
    }
}

impl Treat for Counters {
    /// Replaces the keys, and sorts them again.
    fn encode_treated<R: Replacer>(
        &self,
        treatment: Treatment,
        node: &str,
        by: &mut R,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable> {
        let mut counts = Vec::with_capacity(self.0.len());
        for (name, count) in &self.0 {
            let mut key = Vec::new();
            by.text(treatment, node, name, &mut key)?;
            counts.push((key, count));
        }
        counts.sort();
        out.push(b'{');
        for (index, (key, count)) in counts.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&key);
            out.push(b':');
            count.encode(out);
        }
        out.push(b'}');
        Ok(())
    }
}
