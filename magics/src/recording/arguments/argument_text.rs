//! Calls in words: what follows from the rest is left out.

use super::given::{CalledFunction, Given};
use super::lives::{Life, MemoryOwner};
use super::looping::size;
use crate::recording::signatures::{ArgumentValue, MemoryArgument, SignatureCall};

/// A call's arguments.
pub(super) fn text(given: &Given, lives: &[Life]) -> String {
    let mut handed = given.handed();
    let mut place = || {
        handed
            .next()
            .map(|(_, memory, owned)| whose(memory, owned, lives))
    };
    match &given.what {
        CalledFunction::Call(known, call) => {
            let mut parts: Vec<String> = Vec::new();
            if call.is_question() {
                parts.push("asks for room to work in".into());
            }
            let has_order = call.arguments.iter().any(|one| one.name.starts_with("ld"));
            if has_order && call.is_by_rows != known.is_usually_by_rows() {
                parts.push("by columns".into());
            }
            for argument in &call.arguments {
                let name = argument.name;
                match &argument.value {
                    ArgumentValue::Memory(_) => {
                        let name = match known.signature.is_of_memory() {
                            true => name.to_owned(),
                            false => name.to_uppercase(),
                        };
                        parts.push(format!("{name}={}", place().unwrap_or_default()));
                    }
                    ArgumentValue::Letter(letter) if is_usual(name, *letter) => {}
                    ArgumentValue::Letter(letter) => parts.push(format!("{name}={letter}")),
                    ArgumentValue::Integer(number) if follows(name, *number, call) => {}
                    ArgumentValue::Integer(number) => parts.push(format!("{name}={number}")),
                    ArgumentValue::Number(real, imaginary) => {
                        parts.extend(scalar(name, *real, imaginary.unwrap_or(0.0)));
                    }
                }
            }
            parts.join(", ")
        }
        CalledFunction::Loop(about, looping) => {
            let letters = about.types.chars();
            let mut arrays = Vec::new();
            for ((_, step), letter) in looping.arrays.iter().zip(letters) {
                let name = place().unwrap_or_default();
                let is_dense = step.unsigned_abs() == size(letter) || looping.count < 2;
                let odd = match (is_dense || about.is_general, *step) {
                    (true, _) => String::new(),
                    (false, 0) => " (one item)".into(),
                    (false, step) => format!(" (step {step})"),
                };
                arrays.push(format!("{name}{odd}"));
            }
            let outputs = arrays.split_off(about.inputs.min(arrays.len()));
            let arrays = format!("{} -> {}", arrays.join(", "), outputs.join(", "));
            match about.is_general {
                true => arrays,
                false => format!("n={}, {arrays}", looping.count),
            }
        }
    }
}

/// Whose memory it is.
pub(super) fn whose(memory: &MemoryArgument, owned: MemoryOwner, lives: &[Life]) -> String {
    if let Some(life) = owned.copied(lives) {
        return format!("a copy of {}", life.title());
    }
    let Some(life) = owned.life(lives) else {
        return format!("{:#x}", memory.address);
    };
    let is_new = !life.is_old && life.is_kept;
    match life.name(memory.address, memory.span) {
        Some((view, true)) if is_new => format!("{} (new)", view.name),
        Some((view, true)) => view.name.clone(),
        Some((view, false)) => match memory.address - view.span.start.min(memory.address) {
            0 if memory.span == 0 && is_new => format!("{} (new)", view.name),
            0 if memory.span == 0 => view.name.clone(),
            0 => format!("part of {}", view.name),
            offset => format!("{}+{offset}", view.name),
        },
        None if is_new => "a new array".into(),
        None => "a temporary".into(),
    }
}

/// What most calls have.
fn is_usual(name: &str, letter: char) -> bool {
    name.starts_with("trans") && letter == 'N'
}

/// What tells nothing that is not told by the rest.
fn follows(name: &str, number: i64, call: &SignatureCall) -> bool {
    let matrix = match name.strip_prefix("ld") {
        Some(matrix) => matrix,
        None if name.starts_with("inc") => return number == 1,
        None => return matches!(name, "lwork" | "liwork" | "lrwork"),
    };
    let memory = call.memory().find(|(known, _)| *known == matrix);
    memory.is_none_or(|(_, memory)| memory.is_dense || memory.bytes == 0)
}

fn scalar(name: &str, real: f64, imaginary: f64) -> Option<String> {
    let usual = match name {
        "alpha" => 1.0,
        "beta" => 0.0,
        _ => f64::NAN,
    };
    if real == usual && imaginary == 0.0 {
        return None;
    }
    Some(match imaginary == 0.0 {
        true => format!("{name}={real}"),
        false => format!("{name}={real}{imaginary:+}j"),
    })
}
