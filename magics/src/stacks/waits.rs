//! What a thread waits for, by the function in which it sleeps: Python's own, or the C library's where no symbols of the
//! interpreter are known.

/// What ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WaitsFor {
    /// The clock.
    Time,
    /// Another thread, by a lock.
    Lock,
    /// A child process.
    Child,
    /// The other end of a connection.
    Network,
    /// A file.
    File,
    /// One of several descriptors.
    Descriptor,
}

/// A function that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// As Python's users call it.
    pub builtin: &'static str,
    /// What ends it.
    pub on: WaitsFor,
}

/// How the interpreter's functions begin, and what Python calls them. What the compiler cut out of one keeps its name.
const BUILTINS: &[(&str, &str, WaitsFor)] = &[
    ("time_sleep", "time.sleep", WaitsFor::Time),
    ("pysleep", "time.sleep", WaitsFor::Time),
    ("lock_PyThread_acquire_lock", "lock.acquire", WaitsFor::Lock),
    ("lock_acquire", "lock.acquire", WaitsFor::Lock),
    ("rlock_acquire", "RLock.acquire", WaitsFor::Lock),
    ("_queue_SimpleQueue_get", "SimpleQueue.get", WaitsFor::Lock),
    ("thread_PyThread_join", "Thread.join", WaitsFor::Lock),
    ("PyThreadHandleObject_join", "Thread.join", WaitsFor::Lock),
    ("ThreadHandle_join", "Thread.join", WaitsFor::Lock),
    (
        "_multiprocessing_SemLock_acquire",
        "SemLock.acquire",
        WaitsFor::Lock,
    ),
    ("os_waitpid", "os.waitpid", WaitsFor::Child),
    ("os_waitid", "os.waitid", WaitsFor::Child),
    ("os_wait", "os.wait", WaitsFor::Child),
    ("select_poll_poll", "poll", WaitsFor::Descriptor),
    ("select_epoll_poll", "epoll.poll", WaitsFor::Descriptor),
    ("select_select", "select.select", WaitsFor::Descriptor),
    ("sock_recv", "socket.recv", WaitsFor::Network),
    ("sock_accept", "socket.accept", WaitsFor::Network),
    ("sock_connect", "socket.connect", WaitsFor::Network),
    ("internal_connect", "socket.connect", WaitsFor::Network),
    ("sock_send", "socket.send", WaitsFor::Network),
    ("_ssl__SSLSocket_read", "SSLSocket.read", WaitsFor::Network),
    (
        "_ssl__SSLSocket_write",
        "SSLSocket.write",
        WaitsFor::Network,
    ),
    (
        "_ssl__SSLSocket_do_handshake",
        "SSLSocket.do_handshake",
        WaitsFor::Network,
    ),
    (
        "socket_getaddrinfo",
        "socket.getaddrinfo",
        WaitsFor::Network,
    ),
    ("os_read", "os.read", WaitsFor::File),
    ("os_write", "os.write", WaitsFor::File),
    ("os_fsync", "os.fsync", WaitsFor::File),
    ("_io_FileIO_read", "read", WaitsFor::File),
    ("_io_FileIO_write", "write", WaitsFor::File),
    ("fcntl_flock", "fcntl.flock", WaitsFor::File),
    ("fcntl_lockf", "fcntl.lockf", WaitsFor::File),
];

/// The interpreter's functions that have a name also where its own ones have none, since other libraries may call them.
const EXPORTED: &[(&str, &str, WaitsFor)] = &[
    ("_PyMutex_LockTimed", "lock.acquire", WaitsFor::Lock),
    ("PyThread_acquire_lock", "lock.acquire", WaitsFor::Lock),
];

/// What Python calls the C library's functions that its interpreter calls at one place only.
const ONLY_FOR: &[(&str, &str)] = &[
    ("clock_nanosleep", "time.sleep"),
    ("accept4", "socket.accept"),
    ("wait4", "os.waitpid"),
    ("waitpid", "os.waitpid"),
];

