//! A clock that can be set ahead, for tests of long waits. It is loaded (`LD_PRELOAD`) into the local engine, and
//! so into the functions that the engine starts. Their time of day is ahead by the number of seconds in the file
//! that `CLOCK_AHEAD` names. Clocks that only measure are left alone. [`engine`](src/engine.rs) builds it with
//! `rustc` alone. It belongs to no package and is never shipped.

use std::sync::OnceLock;

/// C's `timespec` on 64-bit Linux.
#[repr(C)]
pub struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
}

#[cfg(target_arch = "x86_64")]
const CLOCK_GETTIME: i64 = 228;
#[cfg(target_arch = "aarch64")]
const CLOCK_GETTIME: i64 = 113;

/// The wall clock.
const CLOCK_REALTIME: i32 = 0;

/// # Safety
/// The same as for C's `clock_gettime`, which it replaces.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: i32, time: *mut Timespec) -> i32 {
    // SAFETY: the kernel writes to the place that the caller gave for this purpose.
    let answer = unsafe { syscall(CLOCK_GETTIME, clock, time) };
    if answer == 0 && clock == CLOCK_REALTIME {
        // SAFETY: the kernel has just written there.
        unsafe { (*time).seconds += ahead() };
    }
    answer as i32
}

fn ahead() -> i64 {
    static FILE: OnceLock<Option<std::ffi::OsString>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("CLOCK_AHEAD"));
    file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok()).unwrap_or(0)
}
