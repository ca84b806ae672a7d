//! What the arguments of system calls are, and the groups that strace has names for.

use diaphane_forks::ForkOnce;
use std::collections::HashMap;

/// One call a line: its name, then what each argument is. A call that is not here is shown with bare numbers.
const SIGNATURES: &str = "
read fd filled size
pread64 fd filled size number
write fd bytes size
pwrite64 fd bytes size number
readv fd pointer number
writev fd pointer number
preadv fd pointer number number
pwritev fd pointer number number
open path open mode
creat path mode
openat dirfd path open mode
openat2 dirfd path pointer size
close fd
close_range number number hex
dup fd
dup2 fd fd
dup3 fd fd open
stat path stat
lstat path stat
fstat fd stat
newfstatat dirfd path stat at
statx dirfd path at hex pointer
statfs path pointer
fstatfs fd pointer
access path access
faccessat dirfd path access
faccessat2 dirfd path access at
lseek fd number whence
ioctl fd hex pointer
fcntl fd fcntl number
flock fd number
fsync fd
fdatasync fd
ftruncate fd number
truncate path number
getdents64 fd pointer size
getcwd filled size
chdir path
fchdir fd
mkdir path mode
mkdirat dirfd path mode
rmdir path
unlink path
unlinkat dirfd path at
rename path path
renameat dirfd path dirfd path
renameat2 dirfd path dirfd path hex
link path path
linkat dirfd path dirfd path at
symlink path path
symlinkat path dirfd path
readlink path filled size
readlinkat dirfd path filled size
chmod path mode
fchmod fd mode
fchmodat dirfd path mode
chown path number number
lchown path number number
fchown fd number number
fchownat dirfd path number number at
mknod path mode hex
mknodat dirfd path mode hex
utimensat dirfd path pointer at
execve path pointer pointer
execveat dirfd path pointer pointer at
chroot path
memfd_create path hex
copy_file_range fd pointer fd pointer size hex
sendfile fd fd pointer size
fadvise64 fd number size number
fallocate fd number number size
inotify_init1 hex
inotify_add_watch fd path hex
mmap address size prot map fd hex
munmap address size
mremap address size size mremap address
mprotect address size prot
madvise address size madvise
mlock address size
munlock address size
msync address size number
mincore address size pointer
brk address
mbind address size number pointer number hex
set_mempolicy number pointer number
get_mempolicy pointer pointer number address hex
membarrier number hex number
clone clone pointer pointer pointer pointer
clone3 clone3 size
fork
vfork
exit number
exit_group number
wait4 pid status wait pointer
waitid number pid pointer wait pointer
kill pid signal
tkill pid signal
tgkill pid pid signal
getpid
getppid
gettid
getuid
geteuid
getgid
getegid
getpgrp
getpgid pid
setsid
getsid pid
setpgid pid pid
prctl number hex hex hex hex
arch_prctl hex pointer
set_tid_address pointer
set_robust_list pointer size
get_robust_list pid pointer pointer
rseq pointer size hex hex
sched_yield
sched_getaffinity pid size pointer
sched_setaffinity pid size pointer
sched_getparam pid pointer
sched_getscheduler pid
getpriority number number
setpriority number number number
getrusage number pointer
getrlimit number pointer
setrlimit number pointer
prlimit64 pid number pointer pointer
sysinfo pointer
uname pointer
umask mode
times pointer
getrandom pointer size hex
pidfd_open pid hex
pidfd_send_signal fd signal pointer hex
futex pointer futex number pointer pointer number
nanosleep pointer pointer
clock_nanosleep clock number pointer pointer
clock_gettime clock pointer
clock_getres clock pointer
gettimeofday pointer pointer
timer_create clock pointer pointer
timer_settime number hex pointer pointer
timer_delete number
setitimer number pointer pointer
getitimer number pointer
timerfd_create clock hex
timerfd_settime fd hex pointer pointer
alarm number
pause
rt_sigaction signal pointer pointer size
rt_sigprocmask how pointer pointer size
rt_sigreturn
rt_sigsuspend pointer size
rt_sigpending pointer size
rt_sigtimedwait pointer pointer pointer size
rt_tgsigqueueinfo pid pid signal pointer
sigaltstack pointer pointer
signalfd4 fd pointer size hex
socket family type number
socketpair family type number pair
connect fd sockaddr size
bind fd sockaddr size
listen fd number
accept fd pointer pointer
accept4 fd pointer pointer hex
sendto fd bytes size hex sockaddr size
recvfrom fd filled size hex pointer pointer
sendmsg fd pointer hex
recvmsg fd pointer hex
sendmmsg fd pointer number hex
recvmmsg fd pointer number hex pointer
shutdown fd number
getsockname fd pointer pointer
getpeername fd pointer pointer
setsockopt fd number number pointer size
getsockopt fd number number pointer pointer
pipe pair
pipe2 pair open
eventfd2 number hex
poll pointer number number
ppoll pointer number pointer pointer size
select number pointer pointer pointer pointer
pselect6 number pointer pointer pointer pointer pointer
epoll_create1 hex
epoll_ctl fd number fd pointer
epoll_wait fd pointer number number
epoll_pwait fd pointer number number pointer size
process_vm_readv pid pointer number pointer number hex
shmget hex size hex
shmat number address hex
shmctl number number pointer
shmdt address
semget hex number hex
semop number pointer size
perf_event_open pointer pid number fd hex
io_uring_setup number pointer
io_uring_enter fd number number hex pointer size
";

