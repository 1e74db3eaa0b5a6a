//! Compares the COM layouts in an emitted `.idl` file with the layouts of the traits from which it
//! was generated.

use crate::front::report::{self, Options};
use crate::layout::TraitTables;
use crate::lower::{MethodDifference, layout_difference, lower};
use syshandle_model::Description;

/// A method whose COM layout in the emitted `.idl` file differs from the trait's.
#[derive(Clone, Debug)]
pub struct LayoutDifference {
    /// The interface and method, with their names in the file.
    pub method: String,
    /// A description of the difference.
    pub reason: String,
    /// Whether the file and the trait differ only in access masks. With the masks of the file, a
    /// handle loses rights when it is sent. The trait has no masks, so the handle keeps its rights.
    pub is_mask: bool,
}

/// Returns the methods whose COM layout differs from the layout in the `.idl` file that
/// [`emit`](crate::emit::emit) generated for the description. Skips the methods of private
/// interfaces.
///
/// # Examples
///
/// ```
/// use syshandle_idl::{emit::emit, emitted_differences};
///
/// let text = "#[interface(iid = \"0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a01\")]
///     pub trait Keys { fn add(&self, key: [u8; 4]) -> Result<u32>; }";
/// let description = syshandle_idl::rust::describe(syn::parse_str(text).unwrap()).unwrap();
/// let differences = emitted_differences(&emit(&description).unwrap(), &description);
/// assert_eq!(differences[0].method, "IKeys::Add");
/// ```
pub fn emitted_differences(emitted: &str, description: &Description) -> Vec<LayoutDifference> {
    let options = Options::default();
    let read = report::read_text("emitted.idl", emitted, &options);
    let mut lowered = Description::default();
    let state = lower(&read.program, &options, &mut lowered);
    let tables = TraitTables::of(description);
    let mut differences = Vec::new();
    for interface in description.interfaces.iter().filter(|of| !of.is_private) {
        let declared = state.layouts.get(&interface.name.to_string());
        for (at, method) in interface.methods.iter().enumerate() {
            let one = declared.and_then(|methods| methods.get(at));
            let found = match one {
                Some(one) => layout_difference(Some(one), at, method, &tables),
                None => {
                    differences.push(LayoutDifference {
                        method: format!("I{}::{}", interface.name, method.name),
                        reason: "the layout of its declaration can't be computed".to_owned(),
                        is_mask: false,
                    });
                    continue;
                }
            };
            differences.extend(found.map(|MethodDifference { name, reason, is_mask, .. }| {
                LayoutDifference { method: name, reason, is_mask }
            }));
        }
    }
    differences
}
