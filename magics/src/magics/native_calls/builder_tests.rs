//! The builder of trees, with logs made by hand. 0x1234 lies in the function 0x1200 of library 1.

mod blocks;

use diaphane_trace::event::{Event, Log, kind};
use diaphane_trace::recorder::functions;

use super::builder::build;
use super::tree::{CallNode, Code, FunctionRole, NodeKind, Tree};

/// The library that serves its callers.
const SERVES: usize = 2;
/// The library that records.
const OURS: usize = 3;
/// The library all of whose functions are hooked.
const COVERED: usize = 4;
/// The interpreter's loop, and its way to report.
const EVALUATES: usize = 0x5100;
const REPORTS: usize = 0x5200;
/// The code objects.
const CELL: usize = 0;
const FUNCTION: usize = 1;
const DISPLAY: usize = 2;
/// The callable that ends the recording of a block.
const END: usize = 9;
const OUR_FUNCTION: usize = 4;

struct Fake;

impl Code for Fake {
    fn function(&mut self, address: usize) -> Option<(usize, usize)> {
        (address >= 0x1000).then_some((address & !0xff, address >> 12))
    }
    fn evaluates(&mut self, function: usize) -> bool {
        function == EVALUATES
    }
    fn serves(&mut self, library: usize) -> bool {
        library == SERVES
    }
    fn reports(&mut self, function: usize) -> bool {
        function == REPORTS
    }
    fn is_covered(&self, library: usize) -> bool {
        library == COVERED
    }
    fn is_ours(&self, library: usize) -> bool {
        library == OURS
    }
    fn jumps_to(&mut self, from: usize, _to: usize) -> bool {
        matches!(from, 0x1700 | 0x1900)
    }
    fn is_end(&self, callable: usize) -> bool {
        callable == END
    }
    fn role(&self, code: usize) -> FunctionRole {
        match code {
            CELL => FunctionRole::Cell,
            DISPLAY => FunctionRole::Display,
            OUR_FUNCTION => FunctionRole::Ours,
            _ => FunctionRole::Function,
        }
    }
}

/// Collects events, ten ticks apart.
#[derive(Default)]
struct Script(Vec<Event>);

impl Script {
    /// A log of the thread that runs the cell, inside of the cell.
    fn of_cell() -> Self {
        Self::default().python(CELL, 0x9000)
    }

    fn add(mut self, id: u32, stack: usize, back: usize) -> Self {
        let time = 10 * (self.0.len() as u64 + 1);
        self.0.push(Event {
            time,
            id,
            extra: 0,
            stack,
            back,
        });
        self
    }

    fn python(self, code: usize, depth: usize) -> Self {
        self.add(kind::PYTHON_ENTERS, code, depth)
    }

    fn leaves(self) -> Self {
        self.add(kind::PYTHON_LEAVES, 0, 0)
    }

    fn native(self, function: usize, stack: usize, back: usize) -> Self {
        let number = functions::register(function).unwrap();
        self.add(number, stack, back)
    }

    fn place(self, instruction: usize, frame: usize) -> Self {
        self.add(kind::PLACE, instruction, frame)
    }

    fn tree(self, only_in_cell: bool) -> Tree {
        let log = Log {
            tid: 1,
            events: self.0,
            lost: 0,
            muted: 0,
        };
        build(&log, only_in_cell, &mut Fake)
    }
}

/// The tree with a line a node: depth, kind, calls.
fn shape(tree: &Tree) -> Vec<String> {
    fn walk(tree: &Tree, node: usize, depth: usize, lines: &mut Vec<String>) {
        let CallNode { kind, calls, .. } = &tree.nodes[node];
        let name = match kind {
            NodeKind::Native(address) => format!("native {address:x}"),
            NodeKind::Caller(address) => format!("caller {address:x}"),
            NodeKind::Place(address) => format!("place {address:x}"),
            other => format!("{other:?}"),
        };
        lines.push(format!("{}{name} {calls}", "  ".repeat(depth)));
        for &child in &tree.nodes[node].children {
            walk(tree, child, depth + 1, lines);
        }
    }
    let mut lines = Vec::new();
    for root in (0..tree.nodes.len()).filter(|&node| tree.nodes[node].parent.is_none()) {
        walk(tree, root, 0, &mut lines);
    }
    lines
}

fn node(tree: &Tree, kind: NodeKind) -> &CallNode {
    tree.nodes.iter().find(|node| node.kind == kind).unwrap()
}

