//! Being scheduled in time: real-time priority, and memory that stays.

use std::io;

/// Runs this process at real-time `priority` (1 to 99), round the other
/// processes; its children start as ordinary ones.
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_NICE`, `EINVAL` outside 1 to 99.
pub fn run_in_real_time(priority: u8) -> io::Result<()> {
    // SAFETY: sched_param is plain integers; all zeroes is a valid value.
    let mut param: libc::sched_param = unsafe { std::mem::zeroed() };
    param.sched_priority = i32::from(priority);
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 means this process, and `param` outlives the call.
    let done = unsafe { libc::sched_setscheduler(0, policy, &raw const param) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Keeps all present and future memory of this process out of swap.
///
/// # Errors
///
/// `EPERM` or `ENOMEM` when `RLIMIT_MEMLOCK` forbids it and `CAP_IPC_LOCK` is
/// missing.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: takes flags only and touches no memory of ours.
    let done = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_priority_out_of_range_is_refused() {
        let error = run_in_real_time(200).expect_err("200 is out of range");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
