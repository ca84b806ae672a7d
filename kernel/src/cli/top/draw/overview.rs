//! The first screen: who has the GIL, what the cell does, CPU time and memory, pools, threads.

use diaphane_wire::monitor::PoolSize;
use ratatui::text::{Line, Span};

use super::theme::Theme;
use super::{ALL, Extent, spread, stack, threads};
use crate::cli::top::format::{chart, cut, duration, library, percent, size, width, wrap};
use crate::cli::top::model::Model;
use crate::cli::top::snapshot::{GilHolder, LiveSnapshot};

/// From how many rows on there is room for lines that only part things.
const AIRY: usize = 20;
/// From how many rows on the curves are higher.
const TALL: usize = 34;
/// How many rows of a stack are wanted before threads get more.
const FRAMES: usize = 6;

pub fn lines(
    model: &Model,
    now: &LiveSnapshot,
    extent: Extent,
    theme: Theme,
) -> Vec<Line<'static>> {
    let columns = extent.columns.saturating_sub(2);
    let gap = |lines: &mut Vec<Line<'static>>| {
        if extent.rows >= AIRY {
            lines.push(Line::default());
        }
    };
    let mut lines = vec![gil(now, columns, theme)];
    gap(&mut lines);
    let usage = usage(now, columns, extent.rows, theme);
    let pools = pools(now, columns, theme);
    let table = threads::table(model, now, columns, theme);
    let head = running(model, now, columns, theme);
    let gaps = if extent.rows >= AIRY { 3 } else { 1 };
    let fixed = lines.len() + head.len() + usage.len() + pools.len() + gaps;
    let left = extent.rows.saturating_sub(fixed);
    // The stack is short where threads need the room, and the other way round.
    let wanted = now.stack.len();
    let least = wanted.min(FRAMES.min(left / 2));
    let frames = wanted.min(left.saturating_sub(table.len())).max(least);
    lines.extend(head);
    lines.extend(stack::rows(&now.stack, columns, frames, theme));
    gap(&mut lines);
    lines.extend(usage);
    lines.extend(pools);
    gap(&mut lines);
    let rows = extent.rows.saturating_sub(lines.len());
    lines.extend(threads::window(
        table,
        threads::place(model, now),
        rows,
        theme,
    ));
    lines
}

/// Who has the GIL, and who had it at the last looks.
fn gil(now: &LiveSnapshot, columns: usize, theme: Theme) -> Line<'static> {
    let holder = match (now.moment.gil, now.holder()) {
        (None, _) => Span::styled("free", theme.good()),
        (Some(tid), holder) => {
            let name = holder.map_or_else(|| tid.to_string(), |holder| holder.name.clone());
            let is_main = now
                .points
                .back()
                .is_some_and(|one| one.holder == GilHolder::Main);
            Span::styled(
                format!(" {} ", cut(&name, columns / 3)),
                theme.badge(is_main),
            )
        }
    };
    let held = now
        .points
        .iter()
        .filter(|point| point.holder != GilHolder::Nobody)
        .count();
    let past = format!("  held at {held} of the last {} looks", now.points.len());
    let past = if columns < 60 { String::new() } else { past };
    let mut line = Line::from(vec![Span::styled("GIL  ", theme.bold()), holder]);
    let room = columns.saturating_sub(line.width() + width(&past) + 2);
    let shown = now.points.len().min(room).min(60);
    line.push_span(Span::raw(" ".repeat(room - shown + 2)));
    for point in now.points.iter().skip(now.points.len() - shown) {
        line.push_span(match point.holder {
            GilHolder::Nobody => Span::styled("·", theme.dim()),
            holder => Span::styled("▆", theme.holder(holder == GilHolder::Main)),
        });
    }
    line.push_span(Span::styled(past, theme.dim()));
    line
}

