//! A process-wide lock that a child process can take, whoever held it when its parent forked.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::lock_api::{Mutex, MutexGuard};

use crate::handlers::watch;
use crate::raw::RawForkMutex;

/// A mutex in a `static`. In a child process, one that another thread held at the fork is made anew, with new content;
/// all others are as they were.
pub struct ProcessLock<T: 'static> {
    /// Null before the first use, and in a child if it was held.
    current: AtomicPtr<Inner<T>>,
    make: fn() -> T,
    is_listed: AtomicBool,
}

struct Inner<T> {
    content: Mutex<RawForkMutex, T>,
    /// The thread that holds it, as `this_thread` says; 0 while nobody does.
    holder: AtomicUsize,
}

/// Holds the lock.
pub struct ProcessLockGuard<'a, T> {
    content: MutexGuard<'a, RawForkMutex, T>,
    holder: &'a AtomicUsize,
}

/// What is done to every lock in a child.
trait Renew: Sync {
    fn renew(&self, this_thread: usize);
}

/// The locks that were ever used, as a list that only grows: a lock may stand in it twice.
struct Listed {
    lock: &'static dyn Renew,
    next: *const Listed,
}

static LIST: AtomicPtr<Listed> = AtomicPtr::new(ptr::null_mut());

impl<T: Send> ProcessLock<T> {
    /// A lock whose content is made when it is first taken.
    pub const fn new(make: fn() -> T) -> Self {
        Self {
            current: AtomicPtr::new(ptr::null_mut()),
            make,
            is_listed: AtomicBool::new(false),
        }
    }

    /// Takes the lock. A panic of who held it before changes nothing.
    pub fn lock(&'static self) -> ProcessLockGuard<'static, T> {
        let inner = self.inner();
        inner.held(inner.content.lock())
    }

    /// Takes the lock until `release`, for what is held across a fork.
    pub fn hold(&'static self) {
        std::mem::forget(self.lock());
    }

    /// Gives it back.
    ///
    /// # Safety
    /// `hold` took it on this thread; in a child, on the thread that forked.
    #[allow(unsafe_code, reason = "a lock without a guard")]
    pub unsafe fn release(&'static self) {
        let inner = self.inner();
        inner.holder.store(0, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { inner.content.force_unlock() };
    }

    /// Takes the lock if it is free within a time.
    pub fn try_lock_for(&'static self, timeout: Duration) -> Option<ProcessLockGuard<'static, T>> {
        let inner = self.inner();
        Some(inner.held(inner.content.try_lock_for(timeout)?))
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&'static self) -> Option<ProcessLockGuard<'static, T>> {
        let inner = self.inner();
        Some(inner.held(inner.content.try_lock()?))
    }

    #[allow(unsafe_code, reason = "the content is published by a pointer")]
    fn inner(&'static self) -> &'static Inner<T> {
        if !self.is_listed.load(Ordering::Acquire) {
            // Before anybody can hold it.
            list(self);
            self.is_listed.store(true, Ordering::Release);
        }
        let mut current = self.current.load(Ordering::Acquire);
        if current.is_null() {
            let made = Box::into_raw(Box::new(Inner {
                content: Mutex::new((self.make)()),
                holder: AtomicUsize::new(0),
            }));
            let none = ptr::null_mut();
            let set =
                self.current
                    .compare_exchange(none, made, Ordering::AcqRel, Ordering::Acquire);
            current = match set {
                Ok(_) => made,
                Err(other) => {
                    // SAFETY: nobody else has seen it.
                    drop(unsafe { Box::from_raw(made) });
                    other
                }
            };
        }
        // SAFETY: what is published is never freed.
        unsafe { &*current }
    }
}

impl<T> Inner<T> {
    fn held<'a>(&'a self, content: MutexGuard<'a, RawForkMutex, T>) -> ProcessLockGuard<'a, T> {
        self.holder.store(this_thread(), Ordering::Relaxed);
        ProcessLockGuard {
            content,
            holder: &self.holder,
        }
    }
}

impl<T: Send> Renew for ProcessLock<T> {
    #[allow(unsafe_code, reason = "the content is published by a pointer")]
    fn renew(&self, this_thread: usize) {
        // SAFETY: it is null, or is never freed.
        let Some(inner) = (unsafe { self.current.load(Ordering::Acquire).as_ref() }) else {
            return;
        };
        let is_ours = inner.holder.load(Ordering::Relaxed) == this_thread;
        if inner.content.is_locked() && !is_ours {
            self.current.store(ptr::null_mut(), Ordering::Release);
        }
    }
}

fn list(lock: &'static dyn Renew) {
    watch();
    let mut next = LIST.load(Ordering::Acquire);
    let listed = Box::leak(Box::new(Listed { lock, next }));
    loop {
        listed.next = next;
        match LIST.compare_exchange(next, listed, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(other) => next = other,
        }
    }
}

/// In a child: makes all locks anew that other threads held. It allocates nothing.
#[allow(unsafe_code, reason = "the list is made of pointers")]
pub(crate) fn renew() {
    let this_thread = this_thread();
    // SAFETY: entries are published whole and never freed.
    let mut next = unsafe { LIST.load(Ordering::Acquire).as_ref() };
    while let Some(listed) = next {
        listed.lock.renew(this_thread);
        // SAFETY: as above.
        next = unsafe { listed.next.as_ref() };
    }
}

/// Something that no other thread has, and that a thread keeps in a child.
fn this_thread() -> usize {
    thread_local! {
        static OWN: u8 = const { 0 };
    }
    OWN.with(|own| ptr::from_ref(own).addr())
}

impl<T> Deref for ProcessLockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.content
    }
}

impl<T> DerefMut for ProcessLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.content
    }
}

impl<T> Drop for ProcessLockGuard<'_, T> {
    fn drop(&mut self) {
        // The lock itself is given back behind this.
        self.holder.store(0, Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for ProcessLock<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ProcessLock")
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ProcessLockGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ProcessLockGuard")
            .finish_non_exhaustive()
    }
}
