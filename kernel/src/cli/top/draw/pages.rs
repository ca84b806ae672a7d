//! What fills the screen on demand: the stack of the selected thread, the libraries, the keys.

use ratatui::text::{Line, Span};

use super::theme::Theme;
use super::{Extent, stack as calls, threads};
use crate::cli::top::format::{cut, library, pad, size};
use crate::cli::top::model::Model;

/// The lines of a page from where the user has scrolled to.
fn scrolled(model: &Model, lines: Vec<Line<'static>>, rows: usize) -> Vec<Line<'static>> {
    let most = lines.len().saturating_sub(rows);
    lines
        .into_iter()
        .skip(model.scrolled.min(most))
        .take(rows)
        .collect()
}

pub fn stack(model: &Model, extent: Extent, theme: Theme) -> Vec<Line<'static>> {
    let columns = extent.columns.saturating_sub(2);
    let name = model.thread().map_or("thread", |thread| &thread.name);
    let state = model
        .thread()
        .map(threads::state)
        .unwrap_or_else(|| "has ended".to_owned());
    let title = format!(
        "Stack of {name} (TID {}), which {state}; innermost first",
        model.selected
    );
    let mut lines = vec![
        Line::styled(cut(&title, columns), theme.bold()),
        Line::default(),
    ];
    let rows = extent.rows.saturating_sub(lines.len());
    let body = match model.selected_stack() {
        None => vec![Line::styled("Asking …", theme.dim())],
        Some(Err(why)) => vec![Line::styled(cut(why, columns), theme.warning())],
        Some(Ok([])) => vec![Line::styled("Nothing is known of it.", theme.dim())],
        Some(Ok(found)) => found
            .iter()
            .map(|call| calls::row(call, columns, theme))
            .collect(),
    };
    lines.extend(scrolled(model, body, rows));
    lines
}

pub fn libraries(model: &Model, extent: Extent, theme: Theme) -> Vec<Line<'static>> {
    let columns = extent.columns.saturating_sub(2);
    let name = columns.saturating_sub(10 + 6) * 3 / 5;
    let package = columns.saturating_sub(name + 10 + 6 + 2);
    let head = format!(
        "{} {} {:>9} {:>5}",
        pad("Library", name),
        pad("Package", package),
        "Size",
        "Cell"
    );
    let found = match &model.libraries {
        None => return vec![Line::styled("Asking …", theme.dim())],
        Some(Err(why)) => return vec![Line::styled(cut(why, columns), theme.warning())],
        Some(Ok(found)) => found,
    };
    let title = format!("{} libraries", found.len());
    let mut lines = vec![
        Line::styled(title, theme.bold()),
        Line::styled(head, theme.dim()),
    ];
    let row = |row: &crate::cli::top::source::LibraryRow| {
        let folder = row
            .path
            .as_deref()
            .and_then(|path| Some(path.rsplit_once('/')?.0));
        let whose = row.package.as_deref().or(folder).unwrap_or_default();
        let cell = row
            .first_cell
            .map_or_else(String::new, |cell| cell.to_string());
        Line::from(vec![
            Span::raw(pad(library(&row.name), name)),
            Span::raw(" "),
            Span::styled(pad(whose, package), theme.dim()),
            Span::raw(format!(" {:>9} {cell:>5}", size(row.size))),
        ])
    };
    let rows = extent.rows.saturating_sub(lines.len());
    let all = found.iter().map(row).collect();
    lines.extend(scrolled(model, all, rows));
    lines
}

pub fn help(model: &Model, extent: Extent, theme: Theme) -> Vec<Line<'static>> {
    const KEYS: [(&str, &str); 10] = [
        ("↑ ↓ j k", "select a thread, or scroll a page"),
        ("s, Enter", "the stack of the selected thread"),
        ("t", "all threads, the kernel's own too"),
        ("l", "the libraries that are loaded"),
        (
            "i",
            "interrupt the cell; of a process that is no kernel, send SIGINT",
        ),
        ("p, Space", "pause: nothing is asked"),
        ("+ -", "look less often, or more often"),
        ("Esc", "back; from the first screen, quit"),
        ("Ctrl-Z", "stop; `fg` goes on"),
        ("q, Ctrl-C", "quit"),
    ];
    let mut lines = vec![Line::styled("Keys", theme.bold())];
    lines.extend(KEYS.map(|(key, what)| {
        Line::from(vec![
            Span::styled(pad(key, 11), theme.bold()),
            Span::raw(what),
        ])
    }));
    lines.push(Line::default());
    lines.push(Line::styled("What is shown", theme.bold()));
    lines.push(Line::raw(
        "The GIL is held by the thread that runs Python, or native code that",
    ));
    lines.push(Line::raw("does not give it away; all others wait for it."));
    lines.push(Line::from(vec![
        Span::styled("▌", theme.native()),
        Span::raw(" a native function   "),
        Span::styled("│", theme.python()),
        Span::raw(" a function of Python"),
    ]));
    lines.push(Line::raw("CPU % is of one CPU, since the look before."));
    if !model.is_kernel {
        lines.push(Line::raw(
            "All of it is read from outside; a thread that runs is stopped for the",
        ));
        lines.push(Line::raw(
            "moment in which its stack is copied, unless --no-stop was given.",
        ));
    }
    scrolled(model, lines, extent.rows)
}
