//! Makes a tree of a thread's log: who called whom, how often, for how long.
//!
//! Python's own events say when they end. A native function says only that it begins, so its end is found afterwards:
//! when another one stands at its place on the stack or above it, or returns to somebody who is not below it. Its parent
//! is the nearest open function that the return address lies in. Where that function was not hooked, it is shown as a
//! caller, without a count.

mod python;
mod times;

use diaphane_trace::event::{Event, Log, kind};
use diaphane_trace::recorder::functions;
use rustc_hash::FxHashMap;

use super::events::calls;
use super::tree::{CallNode, Code, NodeKind, Tree};

/// A call that has not ended, as far as is known.
#[derive(Debug, Clone, Copy)]
struct OpenCall {
    node: usize,
    kind: NodeKind,
    /// Where its return address lies; of Python's, where the callback stood.
    stack: usize,
    back: usize,
    library: Option<usize>,
}

/// Builds the tree of a log. Of the thread that runs the cell, only what happens in the cell counts.
pub(super) fn build(log: &Log, only_in_cell: bool, code: &mut impl Code) -> Tree {
    let mut builder = Builder {
        code,
        tree: Tree::default(),
        addresses: functions::addresses(),
        known: FxHashMap::default(),
        open: Vec::new(),
        place: None,
        then: None,
        hidden: 0,
        only_in_cell,
    };
    for (index, event) in calls(log) {
        builder.event(event, index);
    }
    builder.finish()
}

struct Builder<'a, C> {
    code: &'a mut C,
    tree: Tree,
    /// Of functions, by their numbers.
    addresses: Vec<usize>,
    known: FxHashMap<(Option<usize>, NodeKind), usize>,
    open: Vec<OpenCall>,
    /// Where the interpreter is: the instruction, and the frame of its function.
    place: Option<(usize, usize)>,
    /// The event before.
    then: Option<times::Then>,
    /// How deep it is inside something that is not shown.
    hidden: usize,
    only_in_cell: bool,
}

