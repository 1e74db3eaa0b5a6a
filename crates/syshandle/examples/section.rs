//! Shared memory as a parameter: the server sees the client's bytes without a copy.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use syshandle::{ErrorKind, Result, handle::Section, interface};

/// Looks at pictures.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d601")]
trait Viewer {
    /// Returns the sum of all bytes of a picture. `at_most` requires that the memory can't be
    /// written any more, by the server or by any other process.
    fn brightness(&self, #[handle(section, at_most = read | map)] picture: Section) -> Result<u64>;

    /// Fills memory of the client.
    fn draw(&self, #[handle(section, read | write)] canvas: Section) -> Result<()>;
}

struct Eye;

impl Viewer for Eye {
    fn brightness(&self, picture: Section) -> Result<u64> {
        let map = picture.map()?;
        let mut bytes = vec![0; map.len()];
        map.read(0, &mut bytes)?;
        Ok(bytes.iter().map(|&byte| u64::from(byte)).sum())
    }

    fn draw(&self, canvas: Section) -> Result<()> {
        canvas.write(0, b"a drawing")?;
        Ok(())
    }
}

fn main() -> Result<()> {
    let viewer = ViewerClient::in_process(Eye)?;

    let picture = Section::frozen(&[1; 1_000_000])?;
    println!("brightness: {}", viewer.brightness(&picture)?);

    let canvas = Section::new(4096)?;
    viewer.draw(&canvas)?;
    let mut drawn = [0; 9];
    canvas.read(0, &mut drawn)?;
    println!("canvas: {}", String::from_utf8_lossy(&drawn));

    // The canvas is refused, because it could change while the server reads it.
    match viewer.brightness(&canvas) {
        Err(error) if error.kind() == ErrorKind::WrongHandle => println!("{error}"),
        other => println!("brightness of the canvas: {}", other?),
    }
    Ok(())
}
