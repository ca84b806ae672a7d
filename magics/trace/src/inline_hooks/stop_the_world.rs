//! Stops all other threads for a moment, outside of the instructions that are to be changed.
//!
//! A thread that blocks the signal cannot be stopped; `unsignalled` tells whether it may be left running. Between the first
//! signal and the release nothing is allocated and no lock is taken, since a stopped thread may hold it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use diaphane_sight::proc::tasks;
use diaphane_sight::unwind::Unsent;
use rustix::fs::Timespec;
use rustix::thread::{futex, gettid};

use super::List;
use super::library::Ready;
use super::signal::{
    LIBRARIES, MOST, SLOTS, STOP_ANSWERS, STOPPED, ask, handled, phase, without_signals,
};
use crate::inline_hooks::unsignalled::UnsignalledThread;

/// Between two looks at threads that did not answer.
const LOOK: Duration = Duration::from_micros(500);

/// Why the threads were not stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InlineHooksRefused {
    /// No signal is free, or none may be sent.
    #[error("no signal can be sent to the threads of this process")]
    Signal,
    /// They cannot all be listed.
    #[error("the threads of this process cannot be listed, or there are too many")]
    Threads,
    /// One runs on.
    #[error("the thread {0} did not stop in time")]
    Silent(i32),
    /// One stands where no instruction begins.
    #[error("the thread {0} stands where no instruction begins")]
    Lost(i32),
    /// The system does not let code be written.
    #[error("the system does not let code be changed")]
    Denied,
    /// Something is hooked already.
    #[error("functions are hooked already")]
    Busy,
}

/// How much a thread that does not answer is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing happens then.
    None,
    /// It may be left where it sleeps outside of the code.
    Sleeping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// It blocks the signal.
    Blocks,
    Ready,
    Asked,
    Left,
    Gone,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    tid: i32,
    state: State,
    seen: u32,
}

/// The other threads, and room for what is learned about them.
struct World<'a> {
    libraries: List,
    signal: i32,
    stop: u32,
    own: i32,
    trust: Trust,
    members: Vec<Member>,
    round: u32,
    /// Those that may be left running though they cannot be stopped.
    unsignalled: &'a [UnsignalledThread],
}

/// Runs something while all other threads stand still, and says for how long they did. Only one thread may do this at a
/// time.
pub(super) fn while_stopped<T>(
    libraries: &'static List,
    unsignalled: &[UnsignalledThread],
    timeout: Duration,
    trust: Trust,
    run: impl FnOnce() -> T,
) -> Result<(T, Duration), InlineHooksRefused> {
    let signal = handled().ok_or(InlineHooksRefused::Signal)?;
    let mut world = World {
        libraries,
        signal,
        stop: next_stop(),
        own: gettid().as_raw_nonzero().get(),
        trust,
        members: Vec::with_capacity(MOST),
        round: 0,
        unsignalled,
    };
    LIBRARIES.store(std::ptr::from_ref(libraries).cast_mut(), Ordering::Release);
    without_signals(|| {
        world.list()?;
        world.judge();
        let began = Instant::now();
        STOPPED.store(world.stop, Ordering::Release);
        let outcome = world.stop_all(began, timeout);
        let outcome = outcome.map(|()| run());
        world.release();
        outcome.map(|result| (result, began.elapsed()))
    })
}

/// Numbers of stops are never 0.
fn next_stop() -> u32 {
    use std::sync::atomic::AtomicU32;
    static LAST: AtomicU32 = AtomicU32::new(0);
    (LAST.fetch_add(1, Ordering::Relaxed) + 1).max(1)
}

