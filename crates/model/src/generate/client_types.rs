//! The argument and result types of client methods. Arguments are borrowed, and results are owned.
//!
//! The trait `Describe` determines the borrowed form of a type. Generated code uses this form
//! directly for tuples and arrays, so that signatures are readable. For a named type, it uses the
//! associated types of `Describe`, because the name may be an alias. Documentation shows a primitive
//! type by its name.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Type, TypePath};

use crate::{Library, Parameter};

/// Returns a parameter of a client method.
pub(super) fn parameter(parameter: &Parameter, syshandle: &Library) -> TokenStream {
    let Parameter { name, ty, .. } = parameter;
    let argument = argument_type(ty, syshandle);
    match is_primitive(ty) {
        true => quote!(#[cfg(doc)] #name: #ty, #[cfg(not(doc))] #name: #argument),
        false => quote!(#name: #argument),
    }
}

/// Returns the type of an argument in a client method.
fn argument_type(ty: &Type, syshandle: &Library) -> TokenStream {
    match ty {
        Type::Tuple(_) | Type::Array(_) => quote!(&#ty),
        // Gives the code the span of the type, so that the compiler reports there if the type can't
        // be borrowed.
        _ => {
            let syshandle = syshandle.at(ty.span());
            quote_spanned!(ty.span()=> #syshandle::describe::Argument<'_, #ty>)
        }
    }
}

/// Returns the type of a result in a client method.
pub(super) fn output_type(ty: &Type, syshandle: &Library) -> TokenStream {
    match ty {
        Type::Tuple(_) | Type::Array(_) => quote!(#ty),
        _ if is_primitive(ty) => quote!(#ty),
        _ => {
            let syshandle = syshandle.at(ty.span());
            quote_spanned!(ty.span()=> #syshandle::describe::Output<#ty>)
        }
    }
}

/// Returns whether a type is written as the name of a primitive type. The program may have given
/// this name to another type.
fn is_primitive(ty: &Type) -> bool {
    let Type::Path(TypePath { qself: None, path, .. }) = ty else { return false };
    path.get_ident().is_some_and(|name| PRIMITIVES.iter().any(|primitive| name == primitive))
}

const PRIMITIVES: [&str; 16] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32",
    "u64", "u128", "usize",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(owned: &str, argument: &str, output: &str) {
        let parse = |text| syn::parse_str::<Type>(text).unwrap();
        let (owned, argument, output) = (parse(owned), parse(argument), parse(output));
        assert_eq!(
            argument_type(&owned, &Library::default()).to_string(),
            quote!(#argument).to_string()
        );
        assert_eq!(
            output_type(&owned, &Library::default()).to_string(),
            quote!(#output).to_string()
        );
    }

    #[test]
    fn the_library_decides_about_each_named_type() {
        let is_aliased = |ty| {
            let argument = format!("::syshandle::describe::Argument<'_, {ty}>");
            check(ty, &argument, &format!("::syshandle::describe::Output<{ty}>"));
        };
        is_aliased("String");
        is_aliased("std::vec::Vec<u8>");
        is_aliased("Option<File>");
        is_aliased("Arc<Event>");
        is_aliased("my::u32");
        let argument = "::syshandle::describe::Argument<'_, u32>";
        check("u32", argument, "u32");
        is_aliased("<my::Own as Trait>::Value");
    }

    #[test]
    fn tuples_and_arrays_are_spelled() {
        check("(u8, File)", "&(u8, File)", "(u8, File)");
        check("()", "&()", "()");
        check("[String; 4]", "&[String; 4]", "[String; 4]");
    }
}
