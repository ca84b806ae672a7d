//! What a guest writes down of its host, so that its death is told: on the standard error, and by `%crash_report` of the
//! next kernel. The host's sockets are its own.

use std::ffi::{CString, c_int};
use std::io;
use std::os::fd::RawFd;
use std::path::Path;

use diaphane_sight::crash::black_box;
use diaphane_sight::crash::handler;
use diaphane_sight::crash::handler::guest;
use diaphane_sight::proc::maps::Maps;

use super::{black_box_of, note_cell, question};

/// The cell that runs on the main thread; a guest knows no other.
const SLOT: usize = 0;

/// Begins to tell, on a descriptor that is ours for ever: nobody knows when the process dies. Reports lie beside the connection file, where the next kernel looks for them.
///
/// `command` are the words by which this process's program runs our command line. `only_told` are the signals whose
/// handler, where it is in the file of `interpreter`, does no more than tell that the process ends.
///
/// # Errors
/// When the process has no memory left.
pub fn begin(
    connection_file: &Path,
    command: Vec<CString>,
    errors: RawFd,
    only_told: &[c_int],
    interpreter: usize,
) -> io::Result<()> {
    let path = black_box_of(connection_file);
    if black_box::writable().is_none() {
        black_box::create_nameless(&path)?;
        handler::set_reader(question(command, &path, Some("--text")), errors, errors);
    }
    guest::install(|signal, handler| {
        only_told.contains(&signal) && are_of_one_file(handler, interpreter)
    });
    Ok(())
}

fn are_of_one_file(one: usize, other: usize) -> bool {
    let file = |address| Some(Maps::at(address).ok()?.find(address)?.path()?.to_owned());
    file(one).is_some_and(|path| file(other) == Some(path))
}

/// Gives the signals back.
pub fn end() {
    guest::uninstall();
    end_cell();
}

/// A cell begins.
pub fn begin_cell(number: u32, code: &str) {
    if let Some(own) = black_box::writable() {
        note_cell(own, SLOT, number, code);
    }
}

/// It has ended.
pub fn end_cell() {
    if let Some(own) = black_box::writable() {
        own.end_cell(SLOT);
    }
}
