//! The list of kernels, where several run and none was named.

use std::time::Duration;

use anyhow::Result;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use ratatui::text::Line;

use super::draw::{self, theme::Theme};
use super::session::{Incoming, Session};
use super::target::{KernelTarget, Target};

/// What the user chose, or nothing.
pub fn choose(mut kernels: Vec<KernelTarget>, session: &mut Session) -> Result<Option<Target>> {
    let mut at: usize = 0;
    loop {
        session.screen.draw(|frame| {
            let keys = [("↑ ↓", "select"), ("Enter", "look at it"), ("q", "quit")];
            draw::list("diaphane top", &lines(&kernels, at), &keys, frame);
        })?;
        let Some(incoming) = session.next(Duration::from_secs(60))? else {
            continue;
        };
        let Incoming::Key(key) = incoming else {
            continue;
        };
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return Ok(None),
            KeyCode::Char('q') | KeyCode::Esc => return Ok(None),
            KeyCode::Up | KeyCode::Char('k') => at = at.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => at = (at + 1).min(kernels.len() - 1),
            KeyCode::Enter => return Ok(Some(Target::Kernel(kernels.swap_remove(at)))),
            _ => {}
        }
    }
}

fn lines(kernels: &[KernelTarget], at: usize) -> Vec<Line<'static>> {
    let theme = Theme::of_environment();
    let head = format!("{} kernels run here. Which one?", kernels.len());
    let mut lines = vec![Line::raw(head), Line::default()];
    for (index, kernel) in kernels.iter().enumerate() {
        let (mark, style) = match index == at {
            true => ("▸ ", theme.bold()),
            false => ("  ", theme.plain()),
        };
        lines.push(Line::styled(format!("{mark}{}", kernel.name), style));
        lines.push(Line::styled(format!("    {}", kernel.about), theme.dim()));
    }
    lines
}
