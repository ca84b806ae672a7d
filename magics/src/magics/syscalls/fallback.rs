//! `%%syscalls` where the system does not dispatch system calls: what Python announces, and what is not seen so.

use std::collections::HashMap;

use diaphane_trace::syscalls::SyscallsRefused;
use serde::Serialize;
use serde_json::json;

use super::Syscalls;
use super::columns::GROUPED;
use crate::error::Error;
use crate::magic::{Magic, Ran, RecordedCode, Recording, User};
use crate::session::audit_events;
use crate::session::import_audit;
use diaphane_report::{Report, fields, rows};

#[derive(Serialize)]
struct CountRow {
    call: String,
    path: Option<String>,
    calls: usize,
    errors: Option<usize>,
    total_ns: Option<u64>,
    mean_ns: Option<u64>,
    max_ns: Option<u64>,
    library: Option<String>,
    place: Option<String>,
}

/// Takes note of what Python announces.
struct Listening(SyscallsRefused);

/// Begins to.
pub(super) fn begin(refused: SyscallsRefused, user: User<'_, '_>) -> Box<dyn Recording> {
    import_audit::listen(user.py);
    audit_events::begin();
    Box::new(Listening(refused))
}

impl Recording for Listening {
    fn end(
        self: Box<Self>,
        _code: &RecordedCode,
        _user: User<'_, '_>,
        _ran: Ran,
    ) -> Result<Report, Error> {
        report(audit_events::end(), self.0)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _unread = audit_events::end();
    }
}

fn report(events: Vec<audit_events::Announced>, refused: SyscallsRefused) -> Result<Report, Error> {
    let count = events.len();
    let mut groups: HashMap<(String, Option<String>), usize> = HashMap::new();
    for event in events {
        *groups.entry((event.event, event.what)).or_default() += 1;
    }
    let mut all: Vec<CountRow> = groups
        .into_iter()
        .map(|((call, path), calls)| CountRow {
            call,
            path,
            calls,
            errors: None,
            total_ns: None,
            mean_ns: None,
            max_ns: None,
            library: None,
            place: None,
        })
        .collect();
    all.sort_by(|left, right| {
        (right.calls, &left.call, &left.path).cmp(&(left.calls, &right.call, &right.path))
    });
    let mut limits = vec![format!(
        "{refused}: only what Python announced by its audit events is shown (files, processes, sockets); calls of native \
         code, results and times are not seen"
    )];
    if !import_audit::is_listening() {
        limits.push("and this Python lets nobody hear its audit events".into());
    }
    Ok(Report {
        name: Syscalls::NAME,
        columns: GROUPED,
        facts: fields(json!({"source": "audit events", "calls": count}))?,
        summary: vec![match count {
            1 => "Python announced 1 operation".to_owned(),
            count => format!("Python announced {count} operations"),
        }],
        rows: rows(all)?,
        limits,
        ..Report::default()
    })
}
