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

/// `jmp [rip]`, and the address behind it.
const JUMP: usize = 14;
/// What indirect jumps may have to lead to.
const ENDBR: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
const RET: u8 = 0xc3;

/// A jump that can be placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct BrkPatch {
    at: usize,
    before: [u8; JUMP],
    jump: [u8; JUMP],
    page: usize,
    length: usize,
}

impl BrkPatch {
    /// Looks whether the function is as empty as it should be, with room for a jump.
    pub fn prepare(function: usize, target: usize) -> Result<Self, LinkerEventsRefused> {
        let code = spans::bytes(function, ENDBR.len() + JUMP);
        if code.len() < ENDBR.len() + JUMP {
            return Err(LinkerEventsRefused::Unreadable);
        }
        let skipped = if code.starts_with(ENDBR) {
            ENDBR.len()
        } else {
            0
        };
        let mut before = [0; JUMP];
        before.copy_from_slice(&code[skipped..skipped + JUMP]);
        let at = function + skipped;
        match before[0] {
            RET => {}
            0xcc => return Err(LinkerEventsRefused::Debugger),
            _ => return Err(LinkerEventsRefused::Unknown),
        }
        if !is_padding(&before[1..]) {
            return Err(LinkerEventsRefused::Unknown);
        }
        let size = rustix::param::page_size();
        let page = at / size * size;
        let maps = Maps::read().map_err(|_| LinkerEventsRefused::Unreadable)?;
        let is_code = maps.find(at).is_some_and(|region| region.perms == "r-xp");
        let mut jump = [0; JUMP];
        jump[..2].copy_from_slice(&[0xff, 0x25]);
        jump[6..].copy_from_slice(&target.to_le_bytes());
        let patch = Self {
            at,
            before,
            jump,
            page,
            length: (at + JUMP).next_multiple_of(size) - page,
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
        let is_ours = (0..JUMP).all(|index| self.read(index) == self.jump[index]);
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

/// Whether these bytes are never run: assemblers fill up with breakpoints, zeros or long forms of `nop`.
fn is_padding(mut bytes: &[u8]) -> bool {
    // The longest `nop` first: with prefixes, `cs nop word ptr [rax + rax]`.
    while let Some((&first, rest)) = bytes.split_first() {
        bytes = match first {
            0xcc | 0x00 | 0x90 | 0x66 | 0x2e => rest,
            0x0f if rest.first() == Some(&0x1f) => {
                // Its operand takes no more than six bytes, which may lie beyond what we look at.
                let operand = match rest.get(1) {
                    Some(0x00) => 1,
                    Some(0x40) => 2,
                    Some(0x44) => 3,
                    Some(0x80) => 5,
                    Some(0x84) => 6,
                    None => 0,
                    Some(_) => return false,
                };
                rest.get(1 + operand..).unwrap_or_default()
            }
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fills_up_is_padding() {
        // As GCC fills up 15 bytes, and 13 of them; `int3`; code.
        let gcc = [
            0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, 0x0f, 0x1f, 0x40, 0,
        ];
        assert!(is_padding(&gcc) && is_padding(&gcc[..13]) && is_padding(&[0xcc; 13]));
        assert!(!is_padding(&[0x90, 0x90, 0x55]) && !is_padding(&[0x0f, 0x05]));
    }
}
