//! Machine code as lines of text: distance, arrows, instruction, and what its addresses are called.

use diaphane_sight::code::instructions::{Flow, Instruction, plt_got_entry};
use diaphane_sight::proc::spans::{Span, word};

use super::arrows::{Arrow, margins};
use crate::code::symbolize::ProcessImage;

/// What is written beside each instruction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    /// Its part of the instruction set.
    pub isa: bool,
    /// Its bytes.
    pub bytes: bool,
}

/// The lines of a function, whose addresses are told as distances from its start.
pub(super) fn lines(
    code: &[Instruction],
    function: Span,
    process: &ProcessImage,
    marks: Marks,
) -> Vec<String> {
    let margins = margins(code.len(), arrows(code));
    let wide = code.iter().map(|one| one.bytes.len()).max().unwrap_or(0) * 2;
    let line = |(one, margin): (&Instruction, String)| {
        let mut line = format!("{:>8} {margin} ", distance(one.address, function));
        if marks.bytes {
            let bytes: String = one.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            line += &format!("{bytes:<wide$} ");
        }
        if marks.isa {
            line += &format!("{:<6} ", format!("{:?}", one.isa).to_lowercase());
        }
        line += &text(one, function, process);
        line.truncate(line.trim_end().len());
        line
    };
    code.iter().zip(margins).map(line).collect()
}

/// The jumps whose both ends are shown.
fn arrows(code: &[Instruction]) -> Vec<Arrow> {
    let place = |address: usize| code.binary_search_by_key(&address, |one| one.address).ok();
    let arrow = |(from, one): (usize, &Instruction)| {
        let jumps = matches!(one.flow, Flow::Jump | Flow::Branch);
        Some(Arrow {
            from,
            to: place(one.target.filter(|_| jumps)?)?,
        })
    };
    code.iter().enumerate().filter_map(arrow).collect()
}

/// The instruction with names in the place of addresses.
fn text(one: &Instruction, function: Span, process: &ProcessImage) -> String {
    let number = |address: usize| format!("{address:#x}");
    if let Some(target) = one.target.filter(|&target| function.contains(target)) {
        return one
            .text
            .replace(&number(target), &distance(target, function));
    }
    let Some(name) = named(one, process) else {
        return one.text.clone();
    };
    match (one.target, one.data) {
        (Some(target), _) => one.text.replace(&number(target), &name),
        (None, Some(_)) if is_indirect(one) => format!("{}  ; {name}", one.text),
        (None, Some(data)) => one.text.replace(&number(data), &name),
        (None, None) => one.text.clone(),
    }
}

/// What an instruction refers to: the function that it calls or jumps to, or the data that it reads.
pub(super) fn named(one: &Instruction, process: &ProcessImage) -> Option<String> {
    if let Some(target) = one.target {
        return match plt_got_entry(target) {
            Some(slot) => Some(format!("{}@plt", process.name(word(slot)?)?)),
            None => process.name(target),
        };
    }
    let data = one.data?;
    match is_indirect(one) {
        true => process.name(word(data)?),
        false => process.name(data),
    }
}

/// Whether an instruction goes where a word in memory says.
fn is_indirect(one: &Instruction) -> bool {
    matches!(one.flow, Flow::Call | Flow::Jump)
}

fn distance(address: usize, function: Span) -> String {
    format!("+{:#x}", address.wrapping_sub(function.start))
}
