//! What Python itself reports: its functions, and the callables that they call, begin and end.

use diaphane_trace::event::Event;

use super::{Builder, OpenCall};
use crate::magics::native_calls::tree::{Code, FunctionRole, NodeKind};

impl<C: Code> Builder<'_, C> {
    pub(super) fn python_enters(&mut self, event: &Event) {
        let role = self.code.role(event.stack);
        if self.hidden > 0 {
            self.hidden = self.hidden.saturating_add(1);
            return;
        }
        if self.open.is_empty() && self.only_in_cell && role != FunctionRole::Cell {
            return;
        }
        self.pop_returned(event.back);
        let kind = match role {
            FunctionRole::Cell => NodeKind::Cell,
            FunctionRole::Display => NodeKind::Display,
            FunctionRole::Function | FunctionRole::Ours => NodeKind::Python(event.stack),
        };
        match role {
            FunctionRole::Ours => self.pass_on(kind, event),
            _ => self.push(kind, event),
        }
        self.hidden = usize::from(role == FunctionRole::Display);
    }

    pub(super) fn callable_enters(&mut self, event: &Event) {
        if self.code.is_end(event.stack) {
            // What stands behind it is no part of the block.
            self.hidden = usize::MAX;
            return;
        }
        if self.open.is_empty() && self.only_in_cell {
            return;
        }
        self.pop_returned(event.back);
        if matches!(self.open.last(), Some(open) if matches!(open.kind, NodeKind::Place(_))) {
            self.open.pop();
        }
        self.push(NodeKind::Callable(event.stack), event);
    }

    /// Closes what Python says has ended, with all that is open inside.
    pub(super) fn leaves(&mut self, is_meant: impl Fn(NodeKind) -> bool) {
        if self.hidden == usize::MAX {
            return;
        }
        if self.hidden > 1 {
            self.hidden -= 1;
            return;
        }
        self.hidden = 0;
        // An event without its beginning belongs to something that began before.
        let meant = self.open.iter().rposition(|open| is_meant(open.kind));
        if let Some(meant) = meant {
            self.open.truncate(meant);
        }
    }

    /// A function without a node of its own: what it calls stands below its caller.
    fn pass_on(&mut self, kind: NodeKind, event: &Event) {
        let around = self.open.last().map(|open| open.node);
        self.open.extend(around.map(|node| OpenCall {
            node,
            kind,
            stack: event.back,
            back: event.back,
            library: None,
        }));
    }
}
