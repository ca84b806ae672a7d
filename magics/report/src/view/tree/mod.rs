//! A report whose rows are a tree: which rows stand on one line, and which lines are shown.
//!
//! A row with a single child that agrees with it in everything but its times stands on one line with it, as `a → b`:
//! the way down to an inner loop has many such steps. Where there are too many lines, those that took longest stay.

pub mod html;
pub mod text;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::column::{Column, Show};
use crate::report::Report;
use crate::row::Row;
use crate::view::cell;

/// Rows that stand on one line, and the lines below them.
pub(super) struct Line<'a> {
    /// The row, and those that it leads to without a branch.
    pub rows: Vec<&'a Row>,
    /// Places of the lines below it in the tree.
    pub children: Vec<usize>,
    weight: f64,
    depth: usize,
}

/// Lines that are deeper are counted only: nobody finds the way there, and each level takes room on the stack.
const DEEPEST: usize = 300;

/// All lines of a report.
pub(super) struct Tree<'a> {
    pub lines: Vec<Line<'a>>,
    pub roots: Vec<usize>,
}

impl<'a> Tree<'a> {
    /// That of a report; without lines if the report is no tree.
    pub fn of(report: &'a Report) -> Self {
        let mut below: HashMap<Option<u64>, Vec<&Row>> = HashMap::new();
        for row in report.rows.iter().filter(|_| report.tree) {
            below.entry(row.number("parent")).or_default().push(row);
        }
        let mut tree = Self {
            lines: Vec::new(),
            roots: Vec::new(),
        };
        let mut open: Vec<(Option<usize>, &Row)> = Vec::new();
        let push = |open: &mut Vec<_>, parent, rows: Option<&Vec<&'a Row>>| {
            open.extend(rows.into_iter().flatten().rev().map(|row| (parent, *row)));
        };
        push(&mut open, None, below.get(&None));
        while let Some((parent, row)) = open.pop() {
            let mut rows = vec![row];
            let mut end = below.get(&row.number("id"));
            while let Some([next]) = end.map(Vec::as_slice)
                && agree(report.columns, row, next)
            {
                rows.push(next);
                end = below.get(&next.number("id"));
            }
            let place = tree.lines.len();
            tree.lines.push(Line {
                weight: weight(report.columns, row),
                rows,
                children: Vec::new(),
                depth: parent.map_or(0, |parent: usize| tree.lines[parent].depth + 1),
            });
            match parent {
                Some(parent) => tree.lines[parent].children.push(place),
                None => tree.roots.push(place),
            }
            push(&mut open, Some(place), end);
        }
        tree
    }

    /// Marks so many lines, the heaviest of those whose parents are marked.
    pub fn heaviest(&self, count: usize) -> Vec<bool> {
        let mut marked = vec![false; self.lines.len()];
        // Times are no larger than those above them, so the order is that of the whole tree. Earlier lines come first.
        let key = |place: &usize| Heavy(self.lines[*place].weight, Reverse(*place));
        let mut open: BinaryHeap<Heavy> = self.roots.iter().map(key).collect();
        for _ in 0..count {
            let Some(Heavy(_, Reverse(place))) = open.pop() else {
                break;
            };
            marked[place] = true;
            if self.lines[place].depth < DEEPEST {
                open.extend(self.lines[place].children.iter().map(key));
            }
        }
        marked
    }

    /// The rows of lines and of all below them.
    pub fn count(&self, places: &[usize]) -> usize {
        let mut open = places.to_vec();
        let mut rows = 0;
        while let Some(place) = open.pop() {
            rows += self.lines[place].rows.len();
            open.extend(&self.lines[place].children);
        }
        rows
    }
}

/// The places of a tree's rows, the heaviest first of those whose parents were given.
pub(super) struct HeaviestRows<'a> {
    report: &'a Report,
    below: HashMap<Option<u64>, Vec<usize>>,
    open: BinaryHeap<Heavy>,
}

impl<'a> HeaviestRows<'a> {
    pub fn of(report: &'a Report) -> Self {
        let mut below: HashMap<Option<u64>, Vec<usize>> = HashMap::new();
        for (place, row) in report.rows.iter().enumerate() {
            below.entry(row.number("parent")).or_default().push(place);
        }
        let open = BinaryHeap::new();
        let mut rows = Self {
            report,
            below,
            open,
        };
        rows.push(None);
        rows
    }

    fn push(&mut self, parent: Option<u64>) {
        let report = self.report;
        let children = self.below.remove(&parent).unwrap_or_default();
        let key = |place: usize| Heavy(weight(report.columns, &report.rows[place]), Reverse(place));
        self.open.extend(children.into_iter().map(key));
    }
}

