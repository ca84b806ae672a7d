//! Names of the numbers that system calls take.

use std::fmt::Write;

type Table = &'static [(u64, &'static str)];

macro_rules! table {
    ($($name:ident)*) => {
        &[$((libc::$name as u64, stringify!($name))),*]
    };
}

const OPEN: Table = table!(
    O_WRONLY O_RDWR O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_DIRECT O_TMPFILE O_DIRECTORY
    O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH
);
const PROT: Table = table!(PROT_READ PROT_WRITE PROT_EXEC);
const MAP: Table = table!(
    MAP_SHARED MAP_PRIVATE MAP_FIXED MAP_ANONYMOUS MAP_GROWSDOWN MAP_DENYWRITE MAP_LOCKED MAP_NORESERVE MAP_POPULATE
    MAP_STACK MAP_HUGETLB MAP_FIXED_NOREPLACE
);
const MREMAP: Table = table!(MREMAP_MAYMOVE MREMAP_FIXED MREMAP_DONTUNMAP);
const CLONE: Table = table!(
    CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_PIDFD CLONE_PTRACE CLONE_VFORK CLONE_PARENT CLONE_THREAD
    CLONE_NEWNS CLONE_SYSVSEM CLONE_SETTLS CLONE_PARENT_SETTID CLONE_CHILD_CLEARTID CLONE_UNTRACED CLONE_CHILD_SETTID
    CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET CLONE_IO
);
const AT: Table = table!(
    AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH
);
const ACCESS: Table = table!(X_OK W_OK R_OK);
const WAIT: Table = table!(WNOHANG WUNTRACED WCONTINUED WEXITED WNOWAIT);
const SOCKET_FLAGS: Table = table!(SOCK_CLOEXEC SOCK_NONBLOCK);

const MADVISE: Table = table!(
    MADV_NORMAL MADV_RANDOM MADV_SEQUENTIAL MADV_WILLNEED MADV_DONTNEED MADV_FREE MADV_REMOVE MADV_DONTFORK
    MADV_DOFORK MADV_MERGEABLE MADV_UNMERGEABLE MADV_HUGEPAGE MADV_NOHUGEPAGE MADV_DONTDUMP MADV_DODUMP
);
const WHENCE: Table = table!(SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE);
const FCNTL: Table = table!(
    F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_DUPFD_CLOEXEC F_SETPIPE_SZ F_GETPIPE_SZ
    F_ADD_SEALS F_GET_SEALS
);
const FUTEX: Table = table!(
    FUTEX_WAIT FUTEX_WAKE FUTEX_REQUEUE FUTEX_CMP_REQUEUE FUTEX_WAKE_OP FUTEX_LOCK_PI FUTEX_UNLOCK_PI FUTEX_TRYLOCK_PI
    FUTEX_WAIT_BITSET FUTEX_WAKE_BITSET
);
const HOW: Table = table!(SIG_BLOCK SIG_UNBLOCK SIG_SETMASK);
const FAMILY: Table = table!(
    AF_UNSPEC AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_VSOCK AF_ALG
);
const TYPE: Table = table!(SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_SEQPACKET);
const CLOCK: Table = table!(
    CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID CLOCK_MONOTONIC_RAW
    CLOCK_REALTIME_COARSE CLOCK_MONOTONIC_COARSE CLOCK_BOOTTIME
);
const SIGNAL: Table = table!(
    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM
    SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO
    SIGPWR SIGSYS
);

