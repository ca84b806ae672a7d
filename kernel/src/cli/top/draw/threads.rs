//! The threads: each with its owner, its CPU time and its state; the kernel's own in one line.

use diaphane_wire::monitor::ThreadOwner;
use ratatui::text::{Line, Span};

use super::Extent;
use super::theme::Theme;
use crate::cli::top::format::{bar, cut, library, pad, percent, width};
use crate::cli::top::model::Model;
use crate::cli::top::snapshot::{GilHolder, LiveSnapshot, LiveThread, ThreadGroup, sum};

/// The columns of the table.
#[derive(Clone, Copy)]
struct Columns {
    name: usize,
    owner: usize,
    bar: usize,
    state: usize,
}

impl Columns {
    fn of(columns: usize) -> Self {
        let bar = match columns {
            0..70 => 0,
            70..110 => 8,
            _ => 16,
        };
        let state = (columns * 3 / 10).clamp(8, 34);
        // A mark, the number behind the bar, and what parts the columns.
        let left = columns.saturating_sub(2 + bar + 5 + 2 + state + 1);
        let owner = (left * 2 / 5).min(34);
        Self {
            name: left.saturating_sub(owner + 1),
            owner,
            bar,
            state,
        }
    }
}

/// One row of the table.
struct Entry<'a> {
    name: String,
    first: &'a LiveThread,
    cpu: Option<f64>,
    /// How much it could use at most.
    most: f64,
    state: String,
    is_selected: bool,
}

/// The table with its head and, at the end, what is folded.
pub fn table(
    model: &Model,
    now: &LiveSnapshot,
    columns: usize,
    theme: Theme,
) -> Vec<Line<'static>> {
    let wide = Columns::of(columns);
    let mut lines = vec![head(wide, theme)];
    for group in now.groups() {
        lines.push(row(
            &Entry::of_group(&group, model.selected),
            wide,
            now,
            theme,
        ));
    }
    let own = now.own();
    if !own.is_empty() {
        let cpu = percent(sum(&own));
        let text = format!("  The kernel's own: {}, {cpu} % (t shows them)", own.len());
        lines.push(Line::styled(cut(&text, columns), theme.dim()));
    }
    lines
}

/// All threads, one by one.
pub fn page(model: &Model, now: &LiveSnapshot, extent: Extent, theme: Theme) -> Vec<Line<'static>> {
    let wide = Columns::of(extent.columns.saturating_sub(2));
    let mut lines = vec![head(wide, theme)];
    let rows = now.threads.iter().map(|thread| {
        let entry = Entry::of_thread(thread, model.selected);
        row(&entry, wide, now, theme)
    });
    lines.extend(rows);
    let at = now
        .threads
        .iter()
        .position(|thread| thread.tid == model.selected);
    window(lines, at.unwrap_or(0), extent.rows, theme)
}

/// Which of the groups is selected.
pub fn place(model: &Model, now: &LiveSnapshot) -> usize {
    let holds = |group: &ThreadGroup<'_>| group.threads.iter().any(|one| one.tid == model.selected);
    now.groups().iter().position(holds).unwrap_or(0)
}

/// The head of a table, and so many of its rows that the selected one is among them.
pub fn window(
    table: Vec<Line<'static>>,
    selected: usize,
    rows: usize,
    theme: Theme,
) -> Vec<Line<'static>> {
    if table.len() <= rows || rows < 3 {
        return table.into_iter().take(rows).collect();
    }
    let total = table.len() - 1;
    let shown = rows - 2;
    let begin = (selected + 1).saturating_sub(shown).min(total - shown);
    let mut table = table.into_iter();
    let mut lines: Vec<Line<'static>> = table.next().into_iter().collect();
    lines.extend(table.skip(begin).take(shown));
    lines.push(Line::styled(
        format!("  {} more", total - shown),
        theme.dim(),
    ));
    lines
}

fn head(wide: Columns, theme: Theme) -> Line<'static> {
    let text = format!(
        "  {} {} {}{:>5}  {}",
        pad("Thread", wide.name),
        pad("Owner", wide.owner),
        pad("", wide.bar),
        "CPU %",
        cut("State", wide.state)
    );
    Line::styled(text, theme.dim())
}

fn row(entry: &Entry<'_>, wide: Columns, now: &LiveSnapshot, theme: Theme) -> Line<'static> {
    let style = if entry.is_selected {
        theme.bold()
    } else {
        theme.plain()
    };
    let badge = if entry.first.has_gil { " GIL " } else { "" };
    let name = cut(&entry.name, wide.name.saturating_sub(width(badge) + 1));
    let gap = wide.name.saturating_sub(width(&name) + 1 + width(badge)) + 1;
    let is_main = now
        .points
        .back()
        .is_some_and(|point| point.holder == GilHolder::Main);
    let owner = match (entry.first.kind, &entry.first.owner) {
        (ThreadOwner::Main, _) => "main thread",
        (ThreadOwner::Kernel, _) => "the kernel",
        (_, Some(owner)) => library(owner),
        (_, None) => "",
    };
    let used = entry.cpu.unwrap_or(0.0) / entry.most;
    Line::from(vec![
        Span::styled(if entry.is_selected { "▸ " } else { "  " }, style),
        Span::styled(name, style),
        Span::raw(" "),
        Span::styled(badge, theme.badge(is_main)),
        Span::raw(" ".repeat(gap)),
        Span::styled(pad(owner, wide.owner), theme.dim()),
        Span::raw(" "),
        Span::styled(bar(used, wide.bar), theme.curve()),
        Span::raw(format!("{:>5}  ", percent(entry.cpu))),
        Span::raw(cut(&entry.state, wide.state)),
    ])
}

impl<'a> Entry<'a> {
    fn of_thread(thread: &'a LiveThread, selected: i32) -> Self {
        Self {
            name: thread.name.clone(),
            first: thread,
            cpu: thread.cpu,
            most: 100.0,
            state: state(thread),
            is_selected: thread.tid == selected,
        }
    }

    fn of_group(group: &ThreadGroup<'a>, selected: i32) -> Self {
        let first = group.threads[0];
        if group.threads.len() == 1 {
            return Self::of_thread(first, selected);
        }
        let running = group.threads.iter().filter(|one| one.state == 'R').count();
        Self {
            name: format!("{} × {}", first.name, group.threads.len()),
            first,
            cpu: sum(&group.threads),
            most: 100.0 * group.threads.len() as f64,
            state: match running {
                0 => state(first),
                1 => "1 runs".to_owned(),
                many => format!("{many} run"),
            },
            is_selected: group.threads.iter().any(|one| one.tid == selected),
        }
    }
}

/// What a thread does, in a few words.
pub fn state(thread: &LiveThread) -> String {
    let word = match thread.state {
        'R' => "runs",
        'S' => "sleeps",
        'D' => "waits for a device",
        'T' => "stopped",
        't' => "traced",
        'Z' => "has ended",
        'I' => "idle",
        other => return other.to_string(),
    };
    match thread.wait.as_deref() {
        Some("GIL") => "waits for the GIL".to_owned(),
        Some(call) => format!("{word} in {call}"),
        None => word.to_owned(),
    }
}
