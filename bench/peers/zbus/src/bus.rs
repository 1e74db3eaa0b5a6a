//! A temporary dbus-daemon, and the server on it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use bench_asynchronous::Side;
use bench_harness::Result;
use zbus::connection;

use crate::{Implementation, PATH};

/// The server's name on the bus.
pub(crate) const NAME: &str = "org.example.Bench";

/// Starts a dbus-daemon and the server.
pub(crate) fn start(name: &str) -> Result<Side> {
    let mut daemon = Ended(
        Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("dbus-daemon can't be run: {error}"))?,
    );
    let address = first_line(&mut daemon.0)?;
    let mut server = Ended(
        Command::new(std::env::current_exe()?)
            .args(["server", name])
            .env(ADDRESS, &address)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?,
    );
    first_line(&mut server.0)?;
    Ok(Side::new(vec![daemon.0.id(), server.0.id()], address, (server, daemon)))
}

/// Serves on the bus, and reports when the server is ready.
pub(crate) async fn serve() -> Result<()> {
    let address = std::env::var(ADDRESS)?;
    let builder = connection::Builder::address(address.as_str()).name(NAME);
    let connection = builder.serve_at(PATH, Implementation).build().await?;
    println!("ready");
    connection.closed().await;
    Ok(())
}

fn first_line(child: &mut Child) -> Result<String> {
    let output = child.stdout.take().ok_or("no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    match line.trim() {
        "" => Err("it ended before it was ready".into()),
        line => Ok(line.to_owned()),
    }
}

/// A process that is ended when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Passes the server the address of the daemon.
const ADDRESS: &str = "BENCH_BUS_ADDRESS";
