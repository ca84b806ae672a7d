//! The way from what a user wrote to machine code, for the magics that show it.

use std::collections::BTreeSet;

use diaphane_sight::code::instructions::{Flow, Instruction};
use diaphane_sight::proc::maps::Region;
use diaphane_sight::proc::spans::word;
use pyo3::prelude::*;

use crate::code::callable;
use crate::code::callable::{TABLE, Trail};
use crate::code::symbolize::ProcessImage;
use crate::code::target;
use crate::code::target::CodeTarget;
use crate::error::Error;
use crate::magic::Context;
use crate::numpy::step::Step;

/// The role of a function among which another one chooses each time.
pub(crate) const CHOICE: &str = "one of, by CPU";

/// What a user asked a magic about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The name of the magic, for messages.
    pub magic: &'a str,
    /// A name with attributes and subscripts, a symbol of a library, or an address.
    pub text: &'a str,
    /// The kind of items, for NumPy's functions.
    pub dtype: Option<&'a str>,
}

impl Question<'_> {
    /// Follows it to the functions behind: those of an object, or the one that a symbol or an address is.
    pub(crate) fn follow(
        self,
        context: &Context<'_, '_>,
        process: &ProcessImage,
    ) -> Result<Trail, Error> {
        let Self { magic, text, dtype } = self;
        let mut trail = match CodeTarget::parse(magic, text, context)? {
            CodeTarget::Object(name, object) => {
                let trail = callable::follow(&name, &object, dtype);
                trail.map_err(|error| self.refused(&error, object.py()))?
            }
            CodeTarget::Address(address) => Trail {
                steps: vec![self.step("address", address)],
                limits: vec![],
            },
            CodeTarget::Symbol { library, symbol } => self.symbol(&library, &symbol, process)?,
        };
        trail.steps = trail
            .steps
            .into_iter()
            .flat_map(|step| through(step, process))
            .collect();
        Ok(trail)
    }

    fn symbol(self, library: &str, symbol: &str, process: &ProcessImage) -> Result<Trail, Error> {
        let mut trail = Trail::default();
        for (index, place) in target::symbols(self.magic, library, symbol, &process.libraries)? {
            let bound = target::implementations(index, &place, &process.libraries);
            let role = if bound.is_empty() {
                "symbol"
            } else {
                "chooser (IFUNC)"
            };
            trail.steps.push(self.step(role, place.start));
            for (code, users) in bound {
                let object = format!("{} for {}", self.text, listed(&users));
                trail.steps.push(Step {
                    object,
                    ..self.step("bound", code)
                });
            }
        }
        Ok(trail)
    }

    fn step(self, role: &str, code: usize) -> Step {
        Step {
            role: role.into(),
            object: self.text.into(),
            code: Some(code),
            ..Step::default()
        }
    }

    /// An exception in words, without its `__str__`: what NumPy says about a wrong dtype is for the user.
    fn refused(self, error: &PyErr, py: Python<'_>) -> Error {
        let name = error
            .get_type(py)
            .name()
            .map_or_else(|_| "an exception".into(), |name| name.to_string());
        let first = || {
            error
                .value(py)
                .getattr("args")?
                .get_item(0)?
                .extract::<String>()
        };
        let words = match name.contains("UFunc") {
            true => "NumPy has no loop for this dtype".to_owned(),
            false => first().unwrap_or(name),
        };
        Error::Usage(format!("%{}: {}: {words}", self.magic, self.text))
    }
}

/// A step, and the function that it only jumps on to.
fn through(step: Step, process: &ProcessImage) -> impl Iterator<Item = Step> {
    let end = step.code.and_then(|code| process.through(code));
    let next = end.map(|code| beside(&step, "jumps to", code));
    let choices = choices(&step, process);
    std::iter::once(step).chain(next).chain(choices)
}

/// A step from another one to a function.
fn beside(step: &Step, role: &str, code: usize) -> Step {
    Step {
        role: role.into(),
        object: step.object.clone(),
        code: Some(code),
        types: step.types.clone(),
        dtypes: step.dtypes.clone(),
        ..Step::default()
    }
}

/// The functions that a function of a dtype goes on to, if it asks NumPy each time what the CPU has: those that it calls,
/// and those whose address it loads.
fn choices(step: &Step, process: &ProcessImage) -> Vec<Step> {
    const ASKS: &str = "npy_cpu_have";
    const MOST: usize = 500;
    let spot = step
        .code
        .filter(|_| step.role == TABLE)
        .and_then(|code| process.spot(code));
    let code = spot.map(|spot| spot.instructions(MOST)).unwrap_or_default();
    let leads_to = |one: &Instruction| match (one.flow, one.target) {
        (Flow::Call, Some(target)) => process.through(target).or(Some(target)),
        _ => word(one.data?).filter(|&address| {
            process
                .maps
                .find(address)
                .is_some_and(Region::is_executable)
        }),
    };
    let found: BTreeSet<usize> = code.iter().filter_map(leads_to).collect();
    let (asks, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|&address| process.name(address).as_deref() == Some(ASKS));
    let shown = others.into_iter().filter(|_| !asks.is_empty());
    shown.map(|address| beside(step, CHOICE, address)).collect()
}

/// The first names of a list.
fn listed(names: &[&str]) -> String {
    match names {
        [one, two, rest @ ..] if !rest.is_empty() => {
            format!("{one}, {two} and {} more", rest.len())
        }
        few => few.join(" and "),
    }
}