/// The C library's functions, without the underlines before them.
const SYSTEM: &[(&str, WaitsFor)] = &[
    ("clock_nanosleep", WaitsFor::Time),
    ("nanosleep", WaitsFor::Time),
    ("sleep", WaitsFor::Time),
    ("usleep", WaitsFor::Time),
    ("pthread_mutex_lock", WaitsFor::Lock),
    ("pthread_cond_wait", WaitsFor::Lock),
    ("pthread_cond_timedwait", WaitsFor::Lock),
    ("pthread_cond_clockwait", WaitsFor::Lock),
    ("pthread_rwlock_rdlock", WaitsFor::Lock),
    ("pthread_rwlock_wrlock", WaitsFor::Lock),
    ("pthread_join", WaitsFor::Lock),
    ("pthread_barrier_wait", WaitsFor::Lock),
    ("sem_wait", WaitsFor::Lock),
    // Of CPython 3.13 and later: all of its locks wait there, and a stripped one has no names further out.
    ("PyParkingLot_Park", WaitsFor::Lock),
    ("wait4", WaitsFor::Child),
    ("waitpid", WaitsFor::Child),
    ("waitid", WaitsFor::Child),
    ("recv", WaitsFor::Network),
    ("recvfrom", WaitsFor::Network),
    ("recvmsg", WaitsFor::Network),
    ("accept", WaitsFor::Network),
    ("accept4", WaitsFor::Network),
    ("connect", WaitsFor::Network),
    ("poll", WaitsFor::Descriptor),
    ("ppoll", WaitsFor::Descriptor),
    ("select", WaitsFor::Descriptor),
    ("epoll_wait", WaitsFor::Descriptor),
    ("read", WaitsFor::File),
    ("write", WaitsFor::File),
    ("fsync", WaitsFor::File),
];

/// What one of the interpreter's functions waits for, if it is one that waits.
pub(crate) fn builtin(name: &str) -> Option<Wait> {
    begins_with(BUILTINS, name)
}

/// The same where the interpreter was stripped of the names of its own functions.
pub(crate) fn exported(name: &str) -> Option<Wait> {
    begins_with(EXPORTED, name)
}

fn begins_with(known: &[(&str, &'static str, WaitsFor)], name: &str) -> Option<Wait> {
    let mut all = known.iter();
    let found = all.find(|(begin, ..)| name.starts_with(begin));
    found.map(|(_, builtin, on)| Wait { builtin, on: *on })
}

/// The same of a function of the C library, and whether the interpreter has called it.
pub(crate) fn system(name: &str, is_pythons: bool) -> Option<Wait> {
    let bare = name.trim_start_matches("__libc_").trim_start_matches('_');
    let mut all = SYSTEM.iter();
    let (own, on) = all.find(|(known, _)| *known == bare)?;
    let mut only = ONLY_FOR.iter().filter(|_| is_pythons);
    let builtin = only.find(|(known, _)| *known == bare);
    Some(Wait {
        builtin: builtin.map_or(*own, |(_, builtin)| builtin),
        on: *on,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtins_are_known_by_what_they_are_written_as() {
        assert_eq!(builtin("time_sleep").unwrap().builtin, "time.sleep");
        assert_eq!(
            builtin("lock_PyThread_acquire_lock.cold").unwrap().on,
            WaitsFor::Lock
        );
        assert_eq!(builtin("sock_recv_into").unwrap().on, WaitsFor::Network);
        assert_eq!(builtin("os_listdir"), None);
        assert_eq!(
            system("__clock_nanosleep", false).unwrap().on,
            WaitsFor::Time
        );
        assert_eq!(system("__libc_read", true).unwrap().builtin, "read");
        assert_eq!(system("memcpy", true), None);
        let sleep = |is_pythons| system("clock_nanosleep", is_pythons).unwrap().builtin;
        assert_eq!(
            [sleep(true), sleep(false)],
            ["time.sleep", "clock_nanosleep"]
        );
        assert_eq!(builtin("_PyMutex_LockTimed"), None);
        assert_eq!(
            exported("_PyMutex_LockTimed").unwrap().builtin,
            "lock.acquire"
        );
    }
}
