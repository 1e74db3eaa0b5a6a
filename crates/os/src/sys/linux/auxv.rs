//! The auxiliary vector, in which the kernel describes the start of this process.
#![expect(unsafe_code, reason = "getauxval has no safe form")]

/// Returns whether the program was started with more rights than its caller has.
pub(crate) fn is_secure() -> bool {
    // SAFETY: the call only reads the values that the kernel put on the stack at the start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
