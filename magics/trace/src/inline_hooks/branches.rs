//! Which branches lead into the first bytes of functions: all code of a library is decoded once.

use diaphane_sight::proc::spans::{Span, bytes};

use super::functions::FoundFunctions;
use super::text::Text;
use crate::arch::Flow;
use crate::arch::instructions::{Decoder, Instruction, MARK};

/// So many bytes behind the start of a function may be moved: four of a mark, and instructions that begin in the next
/// five.
const HEAD: usize = 24;
/// No table of a `switch` is followed farther.
const TABLE: usize = 1024;

/// How code gets somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// By a call.
    Call,
    /// By a jump.
    Jump,
    /// By a jump that is not always taken.
    Branch,
    /// Through a table.
    Table,
}

/// The branches to places that matter.
#[derive(Debug, Default)]
pub(super) struct Branches {
    found: Vec<(usize, Way)>,
    /// The functions that jump to their own first instruction while they keep values below the stack pointer.
    pub(super) looping: Vec<usize>,
}

/// The places that matter, one bit for each byte of code.
struct Marks {
    span: Span,
    bits: Vec<u64>,
}

impl Branches {
    /// Reads all code.
    pub(super) fn of(found: &FoundFunctions, text: &Text) -> Self {
        let mut branches = Self::default();
        let Some(marks) = Marks::of(found, text) else {
            return branches;
        };
        for function in &found.functions {
            branches.read(function.span, true, text, &marks);
        }
        for part in &found.parts {
            branches.read(*part, false, text, &marks);
        }
        branches.found.sort_unstable();
        branches.found.dedup();
        branches.looping.sort_unstable();
        branches
    }

    /// Whether a branch leads between two addresses.
    pub(super) fn lead_into(&self, span: Span) -> bool {
        let first = self.found.partition_point(|(to, _)| *to < span.start);
        self.found.get(first).is_some_and(|(to, _)| *to < span.end)
    }

    /// Whether code gets to an address by branches that are not always taken, and never by a call.
    pub(super) fn only_branch_to(&self, address: usize) -> bool {
        let first = self.found.partition_point(|(to, _)| *to < address);
        let ways = self.found[first..].iter();
        let mut ways = ways
            .take_while(|(to, _)| *to == address)
            .map(|(_, way)| way);
        // They are ordered: a call comes first, a branch behind calls and jumps.
        ways.next() != Some(&Way::Call)
            && self.found[first..]
                .iter()
                .take_while(|(to, _)| *to == address)
                .any(|(_, way)| *way == Way::Branch)
    }

    fn read(&mut self, span: Span, is_function: bool, text: &Text, marks: &Marks) {
        let code = text.bytes(span);
        let mut decoder = Decoder::new(code, span.start);
        let mut instruction = Instruction::default();
        let (mut returns, mut below, mut switches) = (false, false, false);
        let mut tables = Vec::new();
        while decoder.read(&mut instruction) {
            if let Some((to, way)) = target(&instruction) {
                let first = to == span.start || to == span.start + MARK;
                returns |= first && way != Way::Call;
                if marks.has(to) {
                    self.found.push((to, way));
                }
            }
            switches |= instruction.flow() == Some(Flow::IndirectJump);
            below |= instruction.uses_below_the_stack();
            tables.extend(instruction.data());
        }
        if is_function && returns && below {
            self.looping.push(span.start);
        }
        if switches {
            tables.sort_unstable();
            tables.dedup();
            for table in tables
                .into_iter()
                .filter(|table| text.segment(*table).is_none())
            {
                self.follow(table, span, marks);
            }
        }
    }

    /// Reads what may be the table of a `switch`: distances from itself, or addresses, as long as they lead into the
    /// function.
    fn follow(&mut self, table: usize, span: Span, marks: &Marks) {
        let entries = bytes(table, 8 * TABLE);
        let near = entries.as_chunks::<4>().0.iter().map(|entry| {
            let distance = i32::from_le_bytes(*entry) as isize;
            table.wrapping_add_signed(distance)
        });
        let far = entries.as_chunks::<8>().0.iter();
        let far = far.map(|entry| u64::from_le_bytes(*entry) as usize);
        let inside = |to: &usize| span.contains(*to);
        let found = near.take_while(inside).chain(far.take_while(inside));
        let found = found.filter(|to| marks.has(*to));
        self.found.extend(found.map(|to| (to, Way::Table)));
    }
}

impl Marks {
    fn of(found: &FoundFunctions, text: &Text) -> Option<Self> {
        let start = text.segments.first()?.span.start;
        let end = text.segments.last()?.span.end;
        let span = Span::new(start, end);
        let mut marks = Self {
            span,
            bits: vec![0; span.len() / 64 + 1],
        };
        for function in &found.functions {
            // Whether a nameless start is branched to decides what it is.
            let first = function.span.start + usize::from(function.named);
            (first..function.span.start + HEAD).for_each(|address| marks.set(address));
        }
        Some(marks)
    }

    fn set(&mut self, address: usize) {
        if self.span.contains(address) {
            let bit = address - self.span.start;
            self.bits[bit / 64] |= 1 << (bit % 64);
        }
    }

    fn has(&self, address: usize) -> bool {
        self.span.contains(address) && {
            let bit = address - self.span.start;
            self.bits[bit / 64] >> (bit % 64) & 1 == 1
        }
    }
}

/// Where an instruction leads, if that is written in it.
fn target(instruction: &Instruction) -> Option<(usize, Way)> {
    let to = instruction.target()?;
    let way = match instruction.flow() {
        Some(Flow::Call) => Way::Call,
        Some(Flow::Jump) => Way::Jump,
        _ => Way::Branch,
    };
    Some((to, way))
}
