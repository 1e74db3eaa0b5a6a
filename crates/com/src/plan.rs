//! The *slots* of a COM method: its arguments after `this`.

use std::collections::HashSet;
use std::sync::Arc;

use syshandle_os::{Declaration, Kind, Kinds};
use syshandle_types::describe::{Method, Parameter, Type};

use crate::hresult::Hresult;
use crate::kinds;
use crate::shape::{Enumeration, Number, Shape};

/// The way in which one method of an interface is called with COM.
///
/// If COM supports all types of the method, each parameter and result takes one or two slots.
/// Otherwise, the method is *opaque*: it passes its encoded values as one array of bytes, and its
/// handles as one array per declared kind. A *slot* is an argument of the COM method after `this`:
/// a number, or an address in a [`Memory`](crate::Memory).
#[derive(Debug)]
pub struct MethodPlan {
    pub(crate) method: &'static Method,
    /// The method's index among the interface's own methods.
    pub(crate) number: u32,
    pub(crate) form: MethodForm,
}

/// The COM signature of a method.
#[derive(Debug)]
pub(crate) enum MethodForm {
    /// The signature that MIDL would generate.
    Native(SlotLayout),
    /// The signature of an opaque method: arrays of bytes and handles.
    Opaque(SlotLayout),
    /// COM can't pass one of the method's values. Contains the reason.
    Unsupported(String),
}

/// The slots of a method.
#[derive(Debug, Default)]
pub(crate) struct SlotLayout {
    pub(crate) parameters: Vec<SlotValue>,
    pub(crate) results: Vec<SlotValue>,
    /// The HRESULT of each variant of the method's error enum, in order.
    pub(crate) errors: Vec<Hresult>,
}

/// A parameter or result of a method, which takes one or two slots.
#[derive(Debug)]
pub(crate) struct SlotValue {
    /// The index of the parameter in the interface, or `None` for a result. All parameters of an
    /// opaque method have index 0.
    pub(crate) parameter: Option<u16>,
    pub(crate) shape: Shape,
    /// The index of the value's first slot.
    pub(crate) slot: usize,
}

/// The type of a floating-point slot. Such a slot may be passed in a floating-point register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// An `f32`, in the lower half of the slot.
    Single,
    /// An `f64`.
    Double,
}

impl MethodPlan {
    /// Determines the slots of a method.
    pub(crate) fn new(number: u32, method: &'static Method) -> Self {
        let form = match SlotLayout::of(method) {
            Some(layout) => MethodForm::Native(layout),
            None => match SlotLayout::opaque(method) {
                Ok(layout) => MethodForm::Opaque(layout),
                Err(why) => MethodForm::Unsupported(why),
            },
        };
        Self { method, number, form }
    }

    /// Returns the name of the method.
    pub fn name(&self) -> &'static str {
        self.method.name
    }

    /// Returns whether the method passes arrays of bytes and handles because MIDL can't express its
    /// types.
    pub fn is_opaque(&self) -> bool {
        matches!(self.form, MethodForm::Opaque(_))
    }

    /// Returns the reason why COM can't call the method, or `None` if it can. A method that COM
    /// can't call has no slots, and its calls fail.
    pub fn unsupported(&self) -> Option<&str> {
        match &self.form {
            MethodForm::Unsupported(why) => Some(why),
            _ => None,
        }
    }

    /// Returns the number of slots, without `this`.
    pub fn slot_count(&self) -> usize {
        self.slots().map_or(0, SlotLayout::slot_count)
    }

    /// Returns the type of a floating-point slot, or `None` for any other slot. Floating-point
    /// numbers in the first three slots are passed in floating-point registers.
    pub fn float(&self, slot: usize) -> Option<Float> {
        let value = self.slots()?.parameters.iter().find(|value| value.slot == slot)?;
        match value.shape {
            Shape::Number(Number::F32) => Some(Float::Single),
            Shape::Number(Number::F64) => Some(Float::Double),
            _ => None,
        }
    }

    pub(crate) fn slots(&self) -> Option<&SlotLayout> {
        match &self.form {
            MethodForm::Native(layout) | MethodForm::Opaque(layout) => Some(layout),
            MethodForm::Unsupported(_) => None,
        }
    }
}

impl SlotLayout {
    /// Returns the slots of a method, or `None` if MIDL can't express one of its types.
    fn of(method: &Method) -> Option<Self> {
        let mut layout = Self { errors: errors(method.error)?, ..Self::default() };
        for (parameter, index) in method.parameters.iter().zip(0..) {
            layout.add(Some(index), Shape::of(parameter)?);
        }
        match method.result.ty {
            ty if is_unit(&ty) => {}
            Type::Tuple(parts) => {
                for ty in parts {
                    layout.add(None, Shape::of(&Parameter { ty: *ty, ..method.result })?);
                }
            }
            _ => layout.add(None, Shape::of(&method.result)?),
        }
        (layout.slot_count() <= SLOTS_MAX).then_some(layout)
    }

