//! What was handed to the functions of a tree, and what is remarkable about it.

use std::collections::BTreeSet;
use std::ptr;

use diaphane_trace::event::Log;
use serde::Serialize;
use serde_json::Value;

use super::code::Part;
use super::costs::{Costs, coverage};
use super::rows::Writer;
use super::tree::{CallNode, NodeKind, Tree};
use crate::code::variants;
use crate::code::variants::Variants;
use crate::error::Error;
use crate::recording::arguments::Given;
use crate::recording::arguments::diagnoses::{FindingsInput, slow_kernels};
use diaphane_report::{Diagnosis, Severity};

/// The fields of a row that tell of arguments.
#[derive(Debug, Default, Serialize)]
pub(super) struct Told {
    /// The arguments of the first call, and how many others there are.
    args: Option<String>,
    /// The same as fields.
    arguments: Option<Vec<Value>>,
    /// The bytes of the items that all calls read and write.
    bytes: Option<u64>,
    /// How many numbers all calls add and multiply.
    flop: Option<f64>,
    /// Those in a nanosecond.
    gflops: Option<f64>,
}

impl Writer<'_, '_> {
    pub(super) fn told(&self, log: &Log, node: &CallNode) -> Told {
        let logs = &self.recorded.recording.logs;
        let log = logs.iter().position(|one| ptr::eq(one, log));
        let (Some((arguments, _)), Some(log)) = (&self.recorded.arguments, log) else {
            return Told::default();
        };
        let given = node.told.iter();
        let given: Vec<&Given> = given
            .filter_map(|&event| arguments.given.get(&(log, event)))
            .collect();
        // What asks for the size of its room to work in does nothing else.
        let works = |given: &&&Given| !given.is_question();
        let Some(first) = given.iter().find(works).or(given.first()) else {
            return Told::default();
        };
        let texts: BTreeSet<String> = given
            .iter()
            .map(|given| given.text(&arguments.lives))
            .collect();
        let more = match texts.len() - 1 {
            0 => String::new(),
            1 => "; and 1 other".to_owned(),
            more => format!("; and {more} others"),
        };
        let flop = given.iter().map(|given| given.flop()).sum::<Option<f64>>();
        let time = self.nanoseconds(node.total) as f64;
        Told {
            args: Some(first.text(&arguments.lives) + &more),
            arguments: Some(first.fields(&arguments.lives)),
            bytes: given.iter().map(|given| given.bytes()).sum(),
            flop,
            gflops: flop.filter(|_| time > 0.0).map(|flop| flop / time),
        }
    }

    /// What is remarkable.
    pub(super) fn findings(&self, trees: &[(&Log, Tree)]) -> Result<Vec<Diagnosis>, Error> {
        let libraries = &self.codes.libraries;
        let nodes = trees.iter().flat_map(|(_, tree)| &tree.nodes);
        let called: BTreeSet<usize> = nodes
            .filter_map(|node| match node.kind {
                NodeKind::Native(address) => self.codes.known.get(&address)?.library,
                _ => None,
            })
            .filter(|&library| self.codes.part(Some(library)) == Part::Blas)
            .collect();
        let called: Vec<usize> = called.into_iter().collect();
        let mut found = slow_kernels(libraries, &called);
        if let Some((arguments, watched)) = &self.recorded.arguments {
            found.extend(FindingsInput::new(arguments, watched, libraries).findings());
        }
        found.extend(self.below_their_best(trees)?);
        found.extend(self.recorded.held.iter().cloned());
        found.sort_by_key(|one| one.code);
        Ok(found)
    }

    /// C001: the inner loops that ran have better variants, which NumPy was told not to use.
    fn below_their_best(&self, trees: &[(&Log, Tree)]) -> Result<Vec<Diagnosis>, Error> {
        let nodes = trees.iter().flat_map(|(_, tree)| &tree.nodes);
        let loops: BTreeSet<usize> = nodes
            .filter_map(|node| match node.kind {
                NodeKind::Native(address) if self.recorded.is_loop(address) => Some(address),
                _ => None,
            })
            .collect();
        let mut found = Vec::new();
        for address in loops {
            let Some(symbol) = self.codes.symbol(address) else {
                continue;
            };
            let (symbol, library) = symbol;
            let Some(variants) = variants::in_library(&symbol, library) else {
                continue;
            };
            let off = variants.switched_off(self.user.py)?;
            found.extend(off.last().map(|best| slower(&symbol, &variants, best)));
        }
        Ok(found)
    }

    /// What stands above the tree: the part of the cell that it covers, and what was not copied.
    pub(super) fn lead(&self, costs: &Costs, trees: &[(&Log, Tree)]) -> Vec<String> {
        let arguments = self.recorded.arguments.as_ref();
        let uncopied = arguments.and_then(|(arguments, _)| arguments.uncopied());
        let covered = coverage(self.recorded, costs, trees);
        covered.into_iter().chain(uncopied).collect()
    }
}

fn slower(symbol: &str, variants: &Variants, best: &str) -> Diagnosis {
    Diagnosis {
        code: "C001",
        severity: Severity::Warn,
        title: format!(
            "{symbol} ran, NumPy's {} loop, though this CPU can run its {best} variant.",
            variants.bound
        ),
        evidence: vec![
            format!("variants in the library: {}", variants.available.join(", ")),
            "NPY_DISABLE_CPU_FEATURES switched the others off when NumPy was imported".into(),
        ],
        fix: "Start the kernel without NPY_DISABLE_CPU_FEATURES.".into(),
    }
}