impl Iterator for HeaviestRows<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let Heavy(_, Reverse(place)) = self.open.pop()?;
        if let Some(id) = self.report.rows[place].number("id") {
            self.push(Some(id));
        }
        Some(place)
    }
}

/// A line in the order of its weight.
#[derive(PartialEq)]
struct Heavy(f64, Reverse<usize>);

impl Eq for Heavy {}

impl PartialOrd for Heavy {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Heavy {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

/// What the row of a tree is called.
fn label(report: &Report, row: &Row) -> String {
    report
        .columns
        .first()
        .map(|column| cell(row, column))
        .unwrap_or_default()
}

fn weight(columns: &[Column], row: &Row) -> f64 {
    let time = columns.iter().find(|column| column.show == Show::Time);
    let value = time.and_then(|column| row.get(column.key)?.as_f64());
    value.unwrap_or(0.0)
}

fn agree(columns: &'static [Column], one: &Row, other: &Row) -> bool {
    let compared = columns.iter().skip(1);
    compared
        .filter(|column| column.show != Show::Time)
        .all(|column| one.get(column.key) == other.get(column.key))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::rows;
    use crate::row::keep_with_parents;

    const COLUMNS: &[Column] = &[
        Column::new("func", Show::Text, 0).with("place"),
        Column::new("calls", Show::Number, 0),
        Column::new("total_ns", Show::Time, 1).titled("total"),
        Column::new("lib", Show::Text, 2).titled("library"),
    ];

    const BLAS: &str = "libscipy_openblas64_-32a4b2a6.so";

    type Node = (Option<u32>, &'static str, Option<u32>, u32, &'static str);

    /// Parent, function, calls, time and library; the number of a node is its place.
    const NODES: [Node; 9] = [
        (None, "a @ b", None, 240_000, "python"),
        (Some(0), "DOUBLE_matmul", Some(1), 239_000, "numpy"),
        (
            Some(1),
            "DOUBLE_matmul_matrixmatrix",
            Some(1),
            238_000,
            "numpy",
        ),
        (Some(2), "scipy_cblas_dgemm64_", Some(1), 237_000, BLAS),
        (Some(3), "blas_memory_alloc", Some(1), 300, BLAS),
        (Some(3), "dgemm_nn", Some(1), 236_000, BLAS),
        (Some(5), "dgemm_kernel_SKYLAKEX", Some(12), 200_000, BLAS),
        (Some(5), "<script>", Some(2), 100, "libc.so.6"),
        (Some(3), "blas_memory_free", Some(1), 100, BLAS),
    ];

    pub fn sample() -> Report {
        let all = NODES.iter().enumerate().map(|(id, node)| {
            let (parent, func, calls, total, lib) = node;
            let place = (id == 0).then_some("In[3]:2");
            json!({"id": id, "parent": parent, "func": func, "calls": calls, "total_ns": total, "lib": lib, "place": place})
        });
        Report {
            name: "probe",
            columns: COLUMNS,
            rows: rows(all).unwrap(),
            tree: true,
            shown: 30,
            ..Report::default()
        }
    }

    #[test]
    fn a_single_way_is_one_line() {
        let report = sample();
        let tree = Tree::of(&report);
        let lengths: Vec<usize> = tree.lines.iter().map(|line| line.rows.len()).collect();
        assert_eq!(lengths, [1, 2, 1, 1, 1, 1, 1, 1]);
        assert_eq!(tree.count(&tree.roots), report.rows.len());
    }

    #[test]
    fn the_heaviest_lines_stay_with_their_parents() {
        let report = sample();
        let tree = Tree::of(&report);
        let marked = tree.heaviest(5);
        assert_eq!(marked, [true, true, true, false, true, true, false, false]);
    }

    #[test]
    fn a_deep_tree_is_cut_and_counted() {
        let all = (0..100_000u32).map(|id| {
            json!({"id": id, "parent": id.checked_sub(1), "func": "f", "calls": id, "total_ns": 1, "lib": "x"})
        });
        let report = Report {
            rows: rows(all).unwrap(),
            shown: usize::MAX,
            ..sample()
        };
        let text = crate::view::text::report(&report, 80);
        assert!(
            text.contains("+ 99699 more"),
            "{}",
            &text[text.len() - 200..]
        );
        assert!(crate::view::html::report(&report).contains("+ 99699 more"));
    }

    #[test]
    fn a_filter_keeps_the_way_to_what_matches() {
        let mut report = sample();
        keep_with_parents(&mut report.rows, |row| {
            row.get("func").unwrap() == "blas_memory_alloc"
        });
        let ids: Vec<_> = report.rows.iter().map(|row| row.number("id")).collect();
        assert_eq!(ids, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
    }
}
