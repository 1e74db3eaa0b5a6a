//! Computes the COM layout that an `.idl` file declares, according to MIDL's rules for 64-bit
//! Windows.
//!
//! If the layout of a construct isn't known with certainty, the method counts as different. An
//! attribute, type or combination for which this module has no rule is therefore never accepted as
//! equal.

mod attributes;
mod expanded_type;
mod facts;
mod leaf_types;
mod types;

use super::Lowering;
use super::state::MethodLayout;
use crate::front::Span;
use crate::front::ast::{AttributeName, Expression, Interface, Method, Parameter};
use crate::front::check::symbols::Definition;
use crate::front::limits::{CHAIN_MAX, PARAMETER_TYPES_MAX};
use crate::layout::{Direction, Slot, Type};

pub(super) use facts::{Facts, PointerDefault};

use attributes::{METHOD, PARAMETER, check_interface};
use types::{CountScope, LayoutReader};

/// A method, with the interface that declares it.
type OwnMethod<'a> = (&'a Interface, &'a Method);

impl<'a> Lowering<'_, 'a> {
    /// Returns the layouts of all methods of an interface, in the order of the trait's methods.
    pub(super) fn method_layouts(
        &self,
        interface: &'a Interface,
        methods: &[&'a Method],
    ) -> Vec<MethodLayout> {
        let (vtable, whole) = self.vtable(interface);
        methods
            .iter()
            .map(|method| {
                let mut declared = self.method_layout(&interface.name.name, method);
                match vtable.iter().position(|(_, known)| known.name.span == method.name.span) {
                    Some(number) => {
                        declared.number = number;
                        let (of, _) = vtable[number];
                        if let Err(reason) = check_interface(&of.attributes) {
                            declared.reasons.push((of.name.span, reason));
                        }
                    }
                    None if method.attributes.has(AttributeName::CallAs) => {}
                    None => declared.reasons.push((
                        method.name.span,
                        "it has no own entry in the vtable of the interface".to_owned(),
                    )),
                }
                declared.reasons.extend(whole.clone());
                declared
            })
            .collect()
    }

    /// Returns the methods in an interface's vtable, each with the interface that declares it. Also
    /// returns an error that affects all of them, if any.
    fn vtable(&self, interface: &'a Interface) -> (Vec<OwnMethod<'a>>, Option<(Span, String)>) {
        let mut chain = vec![interface];
        let mut wrong = None;
        while let Some(path) = chain.last().and_then(|last| last.base.as_ref()) {
            match self.view.find(path).map(|symbol| symbol.definition) {
                Some(Definition::Interface(base)) if base.members.is_some() => chain.push(base),
                _ => {
                    let reason = format!("its base `{}` is not defined", path.name());
                    wrong = Some((path.span, reason));
                    break;
                }
            }
            if chain.len() > CHAIN_MAX {
                wrong = Some((path.span, "it has too many bases".to_owned()));
                break;
            }
        }
        let is_called_as = |method: &&Method| !method.attributes.has(AttributeName::CallAs);
        let methods = chain
            .iter()
            .rev()
            .flat_map(|of| of.methods().filter(is_called_as).map(move |method| (*of, method)));
        (methods.collect(), wrong)
    }

    fn method_layout(&self, interface: &str, method: &'a Method) -> MethodLayout {
        let mut declared = MethodLayout {
            name: format!("{interface}::{}", method.name.name),
            span: method.name.span,
            number: usize::MAX,
            slots: Vec::new(),
            slot_parameters: Vec::new(),
            reasons: Vec::new(),
            masks: Vec::new(),
        };
        if let Err(reason) = METHOD.check(&method.attributes) {
            declared.reasons.push((method.name.span, reason));
        }
        if let Err(reason) = self.check_return(method) {
            declared.reasons.push((method.returns.span, reason));
        }
        for parameter in &method.parameters.list {
            let name = parameter.declarator.name.as_ref().map_or("", |name| &name.name);
            let slot = self.slot(method, parameter);
            let masks = self.masks.take().into_iter();
            declared.masks.extend(
                masks.map(|reason| (parameter.span, format!("parameter `{name}`: {reason}"))),
            );
            match slot {
                Ok(slot) => {
                    declared.slots.push(slot);
                    declared.slot_parameters.push((name.to_owned(), parameter.span));
                }
                Err(reason) => {
                    declared
                        .reasons
                        .push((parameter.span, format!("parameter `{name}`: {reason}")));
                }
            }
        }
        declared
    }

    fn check_return(&self, method: &'a Method) -> Result<(), String> {
        self.types_left.set(PARAMETER_TYPES_MAX);
        let reader = LayoutReader { lowering: self, direction: Direction::Out };
        let expanded =
            reader.expand(&method.attributes, &method.returns, &method.return_derivations)?;
        match reader.leaf_of(&expanded)? {
            Some(Type::Integer(4)) => Ok(()),
            _ => Err("it doesn't return an HRESULT of 4 bytes".to_owned()),
        }
    }

    fn slot(&self, method: &'a Method, parameter: &'a Parameter) -> Result<Slot, String> {
        let attributes = &parameter.attributes;
        PARAMETER.check(attributes)?;
        let is_out = attributes.has(AttributeName::Out) || attributes.has(AttributeName::Retval);
        let direction = match (attributes.has(AttributeName::In), is_out) {
            (true, true) => {
                return Err(
                    "an `in, out` parameter is one slot in the file, but two slots in the trait"
                        .to_owned(),
                );
            }
            (false, true) => Direction::Out,
            (_, false) => Direction::In,
        };
        if parameter.declarator.bits.is_some() {
            return Err("it is a bit field".to_owned());
        }
        self.types_left.set(PARAMETER_TYPES_MAX);
        let reader = LayoutReader { lowering: self, direction };
        let derivations = &parameter.declarator.derivations;
        let expanded = reader.expand(attributes, &parameter.specifier, derivations)?;
        let parameters = &method.parameters.list;
        let owner = CountScope::Parameters(parameters);
        let ty = match direction {
            Direction::In => reader.input(&expanded, owner)?,
            Direction::Out => reader.output(&expanded, owner)?,
        };
        Ok(Slot { direction, ty })
    }

    /// Evaluates a constant expression. Returns `None` if it isn't constant.
    pub(super) fn constant_value(&self, of: &Expression) -> Option<i128> {
        match crate::front::constant::evaluate(of, &self.view) {
            Ok(crate::front::constant::Value::Integer(value)) => Some(value.value),
            _ => None,
        }
    }
}