impl<C: Code> Builder<'_, C> {
    fn event(&mut self, event: &Event, index: usize) {
        if event.id == kind::PLACE {
            self.place = Some((event.stack, event.back));
            return;
        }
        self.tree.events += 1;
        match event.id {
            kind::PYTHON_ENTERS => self.python_enters(event),
            kind::PYTHON_LEAVES => {
                self.leaves(|kind| {
                    matches!(
                        kind,
                        NodeKind::Cell | NodeKind::Display | NodeKind::Python(_)
                    )
                });
                self.place = None;
            }
            kind::C_ENTERS if self.hidden == 0 => self.callable_enters(event),
            kind::C_LEAVES if self.hidden == 0 => {
                let number = event.stack;
                self.leaves(|kind| kind == NodeKind::Callable(number));
            }
            id if id < kind::FIRST && self.hidden == 0 => self.native(event, index),
            _ => {}
        }
        self.pass(event.time);
    }

    /// Closes native functions whose frames cannot be there any more, when Python's own loop is at work again.
    fn pop_returned(&mut self, stack: usize) {
        self.leave_place();
        let natives = self.natives();
        let report = self.open[natives..]
            .iter()
            .position(|open| open.kind == NodeKind::Report);
        if let Some(report) = report {
            self.open.truncate(natives + report);
        }
        let has_returned = |last: &OpenCall| match last.kind {
            NodeKind::Native(_) | NodeKind::Caller(_) => last.stack <= stack,
            _ => false,
        };
        while self.open.last().is_some_and(has_returned) {
            self.open.pop();
        }
    }

    fn native(&mut self, event: &Event, index: usize) {
        if self.open.is_empty() && self.only_in_cell {
            return;
        }
        let Some(&entered) = self.addresses.get(event.id as usize) else {
            return;
        };
        let caller = self.code.function(event.back);
        if caller.is_some_and(|(_, library)| self.code.is_ours(library)) {
            return;
        }
        let is_tail = self.find_parent(event, entered, caller);
        if self.is_reporting() {
            return;
        }
        let by_report = caller.is_some_and(|(start, _)| self.code.reports(start));
        if by_report || self.code.reports(entered) {
            self.report_begins(event);
            return;
        }
        if !is_tail {
            self.insert_caller(event, caller);
        }
        let library = self.code.function(entered).map(|(_, library)| library);
        self.push(NodeKind::Native(entered), event);
        if let Some(open) = self.open.last_mut() {
            open.library = library;
            let node = &mut self.tree.nodes[open.node];
            node.tail += u64::from(is_tail);
            if event.extra > 0 {
                node.told.push(index);
            }
        }
    }

    /// Whether what happens is a part of the interpreter's reports.
    fn is_reporting(&self) -> bool {
        self.open
            .last()
            .is_some_and(|last| last.kind == NodeKind::Report)
    }

    fn report_begins(&mut self, event: &Event) {
        // Time goes to the node that it interrupts.
        if let Some(last) = self.open.last().copied() {
            self.open.push(OpenCall {
                kind: NodeKind::Report,
                stack: event.stack,
                back: event.back,
                library: None,
                ..last
            });
        }
    }

    /// Closes what has ended, so that the innermost open call is the parent; says whether that jumped here.
    fn find_parent(
        &mut self,
        event: &Event,
        entered: usize,
        caller: Option<(usize, usize)>,
    ) -> bool {
        self.leave_place();
        let is_called_again = self.is_called_again(event, entered);
        while let Some(last) = self.open.last().copied()
            && matches!(
                last.kind,
                NodeKind::Native(_) | NodeKind::Caller(_) | NodeKind::Report
            )
            && last.stack <= event.stack
        {
            if let NodeKind::Native(function) = last.kind
                && last.stack == event.stack
                && last.back == event.back
                && !is_called_again
                && self.code.jumps_to(function, entered)
            {
                return true;
            }
            self.open.pop();
        }
        let Some((start, library)) = caller else {
            return false;
        };
        let natives = self.natives();
        let found = self.open[natives..]
            .iter()
            .rposition(|open| match open.kind {
                NodeKind::Native(function) => {
                    self.code.function(function).map(|(own, _)| own) == Some(start)
                }
                NodeKind::Caller(own) => own == start,
                _ => false,
            });
        match found {
            Some(found) => self.open.truncate(natives + found + 1),
            None if self.code.evaluates(start) => self.open.truncate(natives),
            // All of its functions are hooked, so the one in between has no entry of its own.
            None if self.code.is_covered(library) => {}
            None => self.leave_library(library),
        }
        false
    }

    /// Whether a function that was called from this very place, or jumped to then, is entered once more. That is
    /// another call: of functions that jump to one another in a circle it cannot be told from a jump, but where one
    /// jumps to an address that is not known, each call in a loop would stand below the last.
    fn is_called_again(&self, event: &Event, entered: usize) -> bool {
        let natives = self.open[self.natives()..].iter().rev();
        let mut here = natives
            .filter(|open| !matches!(open.kind, NodeKind::Caller(_)))
            .skip_while(|open| open.stack < event.stack)
            .take_while(|open| open.stack == event.stack && open.back == event.back);
        here.any(|open| open.kind == NodeKind::Native(entered))
    }

    /// Where the native calls begin that no function of Python's stands above.
    fn natives(&self) -> usize {
        let is_native = |open: &OpenCall| {
            matches!(
                open.kind,
                NodeKind::Native(_) | NodeKind::Caller(_) | NodeKind::Report
            )
        };
        self.open
            .iter()
            .rposition(|open| !is_native(open))
            .map_or(0, |last| last + 1)
    }

    /// Keeps what may have called a function of its library that is not hooked: one that leads into this library.
    fn leave_library(&mut self, library: usize) {
        while let Some(last) = self.open.last()
            && match last.kind {
                NodeKind::Native(_) => last.library != Some(library) || self.code.serves(library),
                NodeKind::Caller(_) => true,
                _ => false,
            }
        {
            self.open.pop();
        }
    }

    /// Closes a place that the interpreter has left, and all that was called from there.
    fn leave_place(&mut self) {
        let natives = self.natives();
        let Some(open) = natives
            .checked_sub(1)
            .and_then(|place| self.open.get(place))
        else {
            return;
        };
        let has_left = match (open.kind, self.place) {
            (NodeKind::Place(_), None) => true,
            // The frame of a function that is about to begin says nothing about its caller's place.
            (NodeKind::Place(old), Some((new, frame))) => frame == open.back && new != old,
            _ => false,
        };
        if has_left {
            self.open.truncate(natives - 1);
        }
    }

    /// Puts the caller in between, where it is neither hooked nor Python's own loop.
    fn insert_caller(&mut self, event: &Event, caller: Option<(usize, usize)>) {
        self.under_place();
        let Some((start, library)) = caller else {
            return;
        };
        let is_there = self.open.last().is_some_and(|last| match last.kind {
            NodeKind::Native(function) => {
                self.code.function(function).map(|(own, _)| own) == Some(start)
            }
            NodeKind::Caller(own) => own == start,
            _ => false,
        });
        if is_there || self.code.evaluates(start) {
            return;
        }
        self.push(NodeKind::Caller(start), event);
        if let Some(open) = self.open.last_mut() {
            // Its own frame begins behind the return address.
            open.stack = event.stack + size_of::<usize>();
            open.library = Some(library);
        }
    }

    /// Under a Python function, what happens belongs to the place where the interpreter is.
    fn under_place(&mut self) {
        let is_function = self
            .open
            .last()
            .is_some_and(|last| matches!(last.kind, NodeKind::Python(_) | NodeKind::Cell));
        if let Some((place, frame)) = self.place.filter(|_| is_function) {
            let event = Event {
                time: self.then.as_ref().map_or(0, |then| then.time),
                back: frame,
                ..Event::default()
            };
            self.push(NodeKind::Place(place), &event);
        }
    }

    fn push(&mut self, kind: NodeKind, event: &Event) {
        let parent = self.open.last().map(|open| open.node);
        let next = self.tree.nodes.len();
        let node = *self.known.entry((parent, kind)).or_insert(next);
        if node == next {
            let new = CallNode::begun(kind, parent, event.time);
            self.tree.nodes.push(new);
            if let Some(parent) = parent {
                self.tree.nodes[parent].children.push(node);
            }
        }
        let is_counted = !matches!(kind, NodeKind::Caller(_) | NodeKind::Place(_));
        self.tree.nodes[node].calls += u64::from(is_counted);
        let stack = match kind {
            NodeKind::Native(_) => event.stack,
            // Where Python's callback stood; `stack` is the number.
            NodeKind::Cell | NodeKind::Display | NodeKind::Python(_) | NodeKind::Callable(_) => {
                event.back
            }
            _ => usize::MAX,
        };
        self.open.push(OpenCall {
            node,
            kind,
            stack,
            back: event.back,
            library: None,
        });
    }

    fn finish(mut self) -> Tree {
        self.tree.set_displays_apart();
        // Children come after their parents.
        for node in (0..self.tree.nodes.len()).rev() {
            let total = self.tree.nodes[node].own + self.tree.nodes[node].total;
            self.tree.nodes[node].total = total;
            if let Some(parent) = self.tree.nodes[node].parent {
                self.tree.nodes[parent].total += total;
            }
        }
        self.tree
    }
}
