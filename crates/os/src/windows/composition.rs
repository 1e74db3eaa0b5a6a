//! Composition surfaces: images that DirectComposition draws.
//!
//! | | |
//! |---|---|
//! | object | a surface of [DirectComposition](https://learn.microsoft.com/windows/win32/directcomp/directcomposition-portal) |
//! | proof | the object's type is `Composition` or `DxgkCompositionObject` |
//! | rights | none that can be queried |
//! | `try_clone` | the same surface |
//! | MIDL | `sh_composition` |
//!
//! Surfaces are only passed on. `DCompositionCreateSurfaceHandle` makes one.

use super::handle::impl_owned;
use crate::{Declared, Kind, OwnedHandle};

/// A surface of DirectComposition.
#[derive(Debug)]
pub struct Composition(OwnedHandle);

impl_owned!(Composition, "surface", Declared::kind(Kind::Composition));
