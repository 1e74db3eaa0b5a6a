//! The types in client methods: parameters are lent, and results are owned.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{GenericArgument, PathArguments, Type, TypePath};

/// Returns the type of a client's parameter: numbers by value, `&str` for `String`, `&[T]` for
/// `Vec<T>`, an option of the lent type for `Option<T>`, and otherwise a reference.
pub(crate) fn parameter_type(ty: &Type) -> TokenStream {
    let Type::Path(TypePath { qself: None, path, .. }) = ty else {
        return quote!(&#ty);
    };
    let Some(last) = path.segments.last() else { return quote!(&#ty) };
    match (last.ident.to_string().as_str(), argument(&last.arguments)) {
        (name, None) if BY_VALUE.contains(&name) && path.segments.len() == 1 => quote!(#ty),
        ("String", None) => quote!(&str),
        ("Vec", Some(item)) => quote!(&[#item]),
        ("Option", Some(value)) => {
            let value = parameter_type(value);
            quote!(::core::option::Option<#value>)
        }
        _ => quote!(&#ty),
    }
}

/// Returns the type of a client's result. An `Arc<T>` becomes `T`, because only the server also
/// keeps what it returns.
pub(crate) fn result_type(ty: &Type) -> &Type {
    let Type::Path(TypePath { qself: None, path, .. }) = ty else { return ty };
    let last = path.segments.last().filter(|last| last.ident == "Arc");
    last.and_then(|last| argument(&last.arguments)).unwrap_or(ty)
}

/// Returns the type in angle brackets, if there is exactly one.
fn argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    match (arguments.args.first(), arguments.args.len()) {
        (Some(GenericArgument::Type(ty)), 1) => Some(ty),
        _ => None,
    }
}

/// Types that are passed by value, because copying them costs no more than lending.
const BY_VALUE: [&str; 16] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32",
    "u64", "u128", "usize",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(owned: &str, expected: &str) {
        let owned: Type = syn::parse_str(owned).unwrap();
        let expected: Type = syn::parse_str(expected).unwrap();
        assert_eq!(parameter_type(&owned).to_string(), quote!(#expected).to_string());
    }

    #[test]
    fn lending_is_mechanical() {
        check("u64", "u64");
        check("String", "&str");
        check("std::string::String", "&str");
        check("Vec<u8>", "&[u8]");
        check("Option<File>", "::core::option::Option<&File>");
        check("Option<String>", "::core::option::Option<&str>");
        check("Option<u32>", "::core::option::Option<u32>");
        check("HashMap<String, u32>", "&HashMap<String, u32>");
        check("(u8, File)", "&(u8, File)");
        check("my::Options", "&my::Options");
        check("[u8; 4]", "&[u8; 4]");
    }

    #[test]
    fn the_receiver_owns_a_shared_value() {
        let ty = |text| syn::parse_str::<Type>(text).unwrap();
        assert_eq!(result_type(&ty("std::sync::Arc<Event>")), &ty("Event"));
        assert_eq!(result_type(&ty("Option<Arc<Event>>")), &ty("Option<Arc<Event>>"));
        assert_eq!(result_type(&ty("Event")), &ty("Event"));
    }
}
