//! `class! { pub SPARKLE_FINISHER: SparkleFinisher = "…"; }`: a class as a constant.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Ident, Path, Result, Token, Visibility};

/// A class, as it is declared.
pub(crate) struct Class {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    interfaces: Punctuated<Path, Token![+]>,
    clsid: [u8; 16],
}

impl Parse for Class {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let name = input.parse()?;
        input.parse::<Token![:]>()?;
        let interfaces = Punctuated::parse_separated_nonempty(input)?;
        input.parse::<Token![=]>()?;
        let clsid = syshandle_idl::rust::guid(&input.parse::<Expr>()?)?;
        input.parse::<Option<Token![;]>>()?;
        if interfaces.len() > INTERFACES_MAX {
            let what = format!("a class has at most {INTERFACES_MAX} interfaces");
            return Err(syn::Error::new_spanned(interfaces, what));
        }
        Ok(Self { attributes, visibility, name, interfaces, clsid })
    }
}

/// The constant, and the type that stands for the class.
pub(crate) fn class(class: &Class) -> TokenStream {
    let Class { attributes, visibility, name, interfaces, clsid } = class;
    let marker = format_ident!("__Class_{name}");
    let clsid = clsid.iter().map(|byte| Literal::u8_unsuffixed(*byte));
    let text = name.to_string();
    let interfaces: Vec<_> = interfaces.iter().collect();
    quote! {
        #(#attributes)*
        #visibility const #name: ::syshandle::Class<#marker> = ::syshandle::Class::new();

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named after the constant")]
        #[derive(Debug)]
        #visibility enum #marker {}

        impl ::syshandle::ClassInfo for #marker {
            const CLSID: ::syshandle::Guid = ::syshandle::Guid::from_bytes([#(#clsid),*]);
            const NAME: &'static str = #text;
            const INTERFACES: &'static [&'static ::syshandle::describe::Interface] =
                &[#(<dyn #interfaces as ::syshandle::Interface>::DESCRIPTION),*];
            const MARK: &'static [u8] = &::syshandle::generated::mark::<Self>();
        }

        impl<T: #(#interfaces)+*> ::syshandle::Serves<T> for #marker {
            fn object(implementation: T) -> ::syshandle::Object {
                let shared = ::std::sync::Arc::new(implementation);
                ::syshandle::Object::new() #(.with::<dyn #interfaces, T>(&shared))*
            }
        }
    }
}

/// Room for their identifiers in the mark that a server's program file carries.
const INTERFACES_MAX: usize = 8;
