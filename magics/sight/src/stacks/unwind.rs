//! Follows a copied stack from call to call, by the call frame information of the libraries.
//!
//! A register whose value is unknown stays so until somebody is seen to have saved it. Where the end of a frame depends on
//! it, or where hand-written assembly has no call frame information, the stack is searched for the return address: one
//! behind a call of this very function is a proof, another one from which all further steps fit, up to the thread's
//! first function, is marked as a guess.

use std::sync::Arc;

use gimli::{
    CfaRule, EvaluationResult, Expression, Location, RegisterRule, UnwindContext, UnwindExpression,
};

use super::code::Code;
use super::registers::{KEPT, RETURN, STACK};
use super::tables::{Bytes, Tables};
use super::{Found, Frame, Registers, Snapshot, Stack};
use crate::libs::Library;

/// No stack is followed farther.
const MOST: usize = 512;
/// How far a search looks for a return address.
const REACH: usize = 64 * 1024;
/// How many return addresses the searches in one stack try.
const TRIES: usize = 200;

/// What is needed to follow stacks.
pub struct Unwinder {
    code: Code,
    context: UnwindContext<usize>,
    /// How many return addresses may still be tried.
    tries: usize,
    /// How many guesses the walk stands on.
    guessing: usize,
}

/// Why a walk ends.
enum Stop {
    /// At the thread's first function.
    First,
    /// Where the end of the frame cannot be computed; with the function's start, if it is known.
    Unknown(Option<usize>),
    /// Where a value makes no sense.
    Lost,
}

/// The state behind a step.
struct Step {
    registers: Registers,
    /// Where the frame that was left ends.
    end: usize,
    /// Whether that frame is one that the kernel made for a signal, so that the next one was not left by a call.
    signal: bool,
}

/// A way on from a function whose frame has no known end.
struct Way {
    end: usize,
    frames: Vec<Frame>,
    complete: bool,
}

impl Unwinder {
    /// Prepares for the libraries.
    pub fn new(libraries: &[Library]) -> Self {
        Self {
            code: Code::of(libraries),
            context: UnwindContext::new(),
            tries: 0,
            guessing: 0,
        }
    }

    /// Follows a copy to its end.
    pub(super) fn unwind(&mut self, copy: Snapshot) -> Stack {
        self.tries = TRIES;
        let (frames, complete) = self.walk(&copy, copy.registers, false);
        Stack {
            frames,
            complete,
            noted: copy.noted,
            signalled: copy.signalled,
        }
    }

    /// The frames from a state on, and whether the last one is the thread's first function.
    fn walk(&mut self, copy: &Snapshot, from: Registers, called: bool) -> (Vec<Frame>, bool) {
        let (mut registers, mut called) = (from, called);
        let mut frames = Vec::new();
        while frames.len() < MOST {
            let address = registers.code;
            // A call may be the last instruction of its function.
            let lookup = address.wrapping_sub(usize::from(called));
            let step = self.step(copy, &registers, lookup, None);
            let end = step
                .as_ref()
                .map_or(registers.stack().unwrap_or(0), |step| step.end);
            frames.push(Frame {
                address,
                lookup,
                end,
                found: Found::Exact,
            });
            match step {
                // What an earlier signal left on the stack looks whole, and is not.
                Ok(step) if step.signal && self.guessing > 0 => return (frames, false),
                Ok(step) => {
                    called = !step.signal;
                    registers = step.registers;
                }
                Err(Stop::First) => return (frames, true),
                Err(Stop::Lost) => return (frames, false),
                Err(Stop::Unknown(start)) => {
                    let Some(way) = self.search(copy, &registers, lookup, start) else {
                        return (frames, false);
                    };
                    if let Some(last) = frames.last_mut() {
                        last.end = way.end;
                    }
                    frames.extend(way.frames);
                    return (frames, way.complete);
                }
            }
        }
        (frames, false)
    }

    /// One call outwards; the end of the frame is computed, unless it is assumed.
    fn step(
        &mut self,
        copy: &Snapshot,
        registers: &Registers,
        lookup: usize,
        assumed: Option<usize>,
    ) -> Result<Step, Stop> {
        let image = self.code.image(lookup).ok_or(Stop::Unknown(None))?;
        let tables = Tables::of(image);
        let entry = tables.entry(lookup).ok_or(Stop::Unknown(None))?;
        let row = entry
            .unwind_info_for_address(
                &tables.frames(),
                tables.bases(),
                &mut self.context,
                lookup as u64,
            )
            .map_err(|_| Stop::Unknown(None))?;
        let Some(rule) = row
            .register(entry.cie().return_address_register())
            .filter(|rule| *rule != RegisterRule::Undefined)
        else {
            return Err(Stop::First);
        };
        let machine = Machine {
            copy,
            registers,
            tables: &tables,
        };
        let start = usize::try_from(entry.initial_address()).ok();
        let frame = assumed
            .or_else(|| machine.frame(row.cfa()))
            .ok_or(Stop::Unknown(start))?;
        let code = machine.restored(&rule, RETURN, frame).ok_or(Stop::Lost)?;
        let mut outer = Registers::new(frame, code);
        for number in KEPT.into_iter().chain([STACK]) {
            let value = match row.register(gimli::Register(number)) {
                Some(rule) => machine.restored(&rule, number, frame),
                None if number == STACK => Some(frame),
                None => registers.get(number),
            };
            outer.set(number, value);
        }
        let signal = entry.is_signal_trampoline();
        // A stack grows downwards; a signal may have moved to another one.
        let inner = registers.stack().ok_or(Stop::Lost)?;
        match code {
            // The first function of a thread returns to nowhere.
            0 => Err(Stop::First),
            _ if signal || frame > inner => Ok(Step {
                registers: outer,
                end: frame,
                signal,
            }),
            _ => Err(Stop::Lost),
        }
    }

