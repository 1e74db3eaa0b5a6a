//! Restrictions of the calling thread that programs started by it inherit.

use std::io;

use rustix::thread::SecureComputingMode;

/// Returns whether system call filters
/// ([seccomp(2)](https://man7.org/linux/man-pages/man2/seccomp.2.html)) restrict the calling
/// thread.
pub fn is_filtered() -> bool {
    // If a filter rejects this query too, the thread is restricted.
    !matches!(rustix::thread::secure_computing_mode(), Ok(SecureComputingMode::Disabled))
}

/// Returns whether the calling thread and its children can't gain privileges by executing a program
/// ([PR_GET_NO_NEW_PRIVS(2const)](https://man7.org/linux/man-pages/man2/PR_GET_NO_NEW_PRIVS.2const.html)).
///
/// # Errors
/// Fails if a system call filter rejects the query.
pub fn has_no_new_privileges() -> io::Result<bool> {
    Ok(rustix::thread::no_new_privs()?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_kernel_says_the_same_in_its_text() {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().parse::<u32>().ok()).unwrap()
        };
        assert_eq!(is_filtered(), field("Seccomp:") != 0);
        assert_eq!(has_no_new_privileges().unwrap(), field("NoNewPrivs:") != 0);
    }

    #[test]
    fn a_thread_that_gave_its_privileges_up_says_so() {
        let there = std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            has_no_new_privileges().unwrap()
        });
        assert!(there.join().unwrap());
    }
}
