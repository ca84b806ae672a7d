//! The functions of a stack, the innermost first: a bar for native ones, a line for Python's.

use diaphane_wire::monitor::StackCall;
use ratatui::text::{Line, Span};

use super::theme::Theme;
use crate::cli::top::format::{cut, library, pad, width};

/// So many rows of it, with the number of those that are left out.
pub fn rows(calls: &[StackCall], columns: usize, rows: usize, theme: Theme) -> Vec<Line<'static>> {
    let shown = match calls.len() > rows {
        true => rows.saturating_sub(1),
        false => rows,
    };
    let mut lines: Vec<Line<'static>> = calls
        .iter()
        .take(shown)
        .map(|call| row(call, columns, theme))
        .collect();
    let left = calls.len().saturating_sub(shown);
    if left > 0 && rows > 0 {
        lines.push(Line::styled(format!("  {left} more: s"), theme.dim()));
    }
    lines
}

pub fn row(call: &StackCall, columns: usize, theme: Theme) -> Line<'static> {
    let is_native = call.kind == "native";
    let (edge, style) = match is_native {
        true => ("▌ ", theme.native()),
        false => ("│ ", theme.python()),
    };
    let place = match is_native {
        true => call.library.as_deref().map(library),
        false => call.place.as_deref(),
    };
    let left = columns.saturating_sub(3);
    let place = cut(place.unwrap_or_default(), left / 2);
    let name = call.function.as_deref().unwrap_or("unknown function");
    let name = pad(name, left.saturating_sub(width(&place) + 1));
    Line::from(vec![
        Span::styled(edge, style),
        Span::raw(name),
        Span::raw(" "),
        Span::styled(place, theme.dim()),
    ])
}