#[test]
fn a_function_is_below_the_one_that_its_return_address_lies_in() {
    let log = Script::of_cell()
        .native(0x1100, 0x8000, EVALUATES + 5)
        .native(0x1200, 0x7f00, 0x1110)
        .native(0x1300, 0x7e00, 0x1220)
        .native(0x1200, 0x7f00, 0x1150);
    let tree = log.tree(true);
    assert_eq!(
        shape(&tree),
        [
            "Cell 1",
            "  native 1100 1",
            "    native 1200 2",
            "      native 1300 1"
        ]
    );
}

#[test]
fn what_stood_deeper_on_the_stack_has_returned() {
    let log = Script::of_cell()
        .native(0x1100, 0x8000, EVALUATES + 5)
        .native(0x1200, 0x7f00, 0x1110)
        .native(0x1300, 0x8000, EVALUATES + 9);
    assert_eq!(
        shape(&log.tree(true)),
        [
            "Cell 1",
            "  native 1100 1",
            "    native 1200 1",
            "  native 1300 1"
        ]
    );
}

#[test]
fn a_jump_to_another_function_is_a_tail_call() {
    let jump = |from: usize| {
        let log = Script::of_cell().native(from, 0x8000, EVALUATES + 5);
        log.native(0x1800, 0x8000, EVALUATES + 5).tree(true)
    };
    let tree = jump(0x1700);
    assert_eq!(
        shape(&tree),
        ["Cell 1", "  native 1700 1", "    native 1800 1"]
    );
    assert_eq!(node(&tree, NodeKind::Native(0x1800)).tail, 1);
    // The same events, but that function cannot jump: it was called twice from the same place.
    assert_eq!(
        shape(&jump(0x1600)),
        ["Cell 1", "  native 1600 1", "  native 1800 1"]
    );
}

#[test]
fn what_is_called_in_a_loop_does_not_stand_below_itself() {
    // Each may have jumped to the other, as far as their code tells.
    let mut log = Script::of_cell();
    for _ in 0..1000 {
        log = log
            .native(0x1700, 0x8000, EVALUATES + 5)
            .native(0x1900, 0x8000, EVALUATES + 5)
            .native(0x1100, 0x7f00, 0x1910);
    }
    let tree = log.tree(true);
    assert_eq!(tree.nodes.len(), 4);
    assert_eq!(node(&tree, NodeKind::Native(0x1900)).calls, 1000);
}

#[test]
fn a_caller_without_an_entry_ends_with_what_it_has_called() {
    let inside = COVERED * 0x1000;
    let tree = Script::of_cell()
        .native(inside + 0x100, 0x7f00, inside + 0x410)
        .native(inside + 0x100, 0x7f08, inside + 0x510)
        .tree(true);
    assert_eq!(node(&tree, NodeKind::Cell).children.len(), 2);
}

#[test]
fn what_a_call_leaves_to_be_freed_belongs_to_its_place() {
    let log = Script::of_cell()
        .place(0x10, 0x9000)
        .add(kind::C_ENTERS, 7, 0x8100)
        .native(0x1100, 0x8000, 0x1510)
        .add(kind::C_LEAVES, 7, 0x8100)
        .native(0x1200, 0x8000, EVALUATES + 5)
        .place(0x20, 0x9000)
        .python(DISPLAY, 0x7f00);
    assert_eq!(
        shape(&log.tree(true)),
        [
            "Cell 1",
            "  Callable(7) 1",
            "    caller 1500 0",
            "      native 1100 1",
            "  place 10 0",
            "    native 1200 1",
            "Display 1"
        ]
    );
}

#[test]
fn a_caller_without_an_entry_is_put_in_between_and_not_counted() {
    let log = Script::of_cell()
        .native(0x1200, 0x8000, 0x1110)
        .native(0x1300, 0x8000, 0x1150);
    assert_eq!(
        shape(&log.tree(true)),
        [
            "Cell 1",
            "  caller 1100 0",
            "    native 1200 1",
            "    native 1300 1"
        ]
    );
}

#[test]
fn another_place_of_the_same_frame_ends_the_calls_of_the_last() {
    let log = Script::of_cell()
        .place(0x10, 0xf0)
        .native(0x1100, 0x8000, EVALUATES + 5)
        .place(0x20, 0xf0)
        .native(0x1100, 0x8000, EVALUATES + 5)
        .place(0x10, 0xf0)
        .native(0x1100, 0x8000, EVALUATES + 5);
    assert_eq!(
        shape(&log.tree(true)),
        [
            "Cell 1",
            "  place 10 0",
            "    native 1100 2",
            "  place 20 0",
            "    native 1100 1"
        ]
    );
}