impl World<'_> {
    /// Whether a thread runs none of the code that will be changed.
    fn is_outside(&self, thread: &UnsignalledThread) -> bool {
        let chosen = |one: &&Ready| {
            self.libraries
                .iter()
                .any(|library| std::ptr::eq(*library, *one))
        };
        !thread.runs.iter().any(chosen)
    }

    /// What was learned of a thread that blocks the signal.
    fn find_unsignalled(&self, tid: i32) -> State {
        let known = self.unsignalled.iter().find(|known| known.tid == tid);
        match known {
            Some(thread) if self.is_outside(thread) => State::Left,
            _ => State::Blocks,
        }
    }

    /// Until a list shows nobody new and all have answered.
    fn stop_all(&mut self, began: Instant, timeout: Duration) -> Result<(), InlineHooksRefused> {
        loop {
            let rung = STOP_ANSWERS.load(Ordering::Acquire);
            self.ask()?;
            let settled = self.settled()?;
            let new = self.list()?;
            if settled && !new {
                return Ok(());
            }
            self.judge();
            let now = Instant::now();
            if now > began + timeout {
                self.give_up()?;
                continue;
            }
            let waits = self.members.iter().any(|one| one.state == State::Ready);
            if !waits {
                let look = Timespec {
                    tv_sec: 0,
                    tv_nsec: i64::from(LOOK.subsec_nanos()),
                };
                let _ = futex::wait(&STOP_ANSWERS, futex::Flags::PRIVATE, rung, Some(&look));
            }
        }
    }

    /// Lists the threads; says whether one is new.
    fn list(&mut self) -> Result<bool, InlineHooksRefused> {
        self.round += 1;
        let (round, own, members) = (self.round, self.own, &mut self.members);
        let mut new = false;
        let mut too_many = false;
        let listed = tasks::each(|tid| {
            if tid == own {
                return;
            }
            if let Some(known) = members.iter_mut().find(|one| one.tid == tid) {
                known.seen = round;
                return;
            }
            new = true;
            too_many |= members.len() == MOST;
            if !too_many {
                members.push(Member {
                    tid,
                    state: State::New,
                    seen: round,
                });
            }
        });
        for gone in members.iter_mut().filter(|one| one.seen != round) {
            gone.state = State::Gone;
        }
        match listed {
            Some(()) if !too_many => Ok(new),
            _ => Err(InlineHooksRefused::Threads),
        }
    }

    /// Decides who can be asked.
    fn judge(&mut self) {
        for index in 0..self.members.len() {
            let Member { tid, state, .. } = self.members[index];
            if !matches!(state, State::New | State::Blocks) {
                continue;
            }
            self.members[index].state = match tasks::status(tid) {
                None => State::Gone,
                Some(status) if status.ended => State::Gone,
                Some(status) if !status.blocks(self.signal) => State::Ready,
                // It may only be beginning: then it will take the signal soon.
                Some(_) => self.find_unsignalled(tid),
            };
        }
    }

    /// Sends the signal to those who can be asked.
    fn ask(&mut self) -> Result<(), InlineHooksRefused> {
        let stop = u64::from(self.stop) << 3;
        for (index, member) in self.members.iter_mut().enumerate() {
            if member.state != State::Ready {
                continue;
            }
            SLOTS[index].store(stop | phase::ASKED, Ordering::Release);
            member.state = match ask(member.tid, self.signal, self.stop, index) {
                Ok(()) => State::Asked,
                Err(Unsent::Gone) => State::Gone,
                Err(Unsent::Denied) => return Err(InlineHooksRefused::Signal),
            };
        }
        Ok(())
    }

    /// Whether nobody runs who must not.
    fn settled(&self) -> Result<bool, InlineHooksRefused> {
        let stop = u64::from(self.stop) << 3;
        let mut settled = true;
        for (member, slot) in self.members.iter().zip(&SLOTS) {
            settled &= match member.state {
                State::Gone | State::Left => true,
                State::New | State::Ready | State::Blocks => false,
                State::Asked => match slot.load(Ordering::Acquire) {
                    answer if answer == stop | phase::WAITS => true,
                    answer if answer == stop | phase::LOST => {
                        return Err(InlineHooksRefused::Lost(member.tid));
                    }
                    _ => false,
                },
            };
        }
        Ok(settled)
    }

    /// When time is up: whoever did not stop is left, if that is allowed.
    fn give_up(&mut self) -> Result<(), InlineHooksRefused> {
        let stop = u64::from(self.stop) << 3;
        for (member, slot) in self.members.iter_mut().zip(&SLOTS) {
            let tid = member.tid;
            let waits = slot.load(Ordering::Acquire) == stop | phase::WAITS;
            let outside = || {
                let holds =
                    |library: &&Ready, code| library.code.iter().any(|span| span.contains(code));
                let position = tasks::position(tid);
                position
                    .is_some_and(|at| !self.libraries.iter().any(|library| holds(library, at.code)))
            };
            match member.state {
                State::Gone | State::Left => {}
                State::Asked if waits => {}
                _ if self.trust == Trust::Sleeping && outside() => member.state = State::Left,
                _ => return Err(InlineHooksRefused::Silent(tid)),
            }
        }
        Ok(())
    }

    /// Lets all run. Those who have not answered find their slots closed.
    fn release(&self) {
        let stop = u64::from(self.stop) << 3;
        for (slot, _) in SLOTS.iter().zip(&self.members) {
            let _ = slot.compare_exchange(
                stop | phase::ASKED,
                stop | phase::CLOSED,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
        }
        STOPPED.store(0, Ordering::Release);
        let _ = futex::wake(&STOPPED, futex::Flags::PRIVATE, i32::MAX.cast_unsigned());
    }
}
