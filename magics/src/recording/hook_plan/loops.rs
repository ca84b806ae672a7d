//! The tables in which ufuncs keep their inner loops. NumPy reads an address there whenever it chooses a loop, so that a
//! hook in the table sees every run of the loop.

use std::collections::{HashMap, HashSet};

use diaphane_sight::linker::libraries::Library;
use diaphane_trace::got_hooks::Site;
use diaphane_trace::recorder::argument_capture::Capture;
use diaphane_trace::recorder::functions;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyType};

use crate::magic::User;
use crate::numpy::ufunc::{LoopTable, loop_table};
use diaphane_cpython::dicts::entries;
use diaphane_cpython::modules::imported;

/// The table of one ufunc, which is kept alive for it.
pub(super) struct OwnedTable {
    pub table: LoopTable,
    #[allow(dead_code, reason = "it is held and not read")]
    owner: Py<PyAny>,
}

/// The tables of the ufuncs in all extension modules and among the user's variables.
pub(super) fn tables(user: User<'_, '_>) -> PyResult<Vec<OwnedTable>> {
    let Some(mut found) = LoopSearch::new(user.py)? else {
        return Ok(Vec::new());
    };
    for (_, module) in entries(&modules(user.py)?) {
        if let Ok(module) = module.cast_into::<PyModule>()
            && is_compiled(&module)
        {
            found.search(&module.dict());
        }
    }
    found.search(user.namespace);
    Ok(found.tables)
}

/// What `tables` depends on, to be asked often: the number of modules, and the user's own ufuncs by their tables.
pub(super) fn state(user: User<'_, '_>) -> PyResult<(usize, Vec<usize>)> {
    let Some(mut found) = LoopSearch::new(user.py)? else {
        return Ok((0, Vec::new()));
    };
    found.search(user.namespace);
    let own = found.tables.iter().map(|owned| owned.table.start).collect();
    Ok((modules(user.py)?.len(), own))
}

fn modules(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let modules = py.import("sys")?.getattr("modules")?;
    Ok(modules.cast_into::<PyDict>()?)
}

/// Whether a module has no Python source. Its dictionary is asked, since a module may have a `__getattr__`.
fn is_compiled(module: &Bound<'_, PyModule>) -> bool {
    let file = module.dict().get_item("__file__").ok().flatten();
    file.and_then(|file| file.extract::<String>().ok())
        .is_some_and(|file| file.ends_with(".so"))
}

struct LoopSearch<'py> {
    kind: Bound<'py, PyType>,
    seen: HashSet<usize>,
    tables: Vec<OwnedTable>,
}

impl<'py> LoopSearch<'py> {
    /// Nothing found yet; `None` without NumPy.
    fn new(py: Python<'py>) -> PyResult<Option<Self>> {
        let Some(numpy) = imported(py, "numpy")? else {
            return Ok(None);
        };
        let kind = numpy.getattr("ufunc")?.cast_into::<PyType>().ok();
        Ok(kind.map(|kind| Self {
            kind,
            seen: HashSet::new(),
            tables: Vec::new(),
        }))
    }

    fn search(&mut self, names: &Bound<'_, PyDict>) {
        for (_, value) in entries(names) {
            if !value.get_type().is(&self.kind) || !self.seen.insert(value.as_ptr().addr()) {
                continue;
            }
            self.tables
                .extend(loop_table(&value).map(|table| OwnedTable {
                    table,
                    owner: value.clone().unbind(),
                }));
        }
    }
}

/// Each entry of the tables once; several ufuncs may share a table.
pub(super) fn sites(tables: &[OwnedTable], libraries: &[Library], words: bool) -> Vec<Site> {
    let mut seen = HashSet::new();
    let mut sites = Vec::new();
    for OwnedTable { table, .. } in tables {
        let library = libraries
            .iter()
            .find(|library| library.span.contains(table.start))
            .map(|library| library.image.bias());
        let entries = table.addresses().zip(&table.loops);
        for (address, &target) in entries.filter(|(_, target)| **target != 0) {
            if seen.insert(address) {
                sites.push(Site {
                    address,
                    target,
                    library,
                    words,
                });
            }
        }
    }
    sites
}

/// What to keep of each loop: the addresses of its arrays, how many items, and the steps between them.
pub(super) fn capture_specs(tables: &[OwnedTable]) -> Vec<(u32, Vec<Capture>)> {
    let of = |table: &LoopTable| {
        let count = u8::try_from(table.arguments).unwrap_or(u8::MAX).min(8);
        vec![
            Capture::Array(1, 1),
            Capture::Array(0, count),
            Capture::Array(2, count),
        ]
    };
    let functions = tables.iter().flat_map(|owned| {
        let captures = of(&owned.table);
        let loops = owned.table.loops.iter().filter(|&&code| code != 0);
        loops.filter_map(move |&code| Some((functions::register(code)?, captures.clone())))
    });
    functions.collect()
}

/// What is known of an inner loop, which several ufuncs and dtypes may share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    /// The ufunc, if only one has it.
    pub ufunc: Option<String>,
    /// How many arrays it reads; the others are written.
    pub inputs: usize,
    /// How many arrays it has.
    pub arrays: usize,
    /// The letters of its types in the first ufunc that has it.
    pub types: String,
    /// Whether its items are arrays themselves.
    pub is_general: bool,
}

/// The loops by the addresses of their code.
pub(super) fn about(tables: &[OwnedTable]) -> HashMap<usize, About> {
    let mut known: HashMap<usize, About> = HashMap::new();
    for OwnedTable { table, .. } in tables {
        let rows = table.loops.iter().zip(&table.types);
        for (&code, types) in rows.filter(|(code, _)| **code != 0) {
            let about = known.entry(code).or_insert_with(|| About {
                ufunc: Some(table.name.clone()),
                inputs: table.inputs,
                arrays: table.arguments.min(8),
                types: types.clone(),
                is_general: table.is_general,
            });
            if about.ufunc.as_ref() != Some(&table.name) {
                about.ufunc = None;
            }
        }
    }
    known
}