    /// Looks for the return address of a function whose frame has no known end: the nearest one whose call is a call of
    /// this function, or else the nearest one from which all further steps fit.
    fn search(
        &mut self,
        copy: &Snapshot,
        registers: &Registers,
        lookup: usize,
        start: Option<usize>,
    ) -> Option<Way> {
        // Outside of code, nothing was called.
        self.code.image(lookup)?;
        let stack = registers.stack()?;
        let words = copy.words_from(stack).take(REACH / size_of::<usize>());
        let mut returns: Vec<(usize, usize)> = words
            .filter(|&(_, word)| self.code.follows_a_call(word))
            .collect();
        if start.is_none() {
            // Words of earlier calls may lie in between; assembly is mostly called by its own library.
            let own = self.code.image(lookup).map(Arc::as_ptr);
            let is_foreign = |address| self.code.image(address).map(Arc::as_ptr) != own;
            returns.sort_by_key(|&(_, address)| is_foreign(address));
        }
        let mut likely: Option<Way> = None;
        for (place, address) in returns {
            let proven = start.is_some() && self.code.called_before(address) == start;
            if self.tries == 0 || (likely.is_some() && !proven) {
                continue;
            }
            self.tries -= 1;
            let end = place + size_of::<usize>();
            let outer = match start {
                Some(_) => match self.step(copy, registers, lookup, Some(end)) {
                    Ok(step) if step.registers.code == address => step.registers,
                    _ => continue,
                },
                None => registers.returned(end, address),
            };
            self.guessing += usize::from(!proven);
            let (mut frames, complete) = self.walk(copy, outer, true);
            self.guessing -= usize::from(!proven);
            if !proven && !complete {
                continue;
            }
            // With another way before it, not even this one is sure.
            if !proven || likely.is_some() {
                frames[0].found = Found::Guess;
            }
            let way = Way {
                end,
                frames,
                complete,
            };
            if proven {
                return Some(way);
            }
            likely = Some(way);
        }
        likely
    }
}

impl Registers {
    /// The state after a return, if the function has restored what it must.
    fn returned(mut self, stack: usize, code: usize) -> Self {
        self.code = code;
        self.set(STACK, Some(stack));
        self
    }
}

impl Snapshot {
    /// The words of the stack from an address on, each with its place.
    fn words_from(&self, address: usize) -> impl Iterator<Item = (usize, usize)> {
        let from = address.saturating_sub(self.start).min(self.stack.len());
        let (words, _) = self.stack[from..].as_chunks::<{ size_of::<usize>() }>();
        let first = self.start + from;
        let places = (first..).step_by(size_of::<usize>());
        places.zip(words.iter().map(|word| usize::from_ne_bytes(*word)))
    }
}

/// What expressions and rules may ask for.
struct Machine<'a> {
    copy: &'a Snapshot,
    registers: &'a Registers,
    tables: &'a Arc<Tables>,
}

impl Machine<'_> {
    /// Where the frame ends.
    fn frame(&self, rule: &CfaRule<usize>) -> Option<usize> {
        match rule {
            CfaRule::RegisterAndOffset { register, offset } => {
                let base = self.registers.get(register.0)?;
                Some(base.wrapping_add_signed(*offset as isize))
            }
            CfaRule::Expression(expression) => self.evaluate(expression, None),
        }
    }

    /// A word of the copied stack.
    fn word(&self, address: usize) -> Option<usize> {
        let at = address.checked_sub(self.copy.start)?;
        let word = self
            .copy
            .stack
            .get(at..at.checked_add(size_of::<usize>())?)?;
        Some(usize::from_ne_bytes(word.try_into().ok()?))
    }

    /// The value that a register had in the caller.
    fn restored(&self, rule: &RegisterRule<usize>, number: u16, frame: usize) -> Option<usize> {
        match rule {
            RegisterRule::SameValue => self.registers.get(number),
            RegisterRule::Offset(offset) => self.word(frame.wrapping_add_signed(*offset as isize)),
            RegisterRule::ValOffset(offset) => Some(frame.wrapping_add_signed(*offset as isize)),
            RegisterRule::Register(other) => self.registers.get(other.0),
            RegisterRule::Expression(expression) => {
                self.word(self.evaluate(expression, Some(frame))?)
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
                    let word = self.word(usize::try_from(address).ok()?)?;
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
