//! The state of a conversion that is kept from one file to the next.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::enum_values::EnumValues;
use crate::front::Span;
use crate::front::ast::{EnumType, Expression};
use crate::front::diagnostic::Diagnostics;
use crate::layout::Slot;

/// The diagnostics and the names of a conversion.
#[derive(Default)]
pub(crate) struct LoweringState {
    pub(super) diagnostics: Diagnostics,
    /// For each Rust name, the position of its declaration.
    pub(super) names: HashMap<String, Span>,
    /// The Rust names of types, by the positions of their declarations. A type may be used by its
    /// tag and by the name of a typedef.
    pub(super) type_names: HashMap<Span, String>,
    /// The interfaces that have been processed, by the positions of their names.
    pub(super) visited_interfaces: HashSet<Span>,
    /// The requested interfaces and classes that were found.
    pub(super) found_requests: HashSet<String>,
    /// The interfaces and classes that were not requested.
    pub(super) unrequested: Vec<String>,
    /// The positions of the described interfaces and classes, by their Rust names.
    pub(super) spans: HashMap<String, Span>,
    /// The types that can't be described, by the names by which others use them.
    pub(super) unsupported: HashMap<String, Span>,
    /// The declared layouts of interfaces, by the names of their traits.
    pub(crate) layouts: HashMap<String, Vec<MethodLayout>>,
    /// The interfaces that were declared private and found.
    pub(super) found_private: HashSet<String>,
    /// The uses of each type, by its Rust name: the position, and the part that uses it.
    pub(super) uses: HashMap<String, Vec<(Span, String)>>,
    /// The number of methods and parameters described so far.
    pub(super) values: usize,
    /// The values of integer expressions. An expression in a typedef is evaluated for each use of
    /// the typedef. The syntax tree outlives the conversion, so addresses identify expressions.
    pub(super) integers: RefCell<HashMap<*const Expression, Option<i128>>>,
    pub(super) enums: HashMap<*const EnumType, Rc<EnumValues>>,
}

/// The COM layout of a method as declared in a file.
pub(crate) struct MethodLayout {
    /// The interface and the method: `IFinisher::Finish`.
    pub(super) name: String,
    pub(super) span: Span,
    /// The number in the interface's vtable.
    pub(super) number: usize,
    pub(super) slots: Vec<Slot>,
    /// The parameter of each slot.
    pub(super) slot_parameters: Vec<(String, Span)>,
    /// The reasons why the layout differs or isn't known.
    pub(super) reasons: Vec<(Span, String)>,
    /// The differences that access masks cause, because a trait's tables have no masks. Nothing
    /// else depends on the masks.
    pub(super) masks: Vec<(Span, String)>,
}
