//! Follows a copied stack from call to call, by the call frame information of the libraries.
//!
//! A register whose value is unknown stays so until somebody is seen to have saved it. Where the end of a frame depends on
//! it, or where hand-written assembly has no call frame information, the stack is searched for the return address: one
//! behind a call of this very function is a proof, another one from which all further steps fit, up to the thread's
//! first function, is marked as a guess.

use std::collections::HashMap;
use std::sync::Arc;

use gimli::{RegisterRule, UnwindContext};

use super::code::Code;
use super::machine::Machine;
use super::registers::{KEPT, RETURN, STACK};
use super::rows::{Known, Rows, Simple};
use super::tables::Tables;
use super::{Found, Frame, Registers, Snapshot, Stack};
use crate::linker::libraries::Library;

/// No stack is followed farther.
const MOST: usize = 512;
/// How far a search looks for a return address.
const REACH: usize = 64 * 1024;
/// How many return addresses the searches in one stack try, one inside the other at worst.
const TRIES: usize = 200;

/// What is needed to follow stacks.
pub struct Unwinder {
    code: Code,
    context: UnwindContext<usize>,
    rows: Rows,
    /// How far from the stack pointer the return address was, by the instruction in code without call frame information.
    distances: HashMap<usize, usize>,
    /// Whether the walk had to search.
    searched: bool,
    /// How many return addresses may still be tried.
    tries: usize,
    /// How many guesses the walk stands on.
    guessing: usize,
}

/// Why a walk ends.
pub(super) enum Stop {
    /// At the thread's first function.
    First,
    /// Where the end of the frame cannot be computed; with the function's start, if it is known.
    Unknown(Option<usize>),
    /// Where a value makes no sense.
    Lost,
}

