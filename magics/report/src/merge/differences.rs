//! How the workers are set up, and who is set up otherwise: versions, pools, CPUs, the machine.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::shared::{Shared, who};
use crate::column::{Column, Show};
use crate::error::Error;
use crate::report::{Report, Table, rows};

/// What is the same in all processes that are set up the same way; other facts are measured.
const SETTINGS: &[&str] = &["cpus", "pools", "packages"];
/// What of them is measured all the same, or follows from what is compared.
const MEASURED: &[&str] = &["live", "path", "library"];
/// Where the machine is told of.
const HOST: &str = "host";
/// No more other values of a fact are told one by one.
const MOST: usize = 4;

#[rustfmt::skip]
const COLUMNS: &[Column] = &[
    Column::new("fact", Show::Text, 0).at_least(20),
    Column::new("worker", Show::Text, 0),
    Column::new("value", Show::Text, 0).titled("has"),
    Column::new("usual", Show::Text, 0).titled("others have"),
];

/// The settings of all workers.
#[derive(Default)]
pub(super) struct Settings {
    places: HashMap<String, usize>,
    facts: Vec<(String, Shared<Value>)>,
    /// Which workers told of each of [`SETTINGS`], and of the machine.
    told: HashMap<&'static str, Vec<usize>>,
}

impl Settings {
    /// Adds those of a worker.
    pub(super) fn add(&mut self, worker: usize, report: &Report) {
        let settings = SETTINGS.iter().map(|key| (*key, report.facts.get(*key)));
        for (key, value) in settings.chain([(HOST, report.host.as_ref())]) {
            let Some(value) = value.filter(|value| !value.is_null()) else {
                continue;
            };
            let told = self.told.entry(key).or_default();
            if told.last() != Some(&worker) {
                told.push(worker);
                self.note(worker, key, value);
            }
        }
    }

    /// Notes each single value below a name.
    fn note(&mut self, worker: usize, name: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    if !MEASURED.contains(&key.as_str()) {
                        self.note(worker, &format!("{name}: {key}"), value);
                    }
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                let mut seen: HashMap<String, usize> = HashMap::new();
                for item in items {
                    let mut label = item.as_object().map(label).unwrap_or_default();
                    let number = seen.entry(label.clone()).or_default();
                    *number += 1;
                    if *number > 1 {
                        label += &format!(" ({number})");
                    }
                    self.note(worker, &format!("{name}: {label}"), item);
                }
            }
            value => {
                let place = *self.places.entry(name.to_owned()).or_insert_with(|| {
                    self.facts.push((name.to_owned(), Shared::default()));
                    self.facts.len() - 1
                });
                let values = &mut self.facts[place].1;
                values.add(worker, &value.to_string(), || value.clone());
            }
        }
    }

    /// Notes what a worker lacks that others have.
    fn note_missing(&mut self) {
        for (name, values) in &mut self.facts {
            let key = name.split(':').next().unwrap_or_default();
            let has = values.items.iter().flat_map(|(_, workers)| workers);
            let mut has: Vec<usize> = has.copied().collect();
            let Some(told) = self.told.get(key).filter(|told| told.len() > has.len()) else {
                continue;
            };
            has.sort_unstable();
            for worker in told.iter().filter(|one| has.binary_search(one).is_err()) {
                values.add(*worker, "", || Value::Null);
            }
        }
    }

    /// Whether anything was compared.
    pub(super) fn is_known(&self) -> bool {
        self.facts.len() > 1
    }

    /// The machine, as far as it is the same for all.
    pub(super) fn host(&self) -> Value {
        let mut host = Map::new();
        for (name, values) in &self.facts {
            if let Some(key) = name.strip_prefix("host: ") {
                let value = match values.items.as_slice() {
                    [(value, _)] => value.clone(),
                    _ => Value::Null,
                };
                host.insert(key.to_owned(), value);
            }
        }
        host.into()
    }

    /// What differs, one row for each value that is not the usual one: the rows, and in how many facts.
    pub(super) fn differences(&mut self, names: &[String]) -> (Vec<Value>, usize) {
        self.note_missing();
        let (mut found, mut count) = (Vec::new(), 0);
        for (name, values) in &self.facts {
            if values.items.len() < 2 {
                continue;
            }
            count += 1;
            let all: usize = values.items.iter().map(|(_, workers)| workers.len()).sum();
            let mut items: Vec<&(Value, Vec<usize>)> = values.items.iter().collect();
            // Of those that equally many have, the first is the usual one.
            items.sort_by_key(|(_, workers)| usize::MAX - workers.len());
            let (usual, those) = items[0];
            let line = |value: String, workers: &[usize]| {
                let named: Vec<&str> = workers.iter().map(|one| names[*one].as_str()).collect();
                json!({
                    "fact": name, "worker": who(workers, names, all), "value": value,
                    "usual": written(usual), "usual_on": those.len(), "workers": named,
                })
            };
            let (told, rest) = items[1..].split_at(MOST.min(items.len() - 1));
            found.extend(
                told.iter()
                    .map(|(value, workers)| line(written(value), workers)),
            );
            if !rest.is_empty() {
                let workers = rest.iter().flat_map(|(_, workers)| workers).copied();
                let workers: Vec<usize> = workers.collect();
                found.push(line(format!("{} other values", rest.len()), &workers));
            }
        }
        (found, count)
    }
}

/// What differs, as a table.
pub(super) fn table(found: &[Value]) -> Result<Option<Table>, Error> {
    const SHOWN: usize = 40;
    let shown: Vec<&Value> = found.iter().take(SHOWN).collect();
    let more = match found.len() - shown.len() {
        0 => String::new(),
        more => format!(" (and {more} more in the report's facts)"),
    };
    Ok((!shown.is_empty()).then_some(Table {
        title: format!("what differs between them{more}"),
        columns: COLUMNS,
        shown: shown.len(),
        rows: rows(shown)?,
    }))
}

/// By what an item of a list is known, whatever its version.
fn label(item: &Map<String, Value>) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    let package = text("package").and_then(|package| package.split(' ').next());
    match (text("runtime"), package) {
        (Some(runtime), Some(package)) => format!("{runtime} of {package}"),
        (Some(name), None) => name.to_owned(),
        _ => text("name").or(text("library")).unwrap_or("?").to_owned(),
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
