//! The view as text: a line above, a line of keys below, and what is shown between them.

mod overview;
mod pages;
mod stack;
#[cfg(test)]
mod tests;
pub mod theme;
mod threads;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::format::{cut, width};
use super::model::{Model, Screenful, Standing};
use theme::Theme;

/// More lines are never needed for all of it.
const ALL: usize = 400;

/// The size of the part between the two lines.
#[derive(Clone, Copy)]
pub struct Extent {
    pub columns: usize,
    pub rows: usize,
}

/// Draws the model on a terminal.
pub fn frame(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    draw(model, area, frame.buffer_mut(), Theme::of_environment());
}

fn draw(model: &Model, area: Rect, buffer: &mut Buffer, theme: Theme) {
    let extent = Extent {
        columns: usize::from(area.width),
        rows: usize::from(area.height.saturating_sub(2)),
    };
    let head = head(model, extent.columns, theme);
    let body = body(model, extent, theme);
    let foot = foot(model, extent.columns, theme);
    put(&head, &body, &foot, area, buffer);
}

/// Draws a list with a title and its keys.
pub fn list(title: &str, body: &[Line<'_>], pressed: &[(&str, &str)], frame: &mut Frame<'_>) {
    let area = frame.area();
    let theme = Theme::of_environment();
    let head = Line::styled(format!(" {title}"), theme.bold());
    let body: Vec<Line<'_>> = body.iter().map(indented).collect();
    let foot = keys(pressed, usize::from(area.width), theme);
    put(&head, &body, &foot, area, frame.buffer_mut());
}

fn indented<'a>(line: &Line<'a>) -> Line<'a> {
    let mut line = line.clone();
    line.spans.insert(0, Span::raw(" "));
    line
}

fn put(head: &Line<'_>, body: &[Line<'_>], foot: &Line<'_>, area: Rect, buffer: &mut Buffer) {
    let between = usize::from(area.height.saturating_sub(2));
    let rows = std::iter::once(head).chain(body.iter().take(between));
    for (row, line) in area.rows().zip(rows) {
        buffer.set_line(row.x, row.y, line, row.width);
    }
    if let Some(row) = area.rows().skip(1).last() {
        buffer.set_line(row.x, row.y, foot, row.width);
    }
}

/// The whole of it as text.
pub fn plain(model: &Model, columns: u16) -> String {
    let theme = Theme::of_environment();
    let extent = Extent {
        columns: usize::from(columns),
        rows: ALL,
    };
    let mut lines = vec![head(model, extent.columns, theme)];
    lines.extend(body(model, extent, theme));
    let text = lines
        .iter()
        .map(|line| line.to_string().trim_end().to_owned());
    let text: Vec<String> = text.collect();
    text.join("\n").trim_end().to_owned()
}

/// What is looked at, and how it stands with it.
fn head(model: &Model, columns: usize, theme: Theme) -> Line<'static> {
    let (state, style) = match (&model.standing, model.is_paused) {
        (Standing::Gone(_), _) => ("ended".to_owned(), theme.warning()),
        (Standing::Silent(_), _) => ("does not answer".to_owned(), theme.warning()),
        (_, true) => ("paused".to_owned(), theme.warning()),
        (Standing::Refused(_), _) => ("no time to answer".to_owned(), theme.warning()),
        (Standing::Waiting, _) => ("waiting".to_owned(), theme.dim()),
        (Standing::Live, _) => (
            format!("every {} s", model.interval.as_secs_f64()),
            theme.dim(),
        ),
    };
    let title = cut(&model.title, columns.saturating_sub(width(&state) + 4));
    spread(
        Span::styled(format!(" {title}"), theme.bold()),
        Span::styled(format!("{state} "), style),
        columns,
    )
}

/// One text at the left, and one at the right.
fn spread(left: Span<'static>, right: Span<'static>, columns: usize) -> Line<'static> {
    let taken = left.width() + right.width();
    let gap = " ".repeat(columns.saturating_sub(taken).max(1));
    Line::from(vec![left, Span::raw(gap), right])
}

