//! Implements the macro `class!`, which declares a class as a constant: `class! { pub
//! SPARKLE_FINISHER: SparkleFinisher = "…"; }`.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, Ident, Path, Result, Token, Visibility};
use syshandle_model::CLASS_INTERFACES_MAX;

/// The parsed declaration of a class.
pub(crate) struct ClassDeclaration {
    /// The path of the library, which `syshandle::class!` passes as an argument.
    syshandle: Path,
    attributes: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    interfaces: Punctuated<Path, Token![+]>,
    clsid: [u8; 16],
}

impl Parse for ClassDeclaration {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let syshandle = input.call(Path::parse_mod_style)?;
        input.parse::<Token![;]>()?;
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let name: Ident = input.parse()?;
        if !input.peek(Token![:]) {
            let what = "a class needs an interface: `NAME: Interface = \"…\";`";
            return Err(Error::new_spanned(name, what));
        }
        input.parse::<Token![:]>()?;
        let interfaces = Punctuated::parse_separated_nonempty(input)?;
        if !input.peek(Token![=]) {
            let what = "a class needs an identifier of its own, made once and never changed: \
                        write `= \"…\"` after this with the output of `uuidgen`";
            return Err(Error::new_spanned(interfaces, what));
        }
        input.parse::<Token![=]>()?;
        let clsid = syshandle_model::traits::guid(&input.parse::<Expr>()?)?;
        input.parse::<Option<Token![;]>>()?;
        if !input.is_empty() {
            return Err(input.error("one class at a time: put this into another `class! { … }`"));
        }
        check(&name, &interfaces)?;
        Ok(Self { syshandle, attributes, visibility, name, interfaces, clsid })
    }
}

/// Checks that the class fits into the mark in a server's program file.
fn check(name: &Ident, interfaces: &Punctuated<Path, Token![+]>) -> Result<()> {
    if name.to_string().len() > NAME_MAX {
        let what = format!("the name of a class has at most {NAME_MAX} bytes");
        return Err(Error::new_spanned(name, what));
    }
    if let Some(one_too_many) = interfaces.iter().nth(CLASS_INTERFACES_MAX) {
        let what = format!("a class has at most {CLASS_INTERFACES_MAX} interfaces");
        return Err(Error::new_spanned(one_too_many, what));
    }
    for (i, interface) in interfaces.iter().enumerate() {
        if interfaces.iter().take(i).any(|before| before == interface) {
            let what = "repeated interface: remove it";
            return Err(Error::new_spanned(interface, what));
        }
    }
    Ok(())
}

/// Generates the constant, and a type that identifies the class at compile time.
pub(crate) fn class(class: &ClassDeclaration) -> TokenStream {
    let ClassDeclaration { syshandle, attributes, visibility, name, interfaces, clsid } = class;
    let marker = format_ident!("__Class_{name}");
    let clsid = clsid.iter().map(|byte| Literal::u8_unsuffixed(*byte));
    let text = name.to_string();
    let interfaces: Vec<_> = interfaces.iter().collect();
    // A condition of the constant applies to everything else that is generated.
    let conditions: Vec<_> = attributes.iter().filter(|of| of.path().is_ident("cfg")).collect();
    quote! {
        #(#attributes)*
        #visibility const #name: #syshandle::object::Class<#marker> = #syshandle::object::Class::new();

        #(#conditions)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named after the constant")]
        #[derive(Debug)]
        #visibility enum #marker {}

        #(#conditions)*
        impl #syshandle::generated::Sealed for #marker {}

        #(#conditions)*
        impl #syshandle::object::ClassInfo for #marker {
            const CLSID: #syshandle::Guid = #syshandle::Guid::from_bytes([#(#clsid),*]);
            const NAME: &'static str = #text;
            const INTERFACES: &'static [&'static #syshandle::describe::Interface] =
                &[#(<dyn #interfaces as #syshandle::object::Interface>::DESCRIPTION),*];
            const MARK: &'static [u8] = &#syshandle::generated::class_mark::<Self>();
        }

        #(#conditions)*
        impl<T> #syshandle::generated::SealedFor<T> for #marker
        where
            #(dyn #interfaces: #syshandle::object::Implements<T>,)*
        {
        }

        #(#conditions)*
        impl<T> #syshandle::object::Serves<T> for #marker
        where
            #(dyn #interfaces: #syshandle::object::Implements<T>,)*
        {
            fn object(implementation: T) -> #syshandle::object::Object {
                let shared = ::std::sync::Arc::new(implementation);
                #syshandle::object::Object::new() #(.with::<dyn #interfaces, T>(&shared))*
            }
        }
    }
}

/// Maximum length of the class name that the mark has space for.
const NAME_MAX: usize = 64;
