//! The tree of a thread: who called whom, how often, for how long; and what its builder asks about code.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NodeKind {
    /// The code of the cell.
    Cell,
    /// IPython shows the last value.
    Display,
    /// A Python function, by the number of its code object.
    Python(usize),
    /// Something that Python called, by the number of the callable.
    Callable(usize),
    /// A place in Python code from which native code was reached: an operator, a subscript, a call that Python does not
    /// report. By the address of its instruction.
    Place(usize),
    /// A native function that was entered, by its address.
    Native(usize),
    /// A native function that was seen as a caller only, by its first address.
    Caller(usize),
    /// The interpreter reports to us. It is no node, and nothing inside of it is.
    Report,
}

/// One place in the tree.
#[derive(Debug, Clone)]
pub(super) struct CallNode {
    pub kind: NodeKind,
    pub parent: Option<usize>,
    pub children: Vec<usize>,
    /// How often it was entered; callers and places are not counted.
    pub calls: u64,
    /// Ticks from here to the next event.
    pub own: u64,
    /// Its own and those below it.
    pub total: u64,
    /// When it was entered first.
    pub first: u64,
    /// The calls whose arguments were kept, as indices into the log's events.
    pub told: Vec<usize>,
    /// How many of its calls were tail calls of its parent.
    pub tail: u64,
}

impl CallNode {
    /// One that nothing is known of but when it began.
    pub fn begun(kind: NodeKind, parent: Option<usize>, first: u64) -> Self {
        Self {
            kind,
            parent,
            children: Vec::new(),
            calls: 0,
            own: 0,
            total: 0,
            first,
            told: Vec::new(),
            tail: 0,
        }
    }
}

/// The tree of one thread.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub nodes: Vec<CallNode>,
    /// How many events were looked at.
    pub events: usize,
}

impl Tree {
    /// Showing the last value is the shell's, and no part of what the cell takes.
    pub fn set_displays_apart(&mut self) {
        let nodes = &mut self.nodes;
        for node in 0..nodes.len() {
            if nodes[node].kind == NodeKind::Display
                && let Some(parent) = nodes[node].parent.take()
            {
                nodes[parent].children.retain(|&child| child != node);
            }
        }
    }

    /// Marks so many nodes, those that took longest and are reached through others that did.
    pub fn heaviest(&self, most: usize) -> Vec<bool> {
        if self.nodes.len() <= most {
            return vec![true; self.nodes.len()];
        }
        let mut marked = vec![false; self.nodes.len()];
        // Of equal ones the earlier comes first.
        let key = |node: usize| (self.nodes[node].total, Reverse(node));
        let roots = (0..self.nodes.len()).filter(|&node| self.nodes[node].parent.is_none());
        let mut open: BinaryHeap<_> = roots.map(key).collect();
        for _ in 0..most {
            let Some((_, Reverse(node))) = open.pop() else {
                break;
            };
            marked[node] = true;
            open.extend(self.nodes[node].children.iter().map(|&child| key(child)));
        }
        marked
    }
}

/// What the builder asks about code.
pub(super) trait Code {
    /// The first address of the function that an address lies in, and a number for its library.
    fn function(&mut self, address: usize) -> Option<(usize, usize)>;
    /// Whether a function is a part of Python's evaluation loop, which stands for the Python function that runs.
    fn evaluates(&mut self, function: usize) -> bool;
    /// Whether a library only serves its callers: the C library, Python's C interface.
    fn serves(&mut self, library: usize) -> bool;
    /// Whether a function is the interpreter's own way to report what it does.
    fn reports(&mut self, function: usize) -> bool;
    /// Whether all functions of a library are hooked.
    fn is_covered(&self, library: usize) -> bool;
    /// Whether a library is the one that records.
    fn is_ours(&self, library: usize) -> bool;
    /// Whether a function ends with a jump to another one.
    fn jumps_to(&mut self, from: usize, to: usize) -> bool;
    /// What a Python function is to the cell.
    fn role(&self, code: usize) -> FunctionRole;
    /// Whether a callable is what ends the recording of a block.
    fn is_end(&self, callable: usize) -> bool;
}

/// What a Python function is to the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FunctionRole {
    /// The cell itself.
    Cell,
    /// IPython's display hook.
    Display,
    /// Ours, by which a program has a function recorded: what it calls is its caller's.
    Ours,
    /// Anything else.
    Function,
}
