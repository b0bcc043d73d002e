//! A clock that can be set ahead, for tests of long waits: loaded into the local engine and so into the functions that it starts (`LD_PRELOAD`). Their time
//! of day is ahead by as many seconds as the file says that `CLOCK_AHEAD` names; clocks that only measure are left alone. Built by [`engine`](src/engine.rs)
//! with `rustc` alone, no part of any package, and in nothing that is shipped.

use std::sync::OnceLock;

/// As C has it on 64-bit Linux.
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

/// The clock on the wall.
const CLOCK_REALTIME: i32 = 0;

/// # Safety
/// As of C's `clock_gettime`, in whose place it stands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: i32, time: *mut Timespec) -> i32 {
    // SAFETY: the kernel writes to the place that the caller gave for that.
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