fn body(model: &Model, extent: Extent, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = notice(model, extent.columns, theme);
    let extent = Extent {
        rows: extent.rows.saturating_sub(lines.len()),
        ..extent
    };
    let shown = match (model.shown, &model.now) {
        (Screenful::Help, _) => pages::help(model, extent, theme),
        (_, None) => Vec::new(),
        (Screenful::Overview, Some(now)) => overview::lines(model, now, extent, theme),
        (Screenful::Threads, Some(now)) => threads::page(model, now, extent, theme),
        (Screenful::Stack, Some(_)) => pages::stack(model, extent, theme),
        (Screenful::Libraries, Some(_)) => pages::libraries(model, extent, theme),
    };
    lines.extend(shown.iter().map(indented));
    lines
}

/// What keeps the view from showing what is so now.
fn notice(model: &Model, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let text = match &model.standing {
        Standing::Live => return Vec::new(),
        Standing::Waiting => "Waiting for the kernel …".to_owned(),
        Standing::Silent(true) => {
            "The kernel does not answer. This is seen from outside.".to_owned()
        }
        Standing::Silent(false) if model.now.is_some() => {
            "The kernel does not answer. What stands here is from before.".to_owned()
        }
        Standing::Silent(false) => "The kernel does not answer.".to_owned(),
        Standing::Refused(why) => format!("The kernel has no time to answer: {why}"),
        Standing::Gone(how) => match model.now.is_some() {
            true => format!("{how} What stands here is from before."),
            false => how.clone(),
        },
    };
    let style = match model.standing {
        Standing::Waiting => theme.dim(),
        _ => theme.warning(),
    };
    vec![Line::styled(
        format!(" {}", cut(&text, columns.saturating_sub(2))),
        style,
    )]
}

/// A question to the user, or what is said once, or the keys.
fn foot(model: &Model, columns: usize, theme: Theme) -> Line<'static> {
    if let Some(prompt) = &model.prompt {
        return Line::styled(format!(" {prompt} "), theme.badge(true));
    }
    if let Some(notice) = &model.notice {
        return Line::styled(
            format!(" {}", cut(notice, columns.saturating_sub(2))),
            theme.bold(),
        );
    }
    let pause = if model.is_paused { "go on" } else { "pause" };
    let pages = ("↑ ↓", "scroll");
    let select = ("↑ ↓", "select");
    let common = [("?", "help"), ("q", "quit")];
    let first = match model.shown {
        Screenful::Overview => vec![
            ("s", "stack"),
            ("t", "threads"),
            ("l", "libraries"),
            ("i", "interrupt"),
            ("p", pause),
            ("+ -", "interval"),
        ],
        Screenful::Threads => vec![
            ("Esc", "back"),
            select,
            ("s", "stack"),
            ("i", "interrupt"),
            ("p", pause),
        ],
        Screenful::Stack => vec![("Esc", "back"), pages, ("i", "interrupt"), ("p", pause)],
        Screenful::Libraries => vec![("Esc", "back"), pages],
        Screenful::Help => vec![("Esc", "back")],
    };
    keys(&[first, common.to_vec()].concat(), columns, theme)
}

/// The keys with their words; where not all find room, those before the last two are left out.
fn keys(all: &[(&str, &str)], columns: usize, theme: Theme) -> Line<'static> {
    let wide = |(key, word): &(&str, &str)| width(key) + 1 + width(word) + 2;
    let mut shown = all.to_vec();
    while shown.len() > 2 && shown.iter().map(wide).sum::<usize>() > columns + 1 {
        shown.remove(shown.len() - 3);
    }
    let mut line = Line::raw(" ");
    for (key, word) in shown {
        line.push_span(Span::styled(key.to_owned(), theme.bold()));
        line.push_span(Span::styled(format!(" {word}  "), Style::new()));
    }
    line
}