#[test]
fn python_functions_hold_what_happens_between_their_reports() {
    let log = Script::of_cell()
        .python(FUNCTION, 0x8f00)
        .add(kind::C_ENTERS, 7, 0x8e00)
        .native(0x1100, 0x8000, EVALUATES + 5)
        .add(kind::C_LEAVES, 7, 0)
        .leaves()
        .native(0x1200, 0x8000, EVALUATES + 5);
    assert_eq!(
        shape(&log.tree(true)),
        [
            "Cell 1",
            "  Python(1) 1",
            "    Callable(7) 1",
            "      native 1100 1",
            "  native 1200 1"
        ]
    );
}

#[test]
fn before_the_cell_and_while_its_value_is_shown_nothing_counts() {
    let log = Script::default()
        .native(0x1100, 0x8000, EVALUATES + 5)
        .python(FUNCTION, 0x9100)
        .leaves()
        .python(CELL, 0x9000)
        .python(DISPLAY, 0x8f00)
        .python(FUNCTION, 0x8e00)
        .native(0x1200, 0x8000, EVALUATES + 5)
        .leaves()
        .leaves()
        .native(0x1300, 0x8000, EVALUATES + 5)
        .leaves();
    assert_eq!(
        shape(&log.tree(true)),
        ["Cell 1", "  native 1300 1", "Display 1"]
    );
}

#[test]
fn reports_and_the_recorder_are_no_part_of_the_tree() {
    let log = Script::of_cell()
        .native(0x1100, 0x8000, OURS * 0x1000 + 4)
        .native(REPORTS, 0x8000, EVALUATES + 5)
        .native(0x1200, 0x7f00, REPORTS + 8)
        .native(0x1300, 0x8000, EVALUATES + 9);
    assert_eq!(shape(&log.tree(true)), ["Cell 1", "  native 1300 1"]);
}

#[test]
fn the_time_of_a_serving_function_is_its_callers() {
    let log = Script::of_cell()
        .native(0x1100, 0x8000, EVALUATES + 5)
        .native(SERVES * 0x1000, 0x7f00, 0x1110)
        .native(0x1200, 0x7f00, 0x1120)
        .leaves();
    let tree = log.tree(true);
    assert_eq!(node(&tree, NodeKind::Native(SERVES * 0x1000)).total, 0);
    assert_eq!(node(&tree, NodeKind::Native(0x1100)).own, 20);
    assert_eq!(node(&tree, NodeKind::Native(0x1200)).own, 10);
    assert_eq!(node(&tree, NodeKind::Native(0x1100)).total, 30);
    assert_eq!(node(&tree, NodeKind::Cell).total, 40);
}

#[test]
fn where_every_function_is_hooked_the_one_in_between_was_built_in() {
    let inside = COVERED * 0x1000;
    let log = Script::of_cell()
        .native(inside + 0x100, 0x8000, EVALUATES + 5)
        .native(inside + 0x200, 0x7f00, inside + 0x110)
        .native(inside + 0x300, 0x7e00, inside + 0x410);
    let tree = log.tree(true);
    let last = node(&tree, NodeKind::Native(inside + 0x300));
    let caller = last.parent.unwrap();
    assert_eq!(tree.nodes[caller].kind, NodeKind::Caller(inside + 0x400));
    assert_eq!(
        tree.nodes[caller].parent,
        tree.nodes
            .iter()
            .position(|node| node.kind == NodeKind::Native(inside + 0x200))
    );
}

#[test]
fn arguments_are_no_calls_and_belong_to_theirs() {
    let mut log = Script::of_cell().native(0x1100, 0x8000, EVALUATES + 5);
    log.0[1].extra = 1;
    // Words may look like anything.
    let log = log
        .native(0x1200, 0x7f00, 0x1110)
        .native(0x1300, 0x7f00, 0x1110);
    let tree = log.tree(true);
    assert_eq!(
        shape(&tree),
        ["Cell 1", "  native 1100 1", "    native 1300 1"]
    );
    assert_eq!(node(&tree, NodeKind::Native(0x1100)).told, [1]);
    assert_eq!(tree.events, 3);
}

#[test]
fn time_behind_the_last_call_of_an_unhooked_caller_is_the_hooked_functions() {
    let tree = Script::of_cell()
        .native(0x1500, 0x8000, EVALUATES + 5)
        .native(0x2100, 0x7f00, 0x1310)
        .native(0x2100, 0x7f00, 0x1320)
        .native(0x2200, 0x7f80, 0x1510)
        .leaves()
        .tree(true);
    assert_eq!(node(&tree, NodeKind::Caller(0x1300)).own, 10);
    assert_eq!(node(&tree, NodeKind::Native(0x1500)).own, 30);
}
