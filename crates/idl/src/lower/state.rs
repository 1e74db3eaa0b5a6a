//! The state of a conversion that is shared by all files of a run.

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
    /// The position of the declaration for each Rust name in use.
    pub(super) names: HashMap<String, Span>,
    /// The Rust name of each type, by the position of its declaration. The position is used because
    /// a type may have both a tag and a typedef name.
    pub(super) type_names: HashMap<Span, String>,
    /// The interfaces that have been processed, identified by the positions of their names.
    pub(super) visited_interfaces: HashSet<Span>,
    /// The requested interfaces and classes that have been found.
    pub(super) found_requests: HashSet<String>,
    /// The interfaces and classes that have been found but were not requested.
    pub(super) unrequested: Vec<String>,
    /// The positions of the converted interfaces and classes, by Rust name.
    pub(super) spans: HashMap<String, Span>,
    /// The types that can't be converted, by the names by which other definitions refer to them.
    pub(super) unsupported: HashMap<String, Span>,
    /// The layouts that the files declare for each interface, by the name of the Rust trait.
    pub(crate) layouts: HashMap<String, Vec<MethodLayout>>,
    /// The private interfaces in the options that have been found.
    pub(super) found_private: HashSet<String>,
    /// The uses of each type, by its Rust name. Each use has a position and the element that uses
    /// the type.
    pub(super) uses: HashMap<String, Vec<(Span, String)>>,
    /// The number of methods and parameters converted so far.
    pub(super) values: usize,
    /// The cached values of integer expressions, because an expression in a typedef is needed at
    /// each use of the typedef. Expressions are identified by their addresses, which stay valid
    /// because the syntax tree outlives the conversion.
    pub(super) integers: RefCell<HashMap<*const Expression, Option<i128>>>,
    pub(super) enums: HashMap<*const EnumType, Rc<EnumValues>>,
}

/// The COM layout that a file declares for a method.
pub(crate) struct MethodLayout {
    /// The name of the interface and method: `IFinisher::Finish`.
    pub(super) name: String,
    pub(super) span: Span,
    /// The index in the interface's vtable.
    pub(super) number: usize,
    pub(super) slots: Vec<Slot>,
    /// The parameter that each slot belongs to.
    pub(super) slot_parameters: Vec<(String, Span)>,
    /// The reasons why the layout differs or is unknown.
    pub(super) reasons: Vec<(Span, String)>,
    /// The differences that access masks cause. A trait's tables contain no masks, but masks have
    /// no effect on the rest of the layout.
    pub(super) masks: Vec<(Span, String)>,
}