/// The cell that runs, or the main thread, and what it does in a sentence.
fn running(model: &Model, now: &LiveSnapshot, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let title = match (now.cell(), model.is_kernel) {
        (Some((cell, seconds)), _) => {
            let name = cell
                .count
                .map_or_else(|| "A cell".to_owned(), |count| format!("In[{count}]"));
            spread(
                Span::styled(format!("{name} runs"), theme.bold()),
                Span::styled(format!("for {}", duration(seconds)), theme.bold()),
                columns,
            )
        }
        (None, true) => Line::styled("No cell runs", theme.dim()),
        (None, false) => Line::styled("Main thread", theme.bold()),
    };
    let mut lines = vec![title];
    let is_said = now.cell().is_some() || !model.is_kernel;
    let why = now.why.iter().filter(|_| is_said);
    lines.extend(
        why.flat_map(|why| wrap(why, columns))
            .take(3)
            .map(Line::raw),
    );
    lines
}

/// CPU time and memory, now and at the last looks.
fn usage(now: &LiveSnapshot, columns: usize, rows: usize, theme: Theme) -> Vec<Line<'static>> {
    let half = columns.saturating_sub(3) / 2;
    let height = match rows {
        // Text has no past.
        ALL => 0,
        TALL.. => 3,
        _ => 1,
    };
    let cpus = now.moment.usable_cpus.unwrap_or(1);
    let of = format!(" of {} %", 100 * cpus);
    let cpu: Vec<Option<f64>> = now.points.iter().map(|point| point.cpu).collect();
    let memory: Vec<Option<f64>> = now
        .points
        .iter()
        .map(|point| point.rss.map(|rss| rss as f64))
        .collect();
    let known = || memory.iter().copied().flatten();
    let most = known().fold(0.0, f64::max);
    let least = known().fold(most, f64::min);
    // A change of less than a twentieth is drawn as small as it is.
    let span = (most - least).max(most / 20.0);
    let middle = f64::midpoint(most, least);
    let bounds = (middle - span * 0.65, middle + span * 0.65);
    let pair = |left: Vec<Span<'static>>, right: Vec<Span<'static>>| {
        let mut line = Line::from(left);
        let missing = (half + 3).saturating_sub(line.width());
        line.push_span(Span::raw(" ".repeat(missing)));
        line.spans.extend(right);
        line
    };
    let mut lines = vec![pair(
        vec![
            Span::styled("CPU  ", theme.bold()),
            Span::raw(format!("{} %", percent(now.cpu))),
            Span::styled(of, theme.dim()),
        ],
        vec![
            Span::styled("Memory  ", theme.bold()),
            Span::raw(now.moment.rss.map_or_else(|| "–".to_owned(), size)),
        ],
    )];
    let cpu = chart(&cpu, (0.0, 100.0 * cpus as f64), half, height);
    let memory = chart(&memory, bounds, half, height);
    lines.extend(cpu.into_iter().zip(memory).map(|(cpu, memory)| {
        let curve = |text| vec![Span::styled(text, theme.curve())];
        pair(curve(cpu), curve(memory))
    }));
    lines
}

fn pools(now: &LiveSnapshot, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let cpus = now.moment.usable_cpus.unwrap_or(usize::MAX);
    let pool = |pool: &PoolSize| {
        let threads = if pool.threads == 1 {
            "thread"
        } else {
            "threads"
        };
        let file = pool.library.as_deref().map(library).unwrap_or_default();
        let is_many = pool.threads > cpus;
        let rest = match is_many {
            true => format!(
                " for {cpus} CPU{}: they take the CPUs from each other",
                if cpus == 1 { "" } else { "s" }
            ),
            false => String::new(),
        };
        let count = format!("{} {threads}{rest}", pool.threads);
        let count = cut(&count, columns.saturating_sub(width(&pool.name) + 7));
        let room = columns.saturating_sub(width(&pool.name) + width(&count) + 9);
        Line::from(vec![
            Span::styled("Pool  ", theme.bold()),
            Span::raw(format!("{} ", pool.name)),
            Span::styled(
                count,
                if is_many {
                    theme.warning()
                } else {
                    theme.plain()
                },
            ),
            Span::styled(
                format!("  {}", if width(file) > room { "" } else { file }),
                theme.dim(),
            ),
        ])
    };
    now.pools.iter().map(pool).collect()
}