    /// Returns the slots of a method in opaque form. Returns the reason as an error if COM can't
    /// pass one of the method's values.
    fn opaque(method: &Method) -> Result<Self, String> {
        let mut layout = Self::default();
        let mut arguments = KindCollector::new();
        for parameter in method.parameters {
            let location = format!("parameter `{}`", parameter.name);
            arguments.add(&parameter.ty, parameter.handle, &location)?;
        }
        let mut results = KindCollector::new();
        results.add(&method.result.ty, method.result.handle, "the result")?;
        if let Some(error) = method.error {
            results.add(&error, None, "the error")?;
        }
        let bytes = Shape::List(Arc::new(Shape::Number(Number::U8)));
        layout.add(Some(0), bytes.clone());
        for number in kinds::numbers(arguments.kinds) {
            layout.add(Some(0), Shape::List(Arc::new(Shape::Handle(number))));
        }
        layout.add(None, bytes);
        for number in kinds::numbers(results.kinds) {
            layout.add(None, Shape::List(Arc::new(Shape::Handle(number))));
        }
        Ok(layout)
    }

    fn add(&mut self, parameter: Option<u16>, shape: Shape) {
        let value = SlotValue { parameter, shape, slot: self.slot_count() };
        match parameter {
            Some(_) => self.parameters.push(value),
            None => self.results.push(value),
        }
    }

    /// Returns the number of slots.
    pub(crate) fn slot_count(&self) -> usize {
        self.parameters.iter().chain(&self.results).map(SlotValue::slot_count).sum()
    }
}

impl SlotValue {
    /// Returns the number of slots of a value. A list takes two, its count and its pointer; any
    /// other value takes one.
    fn slot_count(&self) -> usize {
        1 + usize::from(self.shape.counted().is_some())
    }
}

/// Returns whether this is the unit type, which COM doesn't pass.
fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Plain("()"))
}

/// Returns the HRESULT of each variant of a method's error enum. Returns `None` if the error type
/// isn't an enum without data, if two variants have the same HRESULT, or if a variant has no
/// HRESULT.
fn errors(error: Option<Type>) -> Option<Vec<Hresult>> {
    let Some(error) = error else { return Some(Vec::new()) };
    let hresults = Enumeration::of(&error)?.values.into_iter().map(Hresult::of_value);
    let hresults: Vec<_> = hresults.collect::<Option<_>>()?;
    let different: HashSet<_> = hresults.iter().collect();
    (different.len() == hresults.len()).then_some(hresults)
}

/// Collects the kinds of all handles in the values of a type, including nested ones.
struct KindCollector {
    kinds: Kinds,
    /// The types visited so far, each with the kinds declared for it. Prevents endless recursion,
    /// because a type may contain itself.
    seen: HashSet<(usize, u32)>,
}

impl KindCollector {
    fn new() -> Self {
        Self { kinds: Kinds::NONE, seen: HashSet::new() }
    }

    /// Adds the kinds of all handles in the values of a type.
    fn add(
        &mut self,
        ty: &Type,
        declared: Option<Declaration>,
        location: &str,
    ) -> Result<(), String> {
        match *ty {
            Type::Handle { declared: own, .. } => {
                let kinds = declared.map_or(own, |declared| declared.and(own)).kinds;
                if kinds.only() == Some(Kind::Timer) {
                    return Err(format!("{location}: COM has no kind of handle for a timer"));
                }
                self.kinds = Kinds::from_bits_truncate(self.kinds.bits() | kinds.bits());
                Ok(())
            }
            Type::Object(interface) => Err(format!(
                "{location}: COM can pass an object reference (`{}`) only as a parameter of a method \
                 whose types are all supported by MIDL",
                interface().name
            )),
            Type::Stream(_) => Err(format!(
                "{location}: COM has no form for a stream, so streams exist only on Linux"
            )),
            Type::Option(inner) | Type::List(inner) | Type::Array(inner, _) | Type::Set(inner) => {
                self.add(inner, declared, location)
            }
            Type::Result(a, b) | Type::Map(a, b) => {
                self.add(a, declared, location)?;
                self.add(b, declared, location)
            }
            Type::Tuple(parts) => {
                parts.iter().try_for_each(|part| self.add(part, declared, location))
            }
            Type::Named { definition, .. } => {
                let bits = declared.map_or(u32::MAX, |declared| declared.kinds.bits());
                if !self.seen.insert((definition as usize, bits)) {
                    return Ok(());
                }
                definition()
                    .fields()
                    .try_for_each(|field| self.add(&field.ty, field.handle.or(declared), location))
            }
            _ => Ok(()),
        }
    }
}

/// Maximum number of slots of a method: the number of arguments that
/// `sys::interface_pointer::invoke` passes. An opaque method that passes handles of every kind in
/// both directions has 56.
const SLOTS_MAX: usize = 64;
