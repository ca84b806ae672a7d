//! What was compiled in this session: an unchanged cell is not compiled again.

use std::collections::HashMap;
use std::sync::Arc;

use diaphane_forks::ProcessLock;
use diaphane_rust_protocol::{Answer, Bind, Compile, Question};
use pyo3::prelude::*;

use super::library::{LoadedCell, load};
use super::{ask, kept};
use crate::error::Error;
use crate::magic::User;

/// All that the library of a cell depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CellKey {
    source: String,
    binds: Vec<Bind>,
    outputs: Vec<String>,
    keeps: Vec<String>,
    opt_level: String,
    native: bool,
    exports: bool,
    /// What items and dependencies there were.
    generation: u64,
}

/// The session.
#[derive(Debug, Default)]
struct Session {
    generation: u64,
    cells: HashMap<CellKey, Arc<LoadedCell>>,
}

static SESSION: ProcessLock<Option<Session>> = ProcessLock::new(|| None);

/// The library of a cell, and whether it was there before.
pub fn compiled(asked: &Compile, user: User<'_, '_>) -> Result<(Arc<LoadedCell>, bool), Error> {
    let mut key = CellKey {
        source: asked.source.clone(),
        binds: asked.binds.clone(),
        outputs: asked.outputs.clone(),
        keeps: asked.keeps.clone(),
        opt_level: asked.opt_level.clone(),
        native: asked.native,
        exports: asked.exports,
        generation: 0,
    };
    {
        let mut session = SESSION.lock();
        let session = session.get_or_insert_default();
        key.generation = session.generation;
        let known = session.cells.get(&key);
        if let Some(loaded) = known.filter(|loaded| kept::fits(&loaded.compiled.kept)) {
            return Ok((Arc::clone(loaded), true));
        }
    }
    let mut asked = asked.clone();
    let names = user.namespace.keys();
    asked.names = names
        .iter()
        .filter_map(|name| name.extract().ok())
        .collect();
    let cell = asked.cell;
    let answer = ask(user, &Question::Compile(asked))?;
    let Answer::Compiled(compiled) = answer else {
        return Err(unexpected());
    };
    let has_changed = compiled.items_changed;
    let loaded = user.py.detach(|| load(compiled, cell))?;
    let mut session = SESSION.lock();
    let session = session.get_or_insert_default();
    if has_changed {
        session.generation += 1;
        // Cells that were compiled with other items are compiled again.
        session.cells.clear();
    }
    key.generation = session.generation;
    session.cells.insert(key, Arc::clone(&loaded));
    Ok((loaded, false))
}

/// The compiler has answered something else than it was asked.
pub fn unexpected() -> Error {
    Error::Usage("%%rust: the compiler's answer is to another question; %rust_reset".to_owned())
}

/// How many cells are loaded that would not be compiled again.
pub fn loaded_cells() -> usize {
    SESSION.lock().as_ref().map_or(0, |one| one.cells.len())
}

/// Forgets every cell, so that each is compiled again.
pub fn forget() {
    if let Some(session) = SESSION.lock().as_mut() {
        session.generation += 1;
        session.cells.clear();
    }
}
