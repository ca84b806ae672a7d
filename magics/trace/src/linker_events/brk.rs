//! The function that the linker calls for debuggers whenever its list changes. It is empty; for as long as a recording
//! lasts it begins with a jump to ours.
//!
//! Other threads may call it at any moment. So the jump's first byte, which makes a return of it or a jump, is written
//! alone, and every processor has seen the rest before it, or does not use it any more.

use std::ptr;

use diaphane_sight::proc::maps::Maps;
use diaphane_sight::proc::spans;
use rustix::mm::{MprotectFlags, mprotect};
use rustix::thread::{MembarrierCommand, membarrier};

use super::LinkerEventsRefused;
use crate::arch::jumps::{FAR_JUMP, HEAD, far_jump, first, is_breakpoint, only_returns};

/// A jump that can be placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct BrkPatch {
    at: usize,
    before: [u8; FAR_JUMP],
    jump: [u8; FAR_JUMP],
    page: usize,
    length: usize,
}

impl BrkPatch {
    /// Looks whether the function is as empty as it should be, with room for a jump.
    pub fn prepare(function: usize, target: usize) -> Result<Self, LinkerEventsRefused> {
        let code = spans::bytes(function, HEAD);
        let skipped = first(&code);
        let before = code
            .get(skipped..)
            .and_then(<[u8]>::first_chunk)
            .ok_or(LinkerEventsRefused::Unreadable)?;
        let at = function + skipped;
        if is_breakpoint(before) {
            return Err(LinkerEventsRefused::Debugger);
        }
        if !only_returns(before) {
            return Err(LinkerEventsRefused::Unknown);
        }
        let size = rustix::param::page_size();
        let page = at / size * size;
        let maps = Maps::read().map_err(|_| LinkerEventsRefused::Unreadable)?;
        let is_code = maps.find(at).is_some_and(|region| region.perms == "r-xp");
        let patch = Self {
            at,
            before: *before,
            jump: far_jump(target),
            page,
            length: (at + FAR_JUMP).next_multiple_of(size) - page,
        };
        membarrier(MembarrierCommand::RegisterPrivateExpeditedSyncCore)
            .map_err(|_| LinkerEventsRefused::Barrier)?;
        is_code.then_some(patch).ok_or(LinkerEventsRefused::Unknown)
    }

    /// Places the jump.
    pub fn place(&self) -> Result<(), LinkerEventsRefused> {
        self.open()?;
        self.write(&self.jump[1..], 1);
        synchronise();
        self.write(&self.jump[..1], 0);
        self.close();
        synchronise();
        Ok(())
    }

    /// Puts back what was there, unless somebody else wrote there meanwhile.
    pub fn undo(&self) {
        let is_ours = (0..FAR_JUMP).all(|index| self.read(index) == self.jump[index]);
        if !is_ours || self.open().is_err() {
            return;
        }
        self.write(&self.before[..1], 0);
        synchronise();
        self.write(&self.before[1..], 1);
        self.close();
    }

    fn open(&self) -> Result<(), LinkerEventsRefused> {
        self.protect(MprotectFlags::READ | MprotectFlags::WRITE | MprotectFlags::EXEC)
            .map_err(|_| LinkerEventsRefused::Memory)
    }

    fn close(&self) {
        let _ = self.protect(MprotectFlags::READ | MprotectFlags::EXEC);
    }

    #[allow(
        unsafe_code,
        reason = "the rights of the linker's own pages are changed"
    )]
    fn protect(&self, rights: MprotectFlags) -> rustix::io::Result<()> {
        // SAFETY: the pages are code of the linker, which stays, and can be read and run all the time.
        unsafe { mprotect(self.page as *mut _, self.length, rights) }
    }

    #[allow(unsafe_code, reason = "machine code is read")]
    fn read(&self, offset: usize) -> u8 {
        // SAFETY: it is code of the linker, which can be read as it was when this was prepared.
        unsafe { ptr::read_volatile((self.at + offset) as *const u8) }
    }

    #[allow(unsafe_code, reason = "machine code is written")]
    fn write(&self, bytes: &[u8], offset: usize) {
        for (index, byte) in bytes.iter().enumerate() {
            let place = (self.at + offset + index) as *mut u8;
            // SAFETY: the byte lies in pages that were just opened. It is padding behind the function, or the first byte,
            // which is valid code with either value of the rest.
            unsafe { ptr::write_volatile(place, *byte) };
        }
    }
}

/// Waits until no processor is in the middle of an instruction, and none has old code in its pipeline.
fn synchronise() {
    let _ = membarrier(MembarrierCommand::PrivateExpeditedSyncCore);
}
