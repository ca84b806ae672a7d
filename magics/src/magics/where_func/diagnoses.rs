//! What is remarkable about the code behind a function.

use std::ops::RangeInclusive;

use diaphane_sight::code::instructions::{Flow, Instruction, loops};
use pyo3::PyResult;

use super::FoundCode;
use crate::magic::Context;
use diaphane_report::{Diagnosis, Severity};

/// The diagnoses for the functions that were found, as long as they are few enough to be meant.
pub(super) fn all(found: &[FoundCode<'_>], context: &Context<'_, '_>) -> PyResult<Vec<Diagnosis>> {
    let mut diagnoses = Vec::new();
    let loops = found.iter().filter(|one| one.step.role == "loop").count();
    for one in found {
        diagnoses.extend(below(one, context)?);
        if loops == 1 {
            diagnoses.extend(scalar(one));
        }
    }
    diagnoses.dedup_by(|one, other| one.code == other.code && one.fix == other.fix);
    Ok(diagnoses)
}

/// W001: the processor has what a better variant needs, and NumPy was told not to use it.
fn below(found: &FoundCode<'_>, context: &Context<'_, '_>) -> PyResult<Option<Diagnosis>> {
    let (Some(variants), Some(user)) = (&found.variants, context.user) else {
        return Ok(None);
    };
    let switched_off = variants.switched_off(user.py)?;
    let Some(best) = switched_off.last() else {
        return Ok(None);
    };
    let variable = std::env::var("NPY_DISABLE_CPU_FEATURES");
    let said = variable.as_ref().map_or_else(
        |_| "it is not set now".into(),
        |value| format!("it is {value:?}"),
    );
    Ok(Some(Diagnosis {
        code: "W001",
        severity: Severity::Warn,
        title: format!(
            "{} runs its {} variant, though this CPU can run {best}.",
            found.step.object, variants.bound
        ),
        evidence: vec![
            format!("variants in the library: {}", variants.available.join(", ")),
            format!("switched off in NumPy: {}", switched_off.join(", ")),
            format!("NPY_DISABLE_CPU_FEATURES: {said}"),
        ],
        fix: "Start the kernel without NPY_DISABLE_CPU_FEATURES.".into(),
    }))
}

/// W002: the loop over the items holds no vector instruction, and calls nothing that could hold one.
fn scalar(found: &FoundCode<'_>) -> Option<Diagnosis> {
    let bodies = loops(&found.code);
    let is_loop = found.step.role == "loop" && !bodies.is_empty();
    let packed = found.code.iter().any(|one| one.packed);
    let mut inside = bodies.iter().flat_map(|body| &found.code[body.clone()]);
    if !is_loop || packed || inside.any(|one| leaves(one, &found.code)) {
        return None;
    }
    let body = bodies.iter().max_by_key(|body| body.end() - body.start())?;
    let spot = found.spot.as_ref()?;
    Some(Diagnosis {
        code: "W002",
        severity: Severity::Info,
        title: format!(
            "the loop of {} works on one item at a time: it holds no vector instruction.",
            spot.func()?
        ),
        evidence: evidence(body, &found.code),
        fix: "Another dtype may have a faster loop: compare %where with --dtype.".into(),
    })
}

/// Whether an instruction runs code outside of the function.
fn leaves(one: &Instruction, code: &[Instruction]) -> bool {
    let inside = |target: usize| {
        code.binary_search_by_key(&target, |other| other.address)
            .is_ok()
    };
    match one.flow {
        Flow::Call => true,
        Flow::Jump | Flow::Branch => !one.target.is_some_and(inside),
        Flow::Next | Flow::Return | Flow::Trap => false,
    }
}

fn evidence(body: &RangeInclusive<usize>, code: &[Instruction]) -> Vec<String> {
    const SHOWN: usize = 12;
    let lines = code[body.clone()]
        .iter()
        .take(SHOWN)
        .map(|one| one.text.clone());
    let count = body.end() - body.start() + 1;
    std::iter::once(format!(
        "{} instructions, {count} in the longest loop:",
        code.len()
    ))
    .chain(lines)
    .collect()
}
