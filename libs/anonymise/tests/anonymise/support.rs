//! Rows of every file. They are generated from the contract's field tables, so that they also contain fields that are added
//! later.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use anonymise::{Key, Options, Summary, anonymise};
use cctf_proto::cctf::{Field, File, Kind, Presence, Shape, Treatment};
use rundir::parts::Target;
use serde_json::{Map, Value, json};

/// 2026-01-01, ms.
pub const BEGIN_MS: u64 = 1_767_225_600_000;

/// Generates the texts, ids and times of rows.
pub struct Source<'s> {
    texts: &'s [String],
    next: usize,
    /// Texts that must not be in the result.
    pub secret: Vec<String>,
}

impl<'s> Source<'s> {
    pub fn new(texts: &'s [String]) -> Self {
        Self {
            texts,
            next: 0,
            secret: Vec::new(),
        }
    }

    fn secret(&mut self) -> String {
        self.next += 1;
        let text = self.texts[self.next % self.texts.len()].clone();
        self.secret.push(text.clone());
        text
    }

    fn id(&mut self, digits: usize) -> String {
        self.next += 1;
        let id = format!("{:0digits$x}", 0xabcd_ef12_0000_u64 + self.next as u64);
        self.secret.push(id.clone());
        id
    }

    fn text(&mut self, treatment: Treatment) -> String {
        match treatment {
            Treatment::Keep => "requests".to_owned(),
            Treatment::Time => {
                self.next += 1;
                format!("2026-01-01T{:02}:07:11.123456789Z", self.next % 24)
            }
            _ => self.secret(),
        }
    }

    fn value(&mut self, kind: Kind, treatment: Treatment) -> Value {
        match kind {
            Kind::TraceId => self.id(32).into(),
            Kind::SpanId => self.id(16).into(),
            Kind::Text => self.text(treatment).into(),
            Kind::OneOf(values) => values[0].into(),
            Kind::Integer | Kind::Unsigned => 7.into(),
            Kind::Float => json!(0.1),
            Kind::Bool => true.into(),
            // Its six decimal places must stay exact, so it is a text, not a double.
            Kind::Milliseconds => {
                self.next += 1;
                let time = matches!(treatment, Treatment::Time);
                let ms = if time { BEGIN_MS + self.next as u64 } else { 5 };
                serde_json::from_str(&format!("{ms}.25")).unwrap()
            }
            Kind::List(of) => Value::Array(vec![self.value(*of, treatment); 2]),
            Kind::Object(fields) => Value::Object(self.row(fields)),
            Kind::Attributes => {
                let (key, text) = (self.secret(), self.secret());
                json!({key: text, "retry": true})
            }
            Kind::Counters => json!({self.secret(): 3}),
        }
    }

    /// A row with a value in each field, and with a field that the contract does not have.
    pub fn row(&mut self, fields: &[Field]) -> Map<String, Value> {
        let mut row = Map::new();
        for field in fields {
            row.insert(field.name.to_owned(), self.value(field.kind, field.treatment));
        }
        let (name, value) = (self.secret(), self.secret());
        row.insert(name, value.into());
        row
    }
}

/// The row without the values that the contract allows to be null or missing.
pub fn sparse(fields: &[Field], row: &Map<String, Value>) -> Map<String, Value> {
    let kept = fields.iter().filter(|field| field.presence != Presence::Optional);
    kept.map(|field| {
        let value = match field.presence {
            Presence::Nullable => Value::Null,
            _ => row[field.name].clone(),
        };
        (field.name.to_owned(), value)
    })
    .collect()
}

/// Writes a run folder with rows from `source`.
pub fn write(run: &Path, source: &mut Source<'_>) {
    let cctf = run.join("cctf");
    fs::create_dir_all(&cctf).unwrap();
    for file in File::ALL {
        let row = source.row(file.fields());
        let sparse = sparse(file.fields(), &row);
        let text = match file.shape() {
            Shape::Lines => format!("{}\n{}\n", json!(row), json!(sparse)),
            Shape::Array => json!([row, sparse]).to_string(),
            Shape::Object => json!(row).to_string(),
        };
        fs::write(cctf.join(file.name()), text).unwrap();
    }
    use cctf_proto::cctf::{DriverEvent, Row as _};
    let event = source.row(DriverEvent::FIELDS);
    let mut event = Value::Object(event);
    event["headers"] = json!({"Server": [source.secret()]});
    event["replay_of_code"] = Value::Null;
    fs::write(run.join("events_client.jsonl"), format!("{event}\n")).unwrap();
}

pub fn key() -> Key {
    Key::new(&(0..32).collect::<Vec<u8>>())
}

pub fn run_of(run: &Path, out: &Path) -> anyhow::Result<Summary> {
    static STOP: AtomicBool = AtomicBool::new(false);
    let (run, part) = Target::Folder(run.to_owned()).find()?.unwrap();
    let options = Options {
        rare_below: 10,
        stop: &STOP,
    };
    anonymise(&run, &part, &key(), out, options, &mut |_| {})
}

/// The bytes of all files in a folder and its subfolders, and the names of the files.
pub fn bytes_below(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        bytes.extend_from_slice(path.file_name().unwrap().as_encoded_bytes());
        bytes.push(b'\n');
        if path.is_dir() {
            bytes.extend(bytes_below(&path));
        } else if !path.is_symlink() {
            bytes.extend(fs::read(&path).unwrap());
        }
    }
    bytes
}
