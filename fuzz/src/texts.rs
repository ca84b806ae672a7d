//! What comes as text: messages, the connection file, lines of magics, tables of Linux, stored reports.

use std::path::Path;

use diaphane_report::Report;
use diaphane_report::view::Bundle;
use diaphane_sight::proc::maps::Maps;
use diaphane_wire::{Connection, Session};

/// The magics whose lines have the most kinds of arguments.
const MAGICS: [&str; 6] = [
    "loaded_libs",
    "threads",
    "buffer_addr",
    "native_prof",
    "disasm",
    "rust",
];

/// Frames that are divided by empty lines, read by a session with a key and by one without.
pub fn messages(data: &[u8]) {
    let divided = data.split(|byte| *byte == b'\n');
    let frames: Vec<Vec<u8>> = divided.map(<[u8]>::to_vec).collect();
    for key in ["", "a key"] {
        let mut session = Session::new("session", key, "somebody");
        if let Ok(message) = session.decode(frames.clone()) {
            let _ = diaphane_wire::Request::parse(&message);
        }
    }
}

/// The file by which a client tells the kernel where to listen.
pub fn connection_file(data: &[u8]) {
    if let Ok(connection) = Connection::parse(Path::new("connection.json"), data) {
        let _ = connection.curve_keys();
    }
}

/// The line behind a magic's name.
pub fn magic_line(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    for name in MAGICS {
        let _ = diaphane_magics::may_ask_twice(name, &line);
    }
}

/// A table of regions.
pub fn maps(data: &[u8]) {
    if let Ok(maps) = Maps::parse(&String::from_utf8_lossy(data)) {
        for region in &maps.regions {
            let _ = (region.kind(), region.path(), maps.find(region.span.start));
        }
    }
}

/// A report that was stored, and is compared with itself and shown.
pub fn stored_report(data: &[u8]) {
    if let Ok(report) = Report::from_stored(&String::from_utf8_lossy(data)) {
        let _ = (
            Bundle::of(&report, 80),
            Bundle::for_notebook(&report, 80),
            report.to_stored(),
            report.diff(&report),
        );
    }
}
