//! Converts the methods of a trait to the model.

use proc_macro2::Ident;
use syn::spanned::Spanned;
use syn::{
    AngleBracketedGenericArguments, Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, Lit,
    Meta, MetaNameValue, Pat, PatType, PathArguments, Receiver, ReceiverKind, Result, ReturnType,
    Safety, Signature, TraitItemFn, Type, TypePath,
};

use super::{Errors, docs, handle, range, refuse_attributes};
use crate::{CLIENT_METHODS, Handle, Method, Parameter};

/// Converts a method to the model.
pub(super) fn method(function: &TraitItemFn) -> Result<Method> {
    let mut errors = Errors::default();
    let Signature { ident, inputs, output, .. } = &function.sig;
    check_signature(function, &mut errors);
    let mut inputs = inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) => check_receiver(receiver, &mut errors),
        _ => errors.push(Error::new_spanned(
            ident,
            "a method is called on an object: write `&self` first",
        )),
    }
    let mut context = None;
    let mut parameters = Vec::new();
    for (i, input) in inputs.enumerate() {
        let FnArg::Typed(input) = input else { continue };
        match errors.keep(name(input)) {
            Some(name) if i == 0 && is_context(&input.ty) => {
                let (docs, ty) = (Vec::new(), (*input.ty).clone());
                context = Some(Parameter { docs, name, ty, handle: None, range: None });
            }
            Some(name) => parameters.extend(errors.keep(parameter(name, input))),
            None => {}
        }
    }
    let result_handle = errors.keep(handle(&function.attrs)).flatten();
    let blocking = errors.keep(is_marked(&function.attrs, "blocking")).unwrap_or(false);
    let one_way = errors.keep(is_marked(&function.attrs, ONE_WAY)).unwrap_or(false);
    let differs = errors.keep(com_difference(&function.attrs)).flatten();
    check_attributes(&function.attrs, &mut errors);
    if let Some(attribute) = function.attrs.iter().find(|of| of.path().is_ident("range")) {
        let what = "`#[range(…)]` applies only to parameters: the server must check its results";
        errors.push(Error::new_spanned(attribute, what));
    }
    let returned = match one_way {
        true => errors.keep(one_way_return(ident, &function.attrs, output)),
        false => errors.keep(method_return(ident, output)),
    };
    errors.finish()?;
    let Some(MethodReturn { result, error, is_call_error }) = returned else {
        return Err(Error::new_spanned(ident, "a method needs a result: write `-> Result<()>`"));
    };
    let returns = match output {
        ReturnType::Type(_, ty) => (**ty).clone(),
        ReturnType::Default => syn::parse_quote!(()),
    };
    Ok(Method {
        docs: docs(&function.attrs),
        attributes: function
            .attrs
            .iter()
            .filter(|of| is_one_of(of, &FORWARDED_ATTRIBUTES))
            .cloned()
            .collect(),
        name: ident.clone(),
        context,
        parameters,
        result,
        result_handle,
        error,
        returns_call_error: is_call_error,
        returns,
        blocking,
        one_way,
        differs,
    })
}

/// Returns whether a method has an attribute. Returns an error if the attribute has arguments.
fn is_marked(attributes: &[Attribute], name: &str) -> Result<bool> {
    let mut is_marked = false;
    for attribute in attributes.iter().filter(|of| of.path().is_ident(name)) {
        attribute.meta.require_path_only()?;
        is_marked = true;
    }
    Ok(is_marked)
}

/// Returns the reason in the attribute `#[com(differs = "…")]`, with which `syshandle idl rust`
/// marks a method whose COM layout differs.
fn com_difference(attributes: &[Attribute]) -> Result<Option<String>> {
    let form =
        "only `#[com(differs = \"…\")]` is known here, once, as `syshandle idl rust` writes it";
    let mut attributes = attributes.iter().filter(|of| of.path().is_ident("com"));
    let Some(attribute) = attributes.next() else { return Ok(None) };
    if let Some(second) = attributes.next() {
        return Err(Error::new_spanned(second, form));
    }
    match attribute.parse_args::<Meta>()? {
        Meta::NameValue(MetaNameValue {
            path,
            value: Expr::Lit(ExprLit { lit: Lit::Str(why), .. }),
            ..
        }) if path.is_ident("differs") => Ok(Some(why.value())),
        other => Err(Error::new_spanned(other, form)),
    }
}