/// A number of some kind by its names, as strace writes it; `None` where the kind has none.
pub(super) fn named(kind: &str, value: u64) -> Option<String> {
    let low = value & 0xffff_ffff;
    Some(match kind {
        "open" => {
            let reads = low & libc::O_ACCMODE as u64 == 0;
            let rest = joined(OPEN, low, "");
            match (reads, rest.as_str()) {
                (true, "") => "O_RDONLY".into(),
                (true, _) => format!("O_RDONLY|{rest}"),
                (false, _) => rest,
            }
        }
        "prot" => joined(PROT, low, "PROT_NONE"),
        "map" => joined(MAP, low, "0"),
        "mremap" => joined(MREMAP, low, "0"),
        "at" => joined(AT, low, "0"),
        "access" => joined(ACCESS, low, "F_OK"),
        "wait" => joined(WAIT, low, "0"),
        "clone" => {
            let signal = low & 0xff;
            let flags = joined(CLONE, value & !0xff, "");
            let signal = if signal == 0 {
                String::new()
            } else {
                one(SIGNAL, signal)
            };
            let parts = [flags, signal].into_iter().filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join("|")
        }
        "madvise" => one(MADVISE, low),
        "whence" => one(WHENCE, low),
        "fcntl" => one(FCNTL, low),
        "futex" => {
            let private = libc::FUTEX_PRIVATE_FLAG as u64;
            let clock = libc::FUTEX_CLOCK_REALTIME as u64;
            let mut text = one(FUTEX, low & !(private | clock));
            if low & private != 0 {
                text += "_PRIVATE";
            }
            if low & clock != 0 {
                text += "|FUTEX_CLOCK_REALTIME";
            }
            text
        }
        "how" => one(HOW, low),
        "family" => one(FAMILY, low),
        "type" => {
            let flags = joined(SOCKET_FLAGS, low & !0xf, "");
            let kind = one(TYPE, low & 0xf);
            if flags.is_empty() {
                kind
            } else {
                format!("{kind}|{flags}")
            }
        }
        "clock" => one(CLOCK, low),
        "signal" => one(SIGNAL, low),
        _ => return None,
    })
}

/// The names of the bits that are set; what has no name is added as a number.
fn joined(table: Table, value: u64, nothing: &str) -> String {
    let mut text = String::new();
    let mut rest = value;
    // Names of several bits are asked for before those of their parts.
    let mut order: Vec<_> = table
        .iter()
        .filter(|(bits, _)| bits.count_ones() > 1)
        .collect();
    order.extend(table.iter().filter(|(bits, _)| bits.count_ones() == 1));
    let mut found: Vec<&str> = Vec::new();
    for (bits, name) in order {
        if rest & bits == *bits {
            rest &= !bits;
            found.push(name);
        }
    }
    for (_, name) in table.iter().filter(|(_, name)| found.contains(name)) {
        if !text.is_empty() {
            text.push('|');
        }
        text += name;
    }
    if rest != 0 {
        let bar = if text.is_empty() { "" } else { "|" };
        let _ = write!(text, "{bar}{rest:#x}");
    }
    if text.is_empty() {
        nothing.into()
    } else {
        text
    }
}

fn one(table: Table, value: u64) -> String {
    let mut entries = table.iter();
    let found = entries.find(|(number, _)| *number == value);
    found.map_or_else(|| format!("{value:#x}"), |(_, name)| (*name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_names_that_strace_gives_them() {
        let open = |flags: i32| named("open", flags as u64).unwrap();
        assert_eq!(open(libc::O_RDONLY), "O_RDONLY");
        assert_eq!(open(libc::O_CLOEXEC), "O_RDONLY|O_CLOEXEC");
        let create = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
        assert_eq!(open(create), "O_WRONLY|O_CREAT|O_TRUNC");
        assert_eq!(
            open(libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_DIRECTORY),
            "O_RDONLY|O_NONBLOCK|O_DIRECTORY|O_CLOEXEC"
        );
        assert_eq!(named("prot", 0).unwrap(), "PROT_NONE");
        assert_eq!(named("map", 0x22).unwrap(), "MAP_PRIVATE|MAP_ANONYMOUS");
        assert_eq!(
            named("clone", 0x0120_0011).unwrap(),
            "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD"
        );
        assert_eq!(named("futex", 0x81).unwrap(), "FUTEX_WAKE_PRIVATE");
        assert_eq!(named("access", 4).unwrap(), "R_OK");
        assert_eq!(named("map", 0x4000_0002).unwrap(), "MAP_PRIVATE|0x40000000");
    }
}
