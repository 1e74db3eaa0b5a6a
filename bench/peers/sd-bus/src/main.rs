//! sd-bus: D-Bus in C, of systemd, peer to peer.
//!
//! As its manual pages have it: `sd_bus_call_method` at the client, a vtable and an `sd-event`
//! loop at the server. A connection belongs to one thread, so the server has one for each.

#[cfg(sd_bus)]
mod client;
#[cfg(sd_bus)]
mod sys;

#[cfg(sd_bus)]
fn main() -> bench_harness::Result<()> {
    use bench_harness::{Role, die_with_parent, listener, role, take_orders};
    match role()? {
        Role::Client(name) => take_orders(&mut client::Client::start(name)?),
        Role::Server(_) => {
            die_with_parent();
            let listener = std::os::unix::net::UnixListener::from(listener()?);
            for socket in listener.incoming() {
                let socket = socket?.into();
                // The end of a client is the usual end of its thread.
                std::thread::spawn(move || sys::serve(socket));
            }
            Ok(())
        }
    }
}

#[cfg(not(sd_bus))]
fn main() -> bench_harness::Result<()> {
    Err("libsystemd-dev wasn't installed when this was built".into())
}
