//! A server in an event loop of the program, here `epoll`. The library creates no thread in the
//! server and never waits.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use std::time::Duration;

use syshandle::{Context, Result, handle::Event, interface};

/// Rings bells.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d701")]
trait Alarm {
    /// Returns an event that is set after a delay.
    fn ring_after(&self, context: &Context, delay: Duration) -> Result<Event>;
}

struct Clock;

impl Alarm for Clock {
    fn ring_after(&self, context: &Context, delay: Duration) -> Result<Event> {
        let bell = Event::new()?;
        let ring = bell.try_clone()?;
        // A method must not wait. The event loop runs the callback.
        context.on_timer(delay, move |_| {
            if let Err(error) = ring.set() {
                println!("the bell can't ring: {error}");
            }
        })?;
        Ok(bell)
    }
}

fn use_alarm(alarm: &AlarmClient) -> Result<()> {
    let bell = alarm.ring_after(&Duration::from_millis(10))?;
    alarm.wait(&bell)?;
    println!("client: the bell rang");
    Ok(())
}

#[cfg(not(windows))]
fn main() -> Result<()> {
    use rustix::buffer::spare_capacity;
    use rustix::event::epoll;
    use syshandle::{Server, class, direct};

    class! { ALARM: Alarm = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d702"; }

    // The client would usually be another process, and the server would be registered.
    let (ours, theirs) = direct::socket_pair()?;
    let client = std::thread::spawn(move || use_alarm(&direct::from_socket(theirs)?));

    let mut source = Server::new().class(ALARM, || Clock).socket(ours).event_source()?;
    // The event loop may wait for other descriptors too.
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(std::io::Error::from)?;
    let data = epoll::EventData::new_u64(0);
    epoll::add(&epoll, &source, data, epoll::EventFlags::IN).map_err(std::io::Error::from)?;
    while source.dispatch()?.is_continue() {
        let mut events = Vec::with_capacity(16);
        epoll::wait(&epoll, spare_capacity(&mut events), None).map_err(std::io::Error::from)?;
    }
    println!("server: the client has disconnected");
    client.join().unwrap_or(Ok(()))
}

/// On Windows COM needs threads of its own.
#[cfg(windows)]
fn main() -> Result<()> {
    use_alarm(&AlarmClient::in_process(Clock)?)
}
