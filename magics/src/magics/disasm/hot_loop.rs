//! Where a function probably spends its time: of its innermost loops the one with the most instructions that work on
//! several items at once. How often a loop runs is not known from its code.

use std::ops::RangeInclusive;

use diaphane_sight::code::instructions::{self, Counts, Instruction};

/// Shorter functions are seen at a glance.
const SHORT: usize = 40;
/// A longer loop is no longer seen at a glance either.
const LONG: usize = 80;

/// A sentence about that loop, and the lines of the function with those of the loop before them; as they were where there
/// is no such loop.
pub(super) fn first(code: &[Instruction], lines: Vec<String>) -> (Option<String>, Vec<String>) {
    let range = busiest(code).filter(|range| code.len() > SHORT && range.clone().count() <= LONG);
    let Some(range) = range.filter(|range| *range.end() < lines.len()) else {
        return (None, lines);
    };
    let (size, packed) = size_and_packed(code, &range);
    let distance = |place: usize| format!("{:#x}", code[place].address - code[0].address);
    let (start, end) = (distance(*range.start()), distance(*range.end()));
    let about = format!(
        "first the innermost loop that works on most items at once, +{start} to +{end}: {size} instructions, {packed} of them \
         on several items; below it the whole function"
    );
    let mut all = lines[range].to_vec();
    all.push(String::new());
    all.extend(lines);
    (Some(about), all)
}

/// The innermost loop with the most packed instructions; `None` where none has any.
fn busiest(code: &[Instruction]) -> Option<RangeInclusive<usize>> {
    let loops = instructions::loops(code);
    let is_within = |one: &RangeInclusive<usize>, other: &RangeInclusive<usize>| {
        one != other && other.start() <= one.start() && one.end() <= other.end()
    };
    let is_innermost =
        |one: &&RangeInclusive<usize>| !loops.iter().any(|other| is_within(other, one));
    let packed = loops.iter().filter(is_innermost);
    let packed = packed.filter(|range| size_and_packed(code, range).1 > 0);
    packed
        .max_by_key(|range| size_and_packed(code, range).1)
        .cloned()
}

fn size_and_packed(code: &[Instruction], range: &RangeInclusive<usize>) -> (usize, usize) {
    let part = &code[range.clone()];
    (part.len(), Counts::of(part).packed)
}
