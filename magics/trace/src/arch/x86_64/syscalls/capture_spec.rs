//! What is copied of a call's arguments besides their values: the texts and structures that they point to.

use super::Copied::{self, Bytes, Filled, Path};
use super::Length::{Argument, Fixed, Result};

/// The longest copy of a path, and of anything else.
pub(super) const LONGEST_PATH: usize = 1024;
pub(super) const LONGEST: usize = 64;

/// What to copy of a call.
pub(super) fn of(number: i64) -> &'static [Copied] {
    match number {
        libc::SYS_open
        | libc::SYS_creat
        | libc::SYS_access
        | libc::SYS_chdir
        | libc::SYS_chmod
        | libc::SYS_chown
        | libc::SYS_lchown
        | libc::SYS_mkdir
        | libc::SYS_mknod
        | libc::SYS_rmdir
        | libc::SYS_truncate
        | libc::SYS_unlink
        | libc::SYS_execve
        | libc::SYS_statfs
        | libc::SYS_memfd_create
        | libc::SYS_chroot => &[Path(0)],
        libc::SYS_openat
        | libc::SYS_openat2
        | libc::SYS_faccessat
        | libc::SYS_faccessat2
        | libc::SYS_fchmodat
        | libc::SYS_fchownat
        | libc::SYS_mkdirat
        | libc::SYS_mknodat
        | libc::SYS_statx
        | libc::SYS_unlinkat
        | libc::SYS_utimensat
        | libc::SYS_inotify_add_watch
        | libc::SYS_execveat => &[Path(1)],
        libc::SYS_stat | libc::SYS_lstat => &[Path(0), Filled(1, Fixed(64))],
        libc::SYS_newfstatat => &[Path(1), Filled(2, Fixed(64))],
        libc::SYS_fstat => &[Filled(1, Fixed(64))],
        libc::SYS_rename | libc::SYS_link | libc::SYS_symlink => &[Path(0), Path(1)],
        libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_linkat => &[Path(1), Path(3)],
        libc::SYS_symlinkat => &[Path(0), Path(2)],
        libc::SYS_readlink => &[Path(0), Filled(1, Result)],
        libc::SYS_readlinkat => &[Path(1), Filled(2, Result)],
        libc::SYS_getcwd => &[Filled(0, Result)],
        libc::SYS_read | libc::SYS_pread64 | libc::SYS_recvfrom => &[Filled(1, Result)],
        libc::SYS_write | libc::SYS_pwrite64 => &[Bytes(1, Argument(2))],
        libc::SYS_sendto => &[Bytes(1, Argument(2)), Bytes(4, Argument(5))],
        libc::SYS_connect | libc::SYS_bind => &[Bytes(1, Argument(2))],
        libc::SYS_pipe | libc::SYS_pipe2 => &[Filled(0, Fixed(8))],
        libc::SYS_socketpair => &[Filled(3, Fixed(8))],
        libc::SYS_wait4 => &[Filled(1, Fixed(4))],
        libc::SYS_clone3 => &[Bytes(0, Fixed(64))],
        _ => &[],
    }
}

/// Whether a call that failed with this error had read the path by then.
pub(super) fn has_read_path(error: i32) -> bool {
    matches!(
        error,
        libc::ENOENT
            | libc::EACCES
            | libc::EEXIST
            | libc::ENOTDIR
            | libc::EISDIR
            | libc::ELOOP
            | libc::ENOTEMPTY
            | libc::EROFS
            | libc::ENXIO
            | libc::ENOEXEC
    )
}

/// Whether a call that failed with this error had read the address.
pub(super) fn has_read_address(error: i32) -> bool {
    matches!(
        error,
        libc::EINPROGRESS
            | libc::ECONNREFUSED
            | libc::ENOENT
            | libc::EADDRINUSE
            | libc::EADDRNOTAVAIL
            | libc::ENETUNREACH
            | libc::EPIPE
            | libc::EAGAIN
    )
}
