//! Bringing memory close to the processor before it is needed.
//!
//! A customer that has not been looked at for a while is far away, and to wait for one place of it costs as much as a hundred
//! instructions and more. Asked for ahead, places of many customers come side by side. It changes nothing but the time
//! that later reads take. So far there is nothing but this on other processors than x86-64.

#![allow(unsafe_code, reason = "the instruction has no safe name; it may be given any address and reads nothing")]

/// Bytes that come at a time.
const LINE: usize = 64;

/// Asks for all of a value, not for what it points to.
#[inline]
pub fn fetch<T: ?Sized>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    let bytes = size_of_val(value);
    for offset in (0..bytes).step_by(LINE) {
        fetch_line(start.wrapping_add(offset));
    }
    // It need not begin where a line does.
    if bytes > 0 {
        fetch_line(start.wrapping_add(bytes - 1));
    }
}

/// Asks for what lies here.
#[inline]
pub fn fetch_line<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which cannot fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
