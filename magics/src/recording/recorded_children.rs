//! `--children`: what the processes that a cell starts do is recorded too. Each of them records itself, and sends its report
//! when it ends, or when the cell has; all are merged with the cell's own.
//!
//! Forks begin by a hook of Python's, programs by the environment (`diaphane.recorded_children`), and both report to a
//! socket in a private folder (`listener`). All of it is undone when this is dropped.

mod listener;

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use diaphane_report::{Merger, Report};
use diaphane_trace::helper_thread::Helper;
use pyo3::prelude::*;

use crate::error::Error;
use crate::magic::{Ran, RecordedCode, Recording, User};
use listener::{Listener, RecordedChild};

/// The Python half of it.
const MODULE: &str = "diaphane.recorded_children";
/// A path of a socket has no more letters.
const LONGEST: usize = 100;

/// A recording of this process, and of those that it starts.
pub(crate) struct WithChildren {
    own: Box<dyn Recording>,
    children: RecordedChildren,
}

impl WithChildren {
    /// Has the children of a recording record too, by the magic of a name with these words.
    pub fn begin(
        own: Box<dyn Recording>,
        user: User<'_, '_>,
        name: &str,
        words: &[String],
    ) -> Result<Box<dyn Recording>, Error> {
        let children = RecordedChildren::begin(user, name, words)?;
        Ok(Box::new(Self { own, children }))
    }
}

impl Recording for WithChildren {
    fn wants_more(&self) -> bool {
        self.own.wants_more()
    }

    fn end(
        self: Box<Self>,
        code: &RecordedCode,
        user: User<'_, '_>,
        ran: Ran,
    ) -> Result<Report, Error> {
        let Self { own, children } = *self;
        // First they are told that it is over: what making a report takes is no part of the cell.
        let listener = children.end(user.py);
        let own = own.end(code, user, ran)?;
        match listener {
            Some(listener) => {
                let found = user.py.detach(|| listener.end()).unwrap_or_default();
                merged(own, found)
            }
            None => Ok(own),
        }
    }
}

/// The invitation to children, for as long as the cell runs.
struct RecordedChildren {
    listener: Option<Helper<Vec<RecordedChild>>>,
    /// What undoes the Python half.
    invitation: Option<Py<PyAny>>,
    folder: PathBuf,
    process: u32,
    is_over: Arc<AtomicBool>,
}

impl RecordedChildren {
    fn begin(user: User<'_, '_>, name: &str, words: &[String]) -> Result<Self, Error> {
        let module = user.py.import(MODULE).map_err(|error| {
            Error::Usage(format!(
                "%%{name}: --children needs the Python package diaphane, which is not here: {error}"
            ))
        })?;
        let refused = |error: std::io::Error| {
            Error::Usage(format!(
                "%%{name}: --children: no socket could be made in {}: {error}; TMPDIR names another folder",
                std::env::temp_dir().display()
            ))
        };
        let folder = private_folder().map_err(refused)?;
        let mut new = Self {
            listener: None,
            invitation: None,
            folder,
            process: std::process::id(),
            is_over: Arc::default(),
        };
        let socket = UnixListener::bind(new.folder.join("socket")).map_err(refused)?;
        let listener = Listener::new(socket, Arc::clone(&new.is_over)).map_err(refused)?;
        new.listener = Some(Helper::begin("diaphane-child", move |shift| {
            listener.serve(shift)
        }));
        let folder = new.folder.display().to_string();
        let invitation = module.call_method1("invite", (folder, name, words))?;
        new.invitation = Some(invitation.unbind());
        Ok(new)
    }

    /// Nobody is invited any more, and those that are here are told to report. Who waits for them; nobody in a child of
    /// this process.
    fn end(mut self, py: Python<'_>) -> Option<Helper<Vec<RecordedChild>>> {
        self.undo(py);
        self.is_over.store(true, Ordering::Relaxed);
        let is_own = self.process == std::process::id();
        self.listener.take().filter(|_| is_own)
    }

    fn undo(&mut self, py: Python<'_>) {
        let Some(invitation) = self.invitation.take() else {
            return;
        };
        if self.process != std::process::id() {
            return;
        }
        if let Err(error) = invitation.call_method0(py, "undo") {
            error.write_unraisable(py, None);
        }
    }
}

impl Drop for RecordedChildren {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            Python::attach(|py| self.undo(py));
            remove(&self.folder);
        }
    }
}

/// Removes the folder; by the names of its files where no descriptor is left to read it.
fn remove(folder: &Path) {
    if fs::remove_dir_all(folder).is_err() {
        for name in ["socket", "plan.json", "sitecustomize.py"] {
            let _ = fs::remove_file(folder.join(name));
        }
        let _ = fs::remove_dir(folder);
    }
}

/// A folder of this user's alone, whose path is short enough for a socket.
fn private_folder() -> std::io::Result<PathBuf> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let name = format!("diaphane-children-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(&name);
    let is_short = folder.as_os_str().len() + "/socket".len() < LONGEST;
    let folder = if is_short {
        folder
    } else {
        PathBuf::from("/tmp").join(name)
    };
    // One that is there may be somebody else's.
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

/// The reports of all as one, with the cell's own table of lines; without children the cell's own.
fn merged(mut own: Report, children: Vec<RecordedChild>) -> Result<Report, Error> {
    if children.is_empty() {
        let words = "--children: no other process that ran Python has reported";
        own.limits.push(words.into());
        return Ok(own);
    }
    let mut merger = Merger::default();
    merger.add(&format!("parent {}", std::process::id()), Ok(&own));
    for child in children {
        let name = format!("{} {}", child.how, child.pid);
        let report = child.report.and_then(|text| Report::from_stored(&text));
        merger.add(&name, report.as_ref().map_err(String::as_str));
    }
    let mut all = merger.finish()?;
    all.plain = own.plain;
    if let Some(mut lines) = own.answer.and_then(|answer| answer.table) {
        lines.title = format!("In the parent: {}", lines.title);
        all.tables.insert(0, lines);
    }
    Ok(all)
}
