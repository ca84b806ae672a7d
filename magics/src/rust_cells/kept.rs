//! Variables of Rust that outlive their cell (`--keep`). They stay where the cell made them; a later cell that names one
//! borrows it to be changed, and nothing that happens to that cell takes it away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_forks::ProcessLock;
use diaphane_rust_protocol::Kept;

use crate::error::Error;
use crate::rust_cells::results::{CellResult, ResultMemory, ResultOwner};

/// A variable.
pub struct Variable {
    /// Its name and its type.
    pub about: Kept,
    /// The cell that made it.
    pub cell: u32,
    data: usize,
    is_borrowed: AtomicBool,
    _owner: ResultOwner,
}

/// All of them, by name.
static KEPT: ProcessLock<BTreeMap<String, Arc<Variable>>> = ProcessLock::new(BTreeMap::new);

/// A variable, as long as a cell has it.
pub struct Borrowed(Arc<Variable>);

impl Borrowed {
    /// Where it is.
    pub fn data(&self) -> usize {
        self.0.data
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.0.is_borrowed.store(false, Ordering::Release);
    }
}

/// All variables but those that a cell makes anew.
pub fn known(but: &[String]) -> Vec<Kept> {
    let kept = KEPT.lock();
    let others = kept.iter().filter(|(name, _)| !but.contains(name));
    others.map(|(_, one)| one.about.clone()).collect()
}

/// What `%rust_status` shows: each with the cell that made it.
pub fn all() -> Vec<Arc<Variable>> {
    KEPT.lock().values().cloned().collect()
}

/// Whether what a cell was compiled for is still there, of the same types.
pub fn fits(used: &[Kept]) -> bool {
    let kept = KEPT.lock();
    let is_same = |one: &Kept| kept.get(&one.name).is_some_and(|known| known.about == *one);
    used.iter().all(is_same)
}

/// Takes a variable for a cell. One cell at a time has it.
pub fn borrow(name: &str) -> Result<Borrowed, Error> {
    let variable = KEPT.lock().get(name).cloned();
    let variable = variable.ok_or_else(|| {
        Error::Usage(format!(
            "%%rust: the kept variable {name} is no longer there: run the cell that keeps it again"
        ))
    })?;
    if variable.is_borrowed.swap(true, Ordering::Acquire) {
        return Err(Error::Usage(format!(
            "%%rust: another cell that runs now has the kept variable {name}"
        )));
    }
    Ok(Borrowed(variable))
}

/// Keeps a variable instead of an earlier one of its name, which is dropped when no cell has it any more.
pub fn keep(about: &Kept, cell: u32, value: CellResult) {
    let ResultMemory::OfCell { data, owner } = value.memory else {
        return;
    };
    let variable = Variable {
        about: about.clone(),
        cell,
        data,
        is_borrowed: AtomicBool::new(false),
        _owner: owner,
    };
    // The destructor of the earlier one is the user's code, and may take its time.
    let earlier = KEPT.lock().insert(about.name.clone(), Arc::new(variable));
    drop(earlier);
}

/// Drops all of them.
pub fn clear() {
    let all = std::mem::take(&mut *KEPT.lock());
    drop(all);
}
