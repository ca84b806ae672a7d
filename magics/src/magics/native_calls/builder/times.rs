//! Whose the time between two events is.

use super::{Builder, Code, NodeKind};

/// An event, and what was open behind it.
pub(super) struct Then {
    pub time: u64,
    /// The node that the time since then belongs to.
    node: usize,
    /// Where that stands among what is open.
    depth: usize,
}

impl<C: Code> Builder<'_, C> {
    /// Gives the time since the event before to its owner, now that it is known what has ended meanwhile.
    pub(super) fn pass(&mut self, now: u64) {
        if let Some(then) = self.then.take() {
            let node = self.witness(&then);
            self.tree.nodes[node].own += now.saturating_sub(then.time);
        }
        self.then = self.owner(now);
    }

    /// Of a caller that has no entry of its own it is not known when it ended: it may have been right behind its last
    /// call. What passed since then belongs to the function above, which was there all the time.
    fn witness(&self, then: &Then) -> usize {
        let lasts = self.open.get(then.depth);
        let mut node = then.node;
        if lasts.is_some_and(|open| open.node == node) {
            return node;
        }
        while let (NodeKind::Caller(_), Some(parent)) =
            (self.tree.nodes[node].kind, self.tree.nodes[node].parent)
        {
            node = parent;
        }
        node
    }

    /// What a serving function takes is its caller's, since it has long returned when the next event comes.
    fn owner(&mut self, time: u64) -> Option<Then> {
        let last = *self.open.last()?;
        let depth = self.open.len() - 1;
        let serves = matches!(last.kind, NodeKind::Native(_))
            && last
                .library
                .is_some_and(|library| self.code.serves(library));
        let (node, depth) = match self.tree.nodes[last.node].parent {
            Some(parent) if serves => (parent, depth.saturating_sub(1)),
            _ => (last.node, depth),
        };
        Some(Then { time, node, depth })
    }
}