/// What strace calls `%memory`, `%process`, `%network`, `%signal`; `%file` and `%desc` follow from the arguments.
const GROUPS: &[(&str, &str)] = &[
    (
        "memory",
        "brk get_mempolicy madvise mbind membarrier mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock \
         munlockall munmap pkey_mprotect set_mempolicy shmat shmdt userfaultfd memfd_create",
    ),
    (
        "process",
        "clone clone3 execve execveat exit exit_group fork kill pidfd_open pidfd_send_signal rt_sigqueueinfo \
         rt_tgsigqueueinfo tgkill tkill vfork wait4 waitid",
    ),
    (
        "network",
        "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg \
         sendmsg sendto setsockopt shutdown socket socketpair sendfile",
    ),
    (
        "signal",
        "kill pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend \
         rt_sigtimedwait rt_tgsigqueueinfo sigaltstack signalfd signalfd4 tgkill tkill",
    ),
];

/// The groups that may be asked for.
pub(super) const GROUP_NAMES: [&str; 6] =
    ["file", "desc", "memory", "process", "network", "signal"];

fn known() -> &'static HashMap<&'static str, Vec<&'static str>> {
    static KNOWN: ForkOnce<HashMap<&str, Vec<&str>>> = ForkOnce::new();
    KNOWN.get_or_init(|| {
        let lines = SIGNATURES.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next().filter(|name| !name.is_empty())?;
            Some((name, words.collect()))
        });
        lines.collect()
    })
}

/// The name of a call.
pub(super) fn name(number: i64) -> Option<&'static str> {
    let number = usize::try_from(number).ok()?;
    Some(::syscalls::Sysno::new(number)?.name())
}

/// Whether there is a call of this name.
pub(super) fn exists(name: &str) -> bool {
    name.parse::<::syscalls::Sysno>().is_ok()
}

/// What the arguments of a call are.
pub(super) fn arguments(name: &str) -> Option<&'static [&'static str]> {
    known().get(name).map(Vec::as_slice)
}

/// Whether a call belongs to a group.
pub(super) fn is_in(name: &str, group: &str) -> bool {
    let takes = |kinds: &[&str]| {
        let arguments = arguments(name).unwrap_or_default();
        arguments.iter().any(|kind| kinds.contains(kind))
    };
    match group {
        "file" => takes(&["path"]) && name != "memfd_create",
        "desc" => takes(&["fd", "dirfd", "pair"]),
        _ => {
            let mut groups = GROUPS.iter();
            groups.any(|(own, names)| *own == group && names.split(' ').any(|one| one == name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_system_call() {
        if crate::arch::system_calls::OPEN.is_none() {
            // Newer processors have fewer.
            return;
        }
        for name in known().keys() {
            assert!(exists(name), "{name}");
        }
        for (_, names) in GROUPS {
            for name in names.split_whitespace() {
                assert!(exists(name), "{name}");
            }
        }
        assert_eq!(name(libc::SYS_openat), Some("openat"));
        assert!(is_in("openat", "file") && is_in("openat", "desc"));
        assert!(!is_in("close", "file") && is_in("clone3", "process"));
    }
}