/// Checks all parts of a method's signature except its parameters.
fn check_signature(function: &TraitItemFn, errors: &mut Errors) {
    let signature = &function.sig;
    if CLIENT_METHODS.iter().any(|taken| signature.ident == taken) {
        let name = &signature.ident;
        let what = format!("every client has a method `{name}` of its own: write another name");
        errors.push(Error::new_spanned(name, what));
    }
    if let Some(token) = &signature.asyncness {
        let what = "methods are plain functions, run on a pool: leave out `async`. The async client \
                    is made from the same trait";
        errors.push(Error::new_spanned(token, what));
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.push(Error::new_spanned(token, "a method of an interface is safe to call"));
    }
    if let Some(token) = &signature.constness {
        errors.push(Error::new_spanned(token, "a method of an interface can't be `const`"));
    }
    if let Some(abi) = &signature.abi {
        errors.push(Error::new_spanned(abi, "a method of an interface is an ordinary function"));
    }
    if let Some(variadic) = &signature.variadic {
        errors.push(Error::new_spanned(variadic, "variadic methods aren't supported"));
    }
    if !signature.generics.params.is_empty() {
        let what = "a method has one form on the wire: it can't be generic";
        errors.push(Error::new_spanned(&signature.generics, what));
    }
    if let Some(body) = &function.default {
        let what = "a method of an interface can't have a body, because it runs in the server";
        errors.push(Error::new_spanned(body, what));
    }
}

fn check_receiver(receiver: &Receiver, errors: &mut Errors) {
    if !matches!(receiver.kind, ReceiverKind::Reference(_, _, None)) {
        let what = "an object is shared by its clients: write `&self`, and keep what changes in a \
                    `Mutex` or an atomic";
        errors.push(Error::new_spanned(receiver, what));
    }
}

/// Returns the name of a parameter.
fn name(input: &PatType) -> Result<Ident> {
    match &*input.pat {
        Pat::Ident(name)
            if name.subpat.is_none() && name.by_ref.is_none() && name.mutability.is_none() =>
        {
            Ok(name.ident.clone())
        }
        other => Err(Error::new_spanned(other, "a parameter of an interface has a plain name")),
    }
}

/// Returns whether a type is `&Context`.
fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let Type::Path(path) = &*reference.elem else { return false };
    reference.mutability.is_none()
        && path.path.segments.last().is_some_and(|last| last.ident == "Context")
}

/// Converts a parameter to the model.
fn parameter(name: Ident, input: &PatType) -> Result<Parameter> {
    let mut errors = Errors::default();
    let others = input.attrs.iter().filter(|of| !is_one_of(of, &["handle", "range"]));
    refuse_attributes(others, "documentation, `#[handle(…)]` and `#[range(…)]`", &mut errors);
    if is_context(&input.ty) {
        let what = "the context comes first: `&self, context: &Context, …`";
        errors.push(Error::new_spanned(&input.ty, what));
    } else if let Some(what) = borrow_error(&input.ty, PARAMETER) {
        errors.push(Error::new_spanned(&input.ty, what));
    }
    let handle: Option<Handle> = errors.keep(handle(&input.attrs)).flatten();
    let range = errors.keep(range(&input.attrs)).flatten();
    errors.finish()?;
    Ok(Parameter { docs: docs(&input.attrs), name, ty: (*input.ty).clone(), handle, range })
}

/// Checks the attributes of a method.
fn check_attributes(attributes: &[Attribute], errors: &mut Errors) {
    let is_known = |of: &&Attribute| {
        is_one_of(of, &FORWARDED_ATTRIBUTES)
            || is_one_of(of, &["handle", "range", "blocking", ONE_WAY, "com"])
    };
    let (conditions, others): (Vec<_>, Vec<_>) = attributes
        .iter()
        .filter(|of| !is_known(of))
        .partition(|of| is_one_of(of, &CONDITIONAL_ATTRIBUTES));
    for condition in conditions {
        let what = "methods are numbered by position, so an interface has the same methods in \
                    every build: leave out the condition, and let the server refuse the call";
        errors.push(Error::new_spanned(condition, what));
    }
    let allowed = "documentation, `#[handle(…)]`, `#[blocking]`, `#[oneway]`, `#[deprecated]`, \
                   `#[must_use]`, `#[allow(…)]` and `#[expect(…)]`";
    refuse_attributes(others, allowed, errors);
}

/// The attribute of a method whose calls have no reply.
const ONE_WAY: &str = "oneway";

/// Attributes that are copied from a method to its clients.
const FORWARDED_ATTRIBUTES: [&str; 4] = ["deprecated", "must_use", "allow", "expect"];

/// Attributes that can exclude a method from compilation.
const CONDITIONAL_ATTRIBUTES: [&str; 2] = ["cfg", "cfg_attr"];

/// Returns whether the name of an attribute is in the list.
fn is_one_of(attribute: &Attribute, names: &[&str]) -> bool {
    names.iter().any(|name| attribute.path().is_ident(name))
}

/// Returns an error message if a type is borrowed.
fn borrow_error(ty: &Type, (why, then): (&str, &str)) -> Option<String> {
    match ty {
        Type::Reference(reference) => Some(match owned_type(&reference.elem) {
            Some(owned) => {
                format!("{why}: write `{owned}`{then}")
            }
            None => {
                format!("{why}: leave out the `&`{then}")
            }
        }),
        Type::Ptr(_) => Some("a pointer isn't valid in another process".into()),
        Type::ImplTrait(_) | Type::TraitObject(_) => {
            Some("write one type: to pass an object on, the client type of its interface".into())
        }
        Type::FnPtr(_) => {
            Some("a function can't be passed: pass an object with an interface".into())
        }
        Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "RawFd") => {
            Some(
                "a `RawFd` is only a number in another process: write `File`, `Event`, `OwnedFd` …"
                    .into(),
            )
        }
        Type::Path(path)
            if path.path.segments.last().is_some_and(|last| last.ident == "BorrowedFd") =>
        {
            Some(format!("{why}: write `OwnedFd`{then}"))
        }
        _ => None,
    }
}

