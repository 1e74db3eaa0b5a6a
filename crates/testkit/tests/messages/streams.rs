//! Messages of errors of streams.

use std::time::Duration;

use syshandle::stream::channel;
use syshandle::{Error, ErrorKind};

use crate::{OWN_TEXT, group};

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn streams() {
    let mut messages = group("streams");
    let (sink, mut stream) = channel::<u32>();
    let late = stream.next_timeout(SHORT).unwrap().unwrap_err();
    messages.add("no item within the timeout", &late);
    let full = (0..100).find_map(|number| sink.send_timeout(number, SHORT).err()).unwrap();
    messages.add("no reader within the timeout", &full);
    drop(stream);
    messages.add("a reader that has stopped", &sink.send(1).unwrap_err());

    let (sink, mut stream) = channel::<u32>();
    drop(sink);
    messages.add("a sink that was dropped", &stream.next().unwrap().unwrap_err());

    let (sink, mut stream) = channel::<u32>();
    sink.fail(Error::new(ErrorKind::Busy, OWN_TEXT)).unwrap();
    messages.add("a stream that its writer fails", &stream.next().unwrap().unwrap_err());
    messages.add("an item after the end", &sink.send(1).unwrap_err());

    messages.check();
}
