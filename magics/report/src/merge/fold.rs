//! The rows of one magic from all workers: those that read the same are one.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::shared::{who, without_numbers};
use crate::column::{Column, Show};
use crate::report::{Facts, Report, Severity};
use crate::row::Row;
use crate::stored::lasting;
use crate::view::cell;

/// The column that says whose a row is.
const WORKER: Column = Column::new("worker", Show::Text, 0).means(
    "the worker, or on how many of how many it is alike",
    "the reports",
);

/// Numbers that name something of one process, and count nothing.
const NAMES: &[&str] = &[
    "id",
    "parent",
    "tid",
    "pid",
    "cell",
    "first_cell",
    "created_in",
    "last_cpu",
    "line",
    "offset",
];

/// Of fewer workers nobody can be told from the others.
const ENOUGH: usize = 4;
/// No more workers of a row get one of their own.
const OUTLIERS: usize = 3;

/// The rows of one magic.
pub(super) struct Fold {
    pub name: &'static str,
    columns: &'static [Column],
    pub tree: bool,
    /// How many have answered this magic.
    pub answered: usize,
    /// The facts that all of them have alike.
    pub facts: Facts,
    amounts: Vec<&'static Column>,
    groups: Vec<Group>,
    places: HashMap<(Option<usize>, String), usize>,
}