/// The state behind a step.
pub(super) struct Step {
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
            rows: Rows::default(),
            distances: HashMap::new(),
            searched: false,
            tries: 0,
            guessing: 0,
        }
    }

    /// Whether it is for the same code as another one.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.code.is_of(&other.code)
    }

    /// Follows a copy to its end.
    pub fn unwind(&mut self, copy: Snapshot) -> Stack {
        self.tries = TRIES;
        self.searched = false;
        let (mut frames, mut complete) = self.walk(&copy, copy.registers, false);
        if !complete && let Some(first) = self.own_first(&frames) {
            frames.truncate(first + 1);
            complete = true;
        }
        Stack {
            frames,
            complete,
            noted: copy.noted,
            signalled: copy.signalled,
            searched: self.searched,
        }
    }

    /// The outermost frame of a stack that is copied away and back. Where the walk breaks off behind it, it has met what
    /// others left there, and nothing of this stack is missing.
    fn own_first(&self, frames: &[Frame]) -> Option<usize> {
        let copies = |frame: &Frame| self.code.copies_stacks(frame.lookup);
        frames.iter().rposition(copies)
    }

    /// Who called, from inside of code for which `is_inside` holds: the first address in other code. The stack may be a
    /// short piece, `from` its lowest address on; what it does not show is not guessed.
    pub fn caller(
        &mut self,
        mut registers: Registers,
        from: usize,
        stack: Vec<u8>,
        is_inside: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let copy = Snapshot::new(registers, from, stack);
        let mut lookup = registers.code;
        for _ in 0..MOST {
            if !is_inside(lookup) {
                return Some(lookup);
            }
            let step = self.step(&copy, &registers, lookup, None);
            registers = match step {
                Ok(step) => step.registers,
                // Where assembly calls the kernel it has mostly no information, and nothing on the stack.
                Err(_) if registers.stack() == Some(from) => {
                    let (_, code) = copy.words_from(from).next()?;
                    registers.returned(from + size_of::<usize>(), code)
                }
                Err(_) => return None,
            };
            lookup = registers.code.wrapping_sub(1);
        }
        None
    }

    /// The frames from a state on, and whether the last one is the thread's first function.
    fn walk(&mut self, copy: &Snapshot, from: Registers, called: bool) -> (Vec<Frame>, bool) {
        let (mut registers, mut called) = (from, called);
        let mut frames = Vec::new();
        while frames.len() < MOST {
            if is_below(copy, &registers) && !frames.is_empty() {
                return (frames, true);
            }
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
        match self.rows.get(lookup) {
            Some(Known::Simple(row)) => return row.step(copy, registers, assumed),
            Some(Known::First) => return Err(Stop::First),
            Some(Known::Nothing) => return Err(Stop::Unknown(None)),
            Some(Known::Other) | None => {}
        }
        let (known, step) = self.read(copy, registers, lookup, assumed);
        self.rows.remember(lookup, known);
        step
    }

    /// The same by the tables, and what to remember of them.
    fn read(
        &mut self,
        copy: &Snapshot,
        registers: &Registers,
        lookup: usize,
        assumed: Option<usize>,
    ) -> (Known, Result<Step, Stop>) {
        let nothing = (Known::Nothing, Err(Stop::Unknown(None)));
        let Some(image) = self.code.image(lookup) else {
            return nothing;
        };
        let tables = Tables::of(image);
        let Some(entry) = tables.entry(lookup) else {
            return nothing;
        };
        let (frames, bases) = (tables.frames(), tables.bases());
        let row = entry.unwind_info_for_address(&frames, bases, &mut self.context, lookup as u64);
        let Ok(row) = row else {
            return nothing;
        };
        let Some(rule) = row
            .register(entry.cie().return_address_register())
            .filter(|rule| *rule != RegisterRule::Undefined)
        else {
            return (Known::First, Err(Stop::First));
        };
        let start = usize::try_from(entry.initial_address()).ok();
        let signal = entry.is_signal_trampoline();
        if let Some(simple) = Simple::of(row, start, &rule, signal) {
            return (Known::Simple(simple), simple.step(copy, registers, assumed));
        }
        let machine = Machine {
            copy,
            registers,
            tables: &tables,
        };
        let step = || {
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
            leave(registers, outer, frame, signal)
        };
        (Known::Other, step())
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
        self.searched = true;
        if self.tries == 0 {
            return None;
        }
        let stack = registers.stack()?;
        if start.is_none()
            && let Some(way) = self.as_before(copy, registers, lookup)
        {
            return Some(way);
        }
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
        if let Some(way) = likely.as_ref().filter(|_| start.is_none()) {
            self.distances.insert(lookup, way.end - stack);
        }
        likely
    }

    /// The way on if the return address lies where it was found the last time at this instruction.
    fn as_before(&mut self, copy: &Snapshot, registers: &Registers, lookup: usize) -> Option<Way> {
        let end = registers
            .stack()?
            .checked_add(*self.distances.get(&lookup)?)?;
        let address = copy.word(end.checked_sub(size_of::<usize>())?)?;
        if !self.code.follows_a_call(address) {
            return None;
        }
        self.tries = self.tries.checked_sub(1)?;
        self.guessing += 1;
        let (mut frames, complete) = self.walk(copy, registers.returned(end, address), true);
        self.guessing -= 1;
        frames.first_mut()?.found = Found::Guess;
        complete.then_some(Way {
            end,
            frames,
            complete,
        })
    }
}

/// Whether nobody wants to know who made this call.
fn is_below(copy: &Snapshot, registers: &Registers) -> bool {
    copy.floor
        .is_some_and(|floor| registers.stack().is_some_and(|stack| stack >= floor))
}

/// The step behind a frame, if it makes sense.
pub(super) fn leave(
    inner: &Registers,
    outer: Registers,
    frame: usize,
    signal: bool,
) -> Result<Step, Stop> {
    // A stack grows downwards; a signal may have moved to another one.
    let stack = inner.stack().ok_or(Stop::Lost)?;
    match outer.code {
        // The first function of a thread returns to nowhere.
        0 => Err(Stop::First),
        _ if signal || frame > stack => Ok(Step {
            registers: outer,
            end: frame,
            signal,
        }),
        _ => Err(Stop::Lost),
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
