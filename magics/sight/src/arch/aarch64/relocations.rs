//! The relocations that fill a global offset table.

use object::elf::{R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT, RelocationType};

/// Those that fill an entry with the address of a name.
pub const BY_NAME: [RelocationType; 2] = [R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT];
/// That of an entry that only calls go through.
pub const JUMP: RelocationType = R_AARCH64_JUMP_SLOT;
