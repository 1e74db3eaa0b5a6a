//! The server of the values sample: returns the values that it receives.

#![forbid(unsafe_code)]

use std::time::Duration;

use syshandle::{Context, Guid, Result, Server, handle::Event};
use values::{Extent, Note, Place, Shade, VALUES_OBJECT, Values, ValuesClient};

fn main() -> Result<()> {
    Server::new().class(VALUES_OBJECT, || Echo).idle_timeout(LINGER).run()
}

/// Time after which the server exits if no client is connected.
const LINGER: Duration = Duration::from_secs(2);

struct Echo;

impl Values for Echo {
    fn bytes(&self, _: &Context, a: u8, b: i16) -> Result<(u8, i16)> {
        Ok((a, b))
    }

    fn numbers(&self, _: &Context, a: i32, b: f32, c: f64, d: i64) -> Result<(i32, f32, f64, i64)> {
        Ok((a, b, c, d))
    }

    fn truth(&self, _: &Context, a: bool) -> Result<bool> {
        Ok(a)
    }

    fn enums(&self, _: &Context, a: Shade, b: Extent) -> Result<(Shade, Extent)> {
        Ok((a, b))
    }

    fn structs(&self, _: &Context, a: Place, b: Guid) -> Result<(Place, Guid)> {
        Ok((a, b))
    }

    /// Returns both texts, joined by `+`.
    fn texts(&self, _: &Context, a: String, b: Option<String>) -> Result<String> {
        Ok(format!("{a}+{}", b.as_deref().unwrap_or("none")))
    }

    fn lists(&self, _: &Context, a: Vec<i32>, b: Vec<String>) -> Result<(Vec<i32>, Vec<String>)> {
        Ok((a, b))
    }

    /// Returns the place. If there is a number, sets its `y` to that number.
    fn maybe(&self, _: &Context, a: Option<i32>, b: Option<Place>) -> Result<Option<Place>> {
        Ok(b.map(|place| Place { y: a.map_or(place.y, i64::from), ..place }))
    }

    fn notes(&self, _: &Context, a: Note) -> Result<Note> {
        Ok(a)
    }

    /// Signals the event and returns it.
    fn events(&self, _: &Context, a: Event) -> Result<(Event, u8)> {
        a.set()?;
        Ok((a, 7))
    }

    /// Returns the second object if there is one, or else the first.
    fn objects(
        &self,
        _: &Context,
        a: ValuesClient,
        b: Option<ValuesClient>,
    ) -> Result<ValuesClient> {
        Ok(b.unwrap_or(a))
    }
}
