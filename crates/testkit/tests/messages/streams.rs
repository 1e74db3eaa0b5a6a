//! Messages of errors of streams.

use std::fs::File;
use std::time::Duration;

use syshandle::stream::{Stream, channel};
use syshandle::{Error, ErrorKind, Result, interface};

use crate::{OWN_TEXT, group};

#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b71")]
trait Subject {
    #[handle(file, read)]
    fn files(&self) -> Result<Stream<File>>;
    fn numbers(&self, numbers: Stream<u32>) -> Result<u32>;
    fn numbers_and_bytes(&self, numbers: Stream<u32>, bytes: Vec<u8>) -> Result<u32>;
}

struct Object;

impl Subject for Object {
    fn files(&self) -> Result<Stream<File>> {
        let (sink, files) = channel();
        sink.send(File::options().write(true).open("/dev/null")?)?;
        sink.finish()?;
        Ok(files)
    }

    fn numbers(&self, numbers: Stream<u32>) -> Result<u32> {
        numbers.sum()
    }

    fn numbers_and_bytes(&self, numbers: Stream<u32>, _: Vec<u8>) -> Result<u32> {
        numbers.sum()
    }
}

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

    let subject = SubjectClient::in_process(Object).unwrap();
    let error = subject.files().unwrap().next().unwrap().unwrap_err();
    messages.add("a wrong handle in an item", &error);

    let (sink, stream) = channel();
    sink.send(1).unwrap();
    let large = vec![0; 65 << 20];
    messages.add(
        "an argument beside a stream that is too large",
        &subject.numbers_and_bytes(stream, &large).unwrap_err(),
    );
    messages.add("a stream that was not passed", &sink.send(1).unwrap_err());

    let passing_on = subject.files().unwrap();
    let again = OtherClient::in_process(Object).unwrap();
    messages.add("a received stream that is passed on", &again.files(passing_on).unwrap_err());
    messages.check();
}

#[interface(iid = "6d3f8f0a-9a0e-4a5e-8d2f-0f6f0a1f2b72")]
trait Other {
    fn files(&self, files: Stream<File>) -> Result<()>;
}

impl Other for Object {
    fn files(&self, _: Stream<File>) -> Result<()> {
        Ok(())
    }
}