/// Rows that read the same.
struct Group {
    parent: Option<usize>,
    /// The text by which people know the row.
    title: String,
    /// What all of them have alike; else null.
    fields: Vec<(Cow<'static, str>, Value)>,
    /// The foremost place that it has in a report.
    rank: usize,
    workers: Vec<usize>,
    /// The amounts of each of them, one behind the other.
    amounts: Vec<Option<f64>>,
}

impl Fold {
    /// Of the reports of this kind.
    pub(super) fn of(report: &Report) -> Self {
        let is_amount = |column: &&Column| match column.show {
            Show::Bytes | Show::Change | Show::Time => true,
            Show::Number => !NAMES.contains(&column.key),
            _ => false,
        };
        Self {
            name: report.name,
            columns: report.columns,
            tree: report.tree,
            answered: 0,
            facts: report.facts.clone(),
            amounts: report.columns.iter().filter(is_amount).collect(),
            groups: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Adds the report of a worker.
    pub(super) fn add(&mut self, worker: usize, report: &Report) {
        self.answered += 1;
        self.facts
            .retain(|key, value| report.facts.get(key) == Some(value));
        let mut seen: HashMap<(Option<usize>, String), usize> = HashMap::new();
        let mut ids: HashMap<u64, usize> = HashMap::new();
        for (rank, row) in report.rows.iter().enumerate() {
            let above = row.number("parent").filter(|_| self.tree);
            let parent = above.and_then(|id| ids.get(&id).copied());
            let (title, mut key) = self.reads(row);
            // Of several that read the same in one process, each meets its like in the others.
            let number = seen.entry((parent, key.clone())).or_default();
            key += &format!("\n{number}");
            *number += 1;
            let place = self.place(parent, title, key, row);
            ids.extend(row.number("id").map(|id| (id, place)));
            let group = &mut self.groups[place];
            group.rank = group.rank.min(rank);
            group.workers.push(worker);
            let amounts = self.amounts.iter();
            let amounts = amounts.map(|one| row.get(one.key).and_then(Value::as_f64));
            group.amounts.extend(amounts);
        }
    }

    /// What people read of a row: its title, and all of it.
    fn reads(&self, row: &Row) -> (String, String) {
        let texts: Vec<String> = match self.columns.is_empty() {
            true => {
                let texts = row.values().filter_map(Value::as_str);
                texts.map(without_numbers).collect()
            }
            false => {
                let texts = self.columns.iter().filter(|column| is_text(column));
                texts.map(|one| without_numbers(&cell(row, one))).collect()
            }
        };
        (texts.first().cloned().unwrap_or_default(), texts.join("\n"))
    }

    /// The place of the group that this row belongs to, and has no more in common than with it.
    fn place(&mut self, parent: Option<usize>, title: String, key: String, row: &Row) -> usize {
        let at = (parent, key);
        if let Some(&place) = self.places.get(&at) {
            self.groups[place].narrow(row);
            return place;
        }
        let fields = row.iter().zip(row.names());
        let fields = fields.map(|((_, value), name)| (name.clone(), value.clone()));
        self.groups.push(Group {
            parent,
            title,
            fields: fields.collect(),
            rank: usize::MAX,
            workers: Vec::new(),
            amounts: Vec::new(),
        });
        self.places.insert(at, self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// The columns: the first text names a row, and whose it is stands behind it.
    pub(super) fn columns(&self) -> &'static [Column] {
        if self.columns.is_empty() {
            return &[];
        }
        let mut columns: Vec<Column> = self.columns.to_vec();
        let title = columns.iter().position(is_text).unwrap_or_default();
        let title = columns.remove(title);
        for column in &mut columns {
            if column.show == Show::Address || NAMES.contains(&column.key) {
                // What lies elsewhere in each process is known of single workers only.
                *column = Column {
                    optional: true,
                    rank: column.rank.max(20),
                    ..*column
                };
            }
        }
        lasting([title, WORKER].into_iter().chain(columns).collect())
    }

    /// The rows, of a list those first that stand first in a report, and those of one name side by side.
    pub(super) fn rows(&self, names: &[String]) -> Vec<Row> {
        if self.tree {
            let rows = self.groups.iter().enumerate();
            return rows
                .map(|(id, group)| self.node(id, group, names))
                .collect();
        }
        let mut first: HashMap<&str, (usize, usize)> = HashMap::new();
        for (place, group) in self.groups.iter().enumerate() {
            let (rank, _) = first.entry(&group.title).or_insert((group.rank, place));
            *rank = group.rank.min(*rank);
        }
        let mut groups: Vec<&Group> = self.groups.iter().collect();
        groups.sort_by_key(|group| match group.severity() {
            Some(severity) => (3 - severity as usize, usize::MAX - group.workers.len()),
            None => first[group.title.as_str()],
        });
        let rows = groups.into_iter();
        rows.flat_map(|group| self.lines(group, names)).collect()
    }

    /// A row of a tree, which divides a whole: the amounts of all workers are added up.
    fn node(&self, id: usize, group: &Group, names: &[String]) -> Row {
        let width = self.amounts.len();
        let amounts = self.amounts.iter().enumerate().map(|(at, column)| {
            let values: Vec<f64> = group.amounts_at(at, width).flatten().collect();
            let sum = (!values.is_empty()).then(|| values.iter().sum::<f64>());
            match column.key.ends_with("_pct") {
                true => sum.map(|sum| (sum / self.answered as f64 * 10.0).round() / 10.0),
                false => sum,
            }
        });
        let amounts: Vec<Option<f64>> = amounts.collect();
        let mut fields = self.fields(group, &group.workers, &amounts, names);
        for (key, value) in &mut fields {
            match &**key {
                "id" => *value = json!(id),
                "parent" => *value = json!(group.parent),
                _ => {}
            }
        }
        Row::from_fields(fields)
    }

    /// The rows of a group: of most of its workers, and of those whose amounts are far from theirs.
    fn lines(&self, group: &Group, names: &[String]) -> Vec<Row> {
        let width = self.amounts.len();
        let usual: Vec<Option<f64>> = (0..width)
            .map(|at| median(group.amounts_at(at, width).flatten().collect()))
            .collect();
        let own = |member: usize| &group.amounts[member * width..][..width];
        let mut far: Vec<(f64, usize)> = match group.workers.len() >= ENOUGH {
            true => (0..group.workers.len())
                .map(|member| (self.distance(own(member), &usual), member))
                .filter(|(distance, _)| *distance > 1.0)
                .collect(),
            false => Vec::new(),
        };
        far.sort_by(|one, other| other.0.total_cmp(&one.0));
        far.truncate(OUTLIERS);
        let is_far = |member: &usize| far.iter().any(|(_, other)| other == member);
        let others = (0..group.workers.len()).filter(|member| !is_far(member));
        let others: Vec<usize> = others.map(|member| group.workers[member]).collect();
        let mut rows = vec![Row::from_fields(self.fields(group, &others, &usual, names))];
        rows.extend(far.iter().map(|(_, member)| {
            let worker = [group.workers[*member]];
            Row::from_fields(self.fields(group, &worker, own(*member), names))
        }));
        rows
    }

    /// How far amounts are from the usual ones: more than 1 where one is more than twice or less than half of them, and not
    /// by a trifle.
    fn distance(&self, own: &[Option<f64>], usual: &[Option<f64>]) -> f64 {
        let one = |((column, own), usual): ((&&Column, &Option<f64>), &Option<f64>)| {
            let trifle = match column.show {
                Show::Time => 1e8,
                Show::Bytes | Show::Change => 8e6,
                _ if column.key.ends_with("pct") => 10.0,
                _ => 1.0,
            };
            let (own, usual) = ((*own)?, (*usual)?);
            let (small, large) = (own.abs().min(usual.abs()), own.abs().max(usual.abs()));
            Some(large / (2.0 * small + trifle))
        };
        let columns = self.amounts.iter().zip(own).zip(usual);
        columns.filter_map(one).fold(0.0, f64::max)
    }

    fn fields(
        &self,
        group: &Group,
        workers: &[usize],
        amounts: &[Option<f64>],
        names: &[String],
    ) -> Vec<(Cow<'static, str>, Value)> {
        let is_all = workers.len() == self.answered;
        let named: Vec<&str> = workers.iter().map(|one| names[*one].as_str()).collect();
        let mut fields = vec![
            ("worker".into(), who(workers, names, self.answered).into()),
            ("workers".into(), json!((!is_all).then_some(named))),
        ];
        let amount = |key: &str| self.amounts.iter().position(|one| one.key == key);
        fields.extend(group.fields.iter().map(|(key, value)| {
            let value = match amount(key) {
                Some(at) => number(amounts[at]),
                None => value.clone(),
            };
            (key.clone(), value)
        }));
        fields
    }
}

impl Group {
    /// Forgets what a row has otherwise; of texts that differ in numbers only, the rest is kept.
    fn narrow(&mut self, row: &Row) {
        for ((key, value), (name, other)) in self.fields.iter_mut().zip(row.iter()) {
            let other = match key == name {
                true => Some(other),
                false => row.get(key),
            };
            if Some(&*value) == other {
                continue;
            }
            *value = match (&*value, other) {
                (Value::String(one), Some(Value::String(other))) => {
                    let plain = without_numbers(one);
                    match plain == without_numbers(other) {
                        true => plain.into(),
                        false => Value::Null,
                    }
                }
                _ => Value::Null,
            };
        }
    }

    /// One amount of all members.
    fn amounts_at(&self, at: usize, width: usize) -> impl Iterator<Item = Option<f64>> {
        let amounts = self.amounts.iter().copied();
        amounts.skip(at).step_by(width.max(1))
    }

    /// How serious a row is that tells of a diagnosis.
    fn severity(&self) -> Option<Severity> {
        let (_, severity) = self.fields.iter().find(|(key, _)| key == "severity")?;
        serde_json::from_value(severity.clone()).ok()
    }
}

/// Whether a column is what people know a row by.
fn is_text(column: &Column) -> bool {
    matches!(
        column.show,
        Show::Text | Show::Name | Show::Path | Show::Library | Show::List | Show::Flag
    )
}

/// The one in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// A whole number where it is one.
fn number(value: Option<f64>) -> Value {
    const EXACT: f64 = (1_u64 << 53) as f64;
    match value {
        Some(value) if value.fract() == 0.0 && value.abs() < EXACT => json!(value as i64),
        other => json!(other),
    }
}
