//! sd-bus: systemd's D-Bus library in C, peer to peer.
//!
//! The code follows the manual pages: `sd_bus_call_method` in the client, a vtable and an
//! `sd-event` loop in the server. A connection belongs to one thread, so the server has a thread
//! with a loop for each core. The thread that accepts a client first serves it.

#[cfg(sd_bus)]
mod client;
#[cfg(sd_bus)]
mod sys;

#[cfg(sd_bus)]
fn main() -> bench_harness::Result<()> {
    use std::os::fd::AsFd;

    use bench_harness::{Role, die_with_parent, listener, role, take_orders};
    match role()? {
        Role::Client(name) => take_orders(&mut client::Client::start(name)?),
        Role::Server(_) => {
            die_with_parent();
            let listener = listener()?;
            rustix::io::ioctl_fionbio(&listener, true)?;
            std::thread::scope(|scope| {
                let cores = std::thread::available_parallelism()?.get();
                for _ in 1..cores {
                    scope.spawn(|| sys::serve(listener.as_fd()));
                }
                sys::serve(listener.as_fd())
            })?;
            Ok(())
        }
    }
}

#[cfg(not(sd_bus))]
fn main() -> bench_harness::Result<()> {
    Err("libsystemd-dev and pkg-config weren't installed when this was built".into())
}
