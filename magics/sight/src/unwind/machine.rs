//! What the rules of call frame information compute, from the registers and the copied stack.

use std::sync::Arc;

use gimli::{CfaRule, EvaluationResult, Expression, Location, RegisterRule, UnwindExpression};

use super::registers::RETURN;
use super::tables::{Bytes, Tables};
use super::{Registers, Snapshot};

/// What expressions and rules may ask for.
pub(super) struct Machine<'a> {
    pub copy: &'a Snapshot,
    pub registers: &'a Registers,
    pub tables: &'a Arc<Tables>,
}

impl Machine<'_> {
    /// Where the frame ends.
    pub(super) fn frame(&self, rule: &CfaRule<usize>) -> Option<usize> {
        match rule {
            CfaRule::RegisterAndOffset { register, offset } => {
                let base = self.registers.get(register.0)?;
                Some(base.wrapping_add_signed(*offset as isize))
            }
            CfaRule::Expression(expression) => self.evaluate(expression, None),
        }
    }

    /// The value that a register had in the caller.
    pub(super) fn restored(
        &self,
        rule: &RegisterRule<usize>,
        number: u16,
        frame: usize,
    ) -> Option<usize> {
        match rule {
            RegisterRule::SameValue => self.registers.get(number),
            RegisterRule::Offset(offset) => {
                self.copy.word(frame.wrapping_add_signed(*offset as isize))
            }
            RegisterRule::ValOffset(offset) => Some(frame.wrapping_add_signed(*offset as isize)),
            RegisterRule::Register(other) => self.registers.get(other.0),
            RegisterRule::Expression(expression) => {
                self.copy.word(self.evaluate(expression, Some(frame))?)
            }
            RegisterRule::ValExpression(expression) => self.evaluate(expression, Some(frame)),
            RegisterRule::Constant(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    fn evaluate(
        &self,
        expression: &UnwindExpression<usize>,
        frame: Option<usize>,
    ) -> Option<usize> {
        let section = self.tables.frames();
        let expression: Expression<Bytes<'_>> = expression.get(&section).ok()?;
        let encoding = gimli::Encoding {
            address_size: 8,
            format: gimli::Format::Dwarf32,
            version: 4,
        };
        let mut evaluation = expression.evaluation(encoding);
        evaluation.set_max_iterations(256);
        if let Some(frame) = frame {
            evaluation.set_initial_value(frame as u64);
        }
        let mut result = evaluation.evaluate().ok()?;
        loop {
            result = match result {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresMemory { address, .. } => {
                    let word = self.copy.word(usize::try_from(address).ok()?)?;
                    evaluation.resume_with_memory(gimli::Value::Generic(word as u64))
                }
                EvaluationResult::RequiresRegister { register, .. } => {
                    let known = match register.0 {
                        RETURN => Some(self.registers.code),
                        number => self.registers.get(number),
                    };
                    evaluation.resume_with_register(gimli::Value::Generic(known? as u64))
                }
                _ => return None,
            }
            .ok()?;
        }
        match evaluation.as_result().first()?.location {
            Location::Address { address } => usize::try_from(address).ok(),
            _ => None,
        }
    }
}