/// Returns the owned type that corresponds to a common borrowed type.
fn owned_type(ty: &Type) -> Option<String> {
    match ty {
        Type::Slice(slice) => {
            let item = &slice.elem;
            Some(format!("Vec<{}>", quote::quote!(#item)))
        }
        Type::Path(path) if path.path.is_ident("str") => Some("String".into()),
        Type::Path(path) if path.path.is_ident("Path") => Some("PathBuf".into()),
        _ => None,
    }
}

/// The return type of a method.
struct MethodReturn {
    result: Type,
    /// The method's own error type, if any.
    error: Option<Type>,
    /// Whether the method wraps its own error in `CallError`.
    is_call_error: bool,
}

/// Determines the result type and the error type from a method's return type.
fn method_return(name: &Ident, output: &ReturnType) -> Result<MethodReturn> {
    let ty = match output {
        ReturnType::Default => {
            let what =
                "every call can fail, so every method returns a `Result`: write `-> Result<()>`";
            return Err(Error::new_spanned(name, what));
        }
        ReturnType::Type(_, ty) => ty,
    };
    let what = || {
        let ty = quote::quote!(#ty);
        format!("every call can fail, so every method returns a `Result`: write `Result<{ty}>`")
    };
    let Type::Path(path) = &**ty else { return Err(Error::new(ty.span(), what())) };
    let last = path.path.segments.last().filter(|last| last.ident == "Result");
    let Some(last) = last else { return Err(Error::new(ty.span(), what())) };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return Err(Error::new(ty.span(), "a `Result` needs a value type: write `Result<()>`"));
    };
    let mut types = type_arguments(arguments);
    let module = path.path.segments.iter().rev().nth(1);
    if types.len() == 1 && module.is_some_and(|module| module.ident == "io") {
        let what = "an `io::Result` leaves open how a call fails: write `Result<T>`, into which `?` \
                    converts an `io::Error`, or `Result<T, io::Error>`";
        return Err(Error::new(ty.span(), what));
    }
    let wrapped = types.get(1).and_then(own_error);
    let is_call_error = wrapped.is_some();
    if let Some(error) = wrapped {
        types[1] = error;
    }
    if let Some(wrong) = types.iter().find_map(|ty| borrow_error(ty, RESULT).map(|what| (ty, what)))
    {
        return Err(Error::new_spanned(wrong.0, wrong.1));
    }
    match <[Type; 2]>::try_from(types) {
        Ok([result, error]) => Ok(MethodReturn { result, error: Some(error), is_call_error }),
        Err(types) => match <[Type; 1]>::try_from(types) {
            Ok([result]) => Ok(MethodReturn { result, error: None, is_call_error }),
            Err(_) => Err(Error::new(ty.span(), "write `Result<T>` or `Result<T, E>`")),
        },
    }
}

/// Determines the result type of a one-way method, which is `()`.
fn one_way_return(
    name: &Ident,
    attributes: &[Attribute],
    output: &ReturnType,
) -> Result<MethodReturn> {
    const WHAT: &str = "a one-way call has no reply, so its method has no result and no error type \
                        of its own: leave out the result, or write `-> Result<()>`";
    if let Some(attribute) = attributes.iter().find(|of| of.path().is_ident("handle")) {
        let what = "a one-way method has no result that `#[handle(…)]` could declare";
        return Err(Error::new_spanned(attribute, what));
    }
    let nothing =
        || MethodReturn { result: syn::parse_quote!(()), error: None, is_call_error: false };
    let ReturnType::Type(_, ty) = output else { return Ok(nothing()) };
    let is_unit = |ty: &Type| matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty());
    if is_unit(ty) {
        return Ok(nothing());
    }
    let is_result =
        |path: &TypePath| path.path.segments.last().is_some_and(|last| last.ident == "Result");
    match &**ty {
        Type::Path(path) if is_result(path) => match method_return(name, output)? {
            returned if returned.error.is_none() && is_unit(&returned.result) => Ok(returned),
            _ => Err(Error::new(ty.span(), WHAT)),
        },
        _ => Err(Error::new(ty.span(), WHAT)),
    }
}

fn type_arguments(arguments: &AngleBracketedGenericArguments) -> Vec<Type> {
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    types.collect()
}

/// Returns `E` if the type is `CallError<E>`.
fn own_error(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "CallError")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    type_arguments(arguments).into_iter().next()
}

/// The reason why a parameter can't be borrowed, and a hint for the error message.
const PARAMETER: (&str, &str) =
    ("the server owns what it receives", "; the client lends it by itself");

/// The reason why a result can't be borrowed.
const RESULT: (&str, &str) = ("the client owns what it gets", "");
