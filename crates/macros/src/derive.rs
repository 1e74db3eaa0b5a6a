//! Implements `#[derive(Encode, Decode)]` for structs and enums, which may contain handles.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Error, Fields, Generics, Ident, Result, TypeParamBound,
};
use syshandle_model::generate::{
    doc_text, field_docs, field_range, handle_declaration, range_check,
};
use syshandle_model::traits::{added, docs, grows, handle, range, unknown};
use syshandle_model::{Added, Library};

/// Generates the implementations of `Encode` and `Describe`.
pub(crate) fn encode(input: &DeriveInput) -> Result<TokenStream> {
    let syshandle = &Library::of_type(&input.attrs)?;
    let name = &input.ident;
    let grows = grows(&input.attrs, &input.data)?;
    let cases = cases(input, syshandle)?;
    let arms = cases.iter().map(|case| {
        let Case { pattern, names, .. } = case;
        let paths = case.paths();
        let number = case.number.map(|number| {
            let number = Literal::u32_unsuffixed(number);
            quote!(#syshandle::Encode::encode(&#number, __out);)
        });
        // An encoded value has at least one byte.
        let filler =
            (names.is_empty() && number.is_none() && !grows).then(|| quote!(__out.put(&[0]);));
        let fields = paths.zip(names).zip(&case.types).zip(&case.added).enumerate();
        let fields = fields.map(|(at, (((path, name), ty), added))| {
            match added.as_ref().filter(|added| added.is_required) {
                None => quote!(__out.named_field(#path, #name);),
                Some(added) => {
                    let number = Literal::usize_unsuffixed(at + 1);
                    let default = added.default_value(ty);
                    quote!(__out.required_field(#path, #number, #name, || #default);)
                }
            }
        });
        quote! {
            #pattern => {
                #number
                #filler
                #(#fields)*
            }
        }
    });
    let unknown = unknown_variant(input)?.map(|variant| {
        let type_name = name.unraw().to_string();
        quote! {
            Self::#variant => __out.fail(
                #syshandle::generated::EncodeErrorKind::UnknownVariant { type_name: #type_name },
            ),
        }
    });
    let function = if grows { quote!(growable) } else { quote!(nested) };
    let mut generics = bounded(&input.generics, &syn::parse_quote!(#syshandle::Encode));
    bound_defaults(&mut generics, &cases, None);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let describe = describe(input, &cases, grows, syshandle)?;
    let constructor = grows.then(|| constructor(input, &cases));
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #syshandle::Encode for #name #type_generics #where_clause {
            fn encode<'__a>(&'__a self, __out: &mut #syshandle::generated::Encoder<'__a>) {
                __out.#function(|__out| match self {
                    #(#arms)*
                    #unknown
                });
            }
        }

        #describe
        #constructor
    })
}

/// Generates the implementation of `Decode`.
pub(crate) fn decode(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let what = "a received value owns its parts: write `String` for `&str`, \
                    `Vec<T>` for `&[T]`, and leave out the lifetime";
        return Err(Error::new_spanned(lifetime, what));
    }
    let syshandle = &Library::of_type(&input.attrs)?;
    let grows = grows(&input.attrs, &input.data)?;
    let cases = cases(input, syshandle)?;
    let growable_type = growable_type(input, &cases, syshandle);
    let values = cases.iter().map(|case| {
        let Case { pattern, names, types, declared, bounds, .. } = case;
        let paths = case.paths();
        let filler = (names.is_empty() && case.number.is_none() && !grows)
            .then(|| quote!(__input.take_array::<1>()?;));
        let reads = paths.zip(types).zip(declared).zip(&case.added).map(|field| {
            let (((path, ty), declared), added) = field;
            match added.as_ref().map(|added| added.default_value(ty)) {
                None => quote!(__input.named_field::<#ty>(#path, #declared)?),
                Some(default) => {
                    quote!(__input.added_field::<#ty>(#path, #declared, || #default)?)
                }
            }
        });
        quote! {{
            #filler
            #(let #names = #reads; #bounds)*
            ::core::result::Result::Ok(#pattern)
        }}
    });
    let body = match &input.data {
        Data::Enum(_) => {
            let numbers = (0..cases.len()).map(Literal::usize_unsuffixed);
            let text = format!("variant of {}", name.unraw());
            let unknown = match unknown_variant(input)? {
                Some(variant) => quote! {
                    __input.unknown_variant(#growable_type).map(|()| Self::#variant)
                },
                None => quote! {
                    ::core::result::Result::Err(
                        __input.error(#syshandle::generated::DecodeErrorKind::Value { expected: #text }),
                    )
                },
            };
            quote! {
                match <u32 as #syshandle::Decode>::decode(__input)? {
                    #(#numbers => #values,)*
                    _ => #unknown,
                }
            }
        }
        _ => quote!(#(#values)*),
    };
    let body = match grows {
        true => quote!(__input.growable(#growable_type, |__input| #body)),
        false => quote!(__input.nested(|__input| #body)),
    };
    let mut generics = bounded(&input.generics, &syn::parse_quote!(#syshandle::Decode));
    bound_defaults(&mut generics, &cases, Some(&quote!(#syshandle::Encode)));
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let measure = measure(input, grows, syshandle);
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #syshandle::Decode for #name #type_generics #where_clause {
            fn decode(
                __input: &mut #syshandle::generated::Decoder<'_>,
            ) -> ::core::result::Result<Self, #syshandle::generated::DecodeError> {
                #body
            }
        }

        #measure
    })
}

/// Generates the implementation of `Measure` for an enum whose variants have no data. With it,
/// `#[range]` can limit the values of the variants.
///
/// A growable enum has none, because a limit would refuse the variants that it gains.
fn measure(input: &DeriveInput, grows: bool, syshandle: &Library) -> Option<TokenStream> {
    let Data::Enum(data) = &input.data else { return None };
    if grows {
        return None;
    }
    let is_plain = data.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit));
    if !is_plain || !input.generics.params.is_empty() {
        return None;
    }
    let name = &input.ident;
    let variants = data.variants.iter().map(|variant| &variant.ident);
    let values = values(data, &input.attrs);
    Some(quote! {
        #[automatically_derived]
        impl #syshandle::generated::Measure for #name {
            fn measure(&self) -> ::core::option::Option<i128> {
                let value: i64 = match self { #(Self::#variants => #values,)* };
                ::core::option::Option::Some(value as i128)
            }
        }
    })
}

/// Generates the implementation of `Describe`.
fn describe(
    input: &DeriveInput,
    cases: &[Case],
    grows: bool,
    syshandle: &Library,
) -> Result<TokenStream> {
    let name = &input.ident;
    let text = name.unraw().to_string();
    let doc = doc_text(&docs(&input.attrs));
    let fields = cases.iter().map(|case| {
        let Case { types, declared, labels, .. } = case;
        let fields = labels.iter().zip(types).zip(declared).zip(&case.added).zip(&case.described);
        let parameters = fields.map(|((((label, ty), declared), added), described)| {
            // Uses the span of the type, so that the compiler reports a contradicting declaration
            // there.
            let syshandle = syshandle.at(ty.span());
            let growth = added.as_ref().map(|added| {
                let growth = if added.is_required { "Required" } else { "Added" };
                let growth = format_ident!("{growth}");
                quote!(.added(#syshandle::describe::Growth::#growth))
            });
            quote_spanned! {ty.span()=>
                #syshandle::describe::Parameter::field(
                    #label,
                    <#ty as #syshandle::describe::Describe>::TYPE,
                    #declared,
                )#growth #described
            }
        });
        quote! { const { &[#(#parameters),*] } }
    });
    let definition = match &input.data {
        Data::Enum(data) => {
            let labels = cases.iter().map(|case| case.label.clone());
            let unknown = unknown_variant(input)?;
            let values = values(data, &input.attrs).into_iter().zip(&data.variants);
            let values = values.filter(|(_, variant)| Some(&variant.ident) != unknown);
            let docs = values.clone().map(|(_, variant)| doc_text(&docs(&variant.attrs)));
            let values = values.map(|(value, _)| value);
            let variants = quote! {
                const {
                    &[#(#syshandle::describe::Variant {
                        name: #labels,
                        docs: #docs,
                        value: #values,
                        fields: #fields,
                    }),*]
                }
            };
            match unknown.map(|unknown| unknown.unraw().to_string()) {
                None => quote!(#syshandle::describe::Definition::Enum(#variants)),
                Some(unknown) => quote! {
                    #syshandle::describe::Definition::GrowableEnum {
                        variants: #variants,
                        unknown: #unknown,
                    }
                },
            }
        }
        _ if grows => quote!(#(#syshandle::describe::Definition::GrowableStruct(#fields))*),
        _ => quote!(#(#syshandle::describe::Definition::Struct(#fields))*),
    };
    let generics = bounded(&input.generics, &syn::parse_quote!(#syshandle::describe::Describe));
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #syshandle::describe::Describe for #name #type_generics #where_clause {
            const TYPE: #syshandle::describe::Type = #syshandle::describe::Type::Named {
                name: #text,
                docs: #doc,
                // The definition is in a separate `const` block, because the handles that a generic
                // type declares are known only after it is instantiated.
                definition: || const { #definition },
            };
            type Argument<'__a> = &'__a Self where Self: '__a;
            type Output = Self;
        }
    })
}

/// Generates the constructor of a growable struct, and a setter for each added field. With them,
/// client crates that were written for an older version of the struct still compile.
fn constructor(input: &DeriveInput, cases: &[Case]) -> Option<TokenStream> {
    let Data::Struct(data) = &input.data else { return None };
    let Case { pattern, names, types, labels, added, .. } = cases.first()?;
    let (name, visibility) = (&input.ident, &input.vis);
    let mut generics = input.generics.clone();
    bound_defaults(&mut generics, cases, None);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let (mut parameters, mut values, mut setters) = (Vec::new(), Vec::new(), Vec::new());
    for ((((variable, ty), label), added), field) in
        names.iter().zip(types).zip(labels).zip(added).zip(&data.fields)
    {
        let parameter = field.ident.clone().unwrap_or_else(|| format_ident!("field{label}"));
        let Some(added) = added else {
            parameters.push(quote!(#parameter: #ty));
            values.push(quote!(let #variable = #parameter;));
            continue;
        };
        let default = added.default_value(ty);
        values.push(quote!(let #variable: #ty = #default;));
        let setter = format_ident!("with_{label}");
        let docs = format!("Returns the value with another `{label}`.");
        let member = match &field.ident {
            Some(label) => label.to_token_stream(),
            None => syn::Index::from(setters.len() + parameters.len()).to_token_stream(),
        };
        let visibility = &field.vis;
        setters.push(quote! {
            #[doc = #docs]
            #[must_use]
            #visibility fn #setter(mut self, #parameter: #ty) -> Self {
                self.#member = #parameter;
                self
            }
        });
    }
    let docs = match setters.is_empty() {
        true => "Creates a value.",
        false => "Creates a value. The fields that later versions added have their defaults.",
    };
    Some(quote! {
        #[automatically_derived]
        #[allow(
            dead_code,
            clippy::too_many_arguments,
            clippy::new_without_default,
            clippy::missing_const_for_fn,
            reason = "the functions are generated, and a later version of the type changes them"
        )]
        impl #impl_generics #name #type_generics #where_clause {
            #[doc = #docs]
            #[must_use]
            #visibility fn new(#(#parameters),*) -> Self {
                #(#values)*
                #pattern
            }

            #(#setters)*
        }
    })
}

/// Returns the variant of an enum that stands for all variants which it doesn't know.
fn unknown_variant(input: &DeriveInput) -> Result<Option<&Ident>> {
    match &input.data {
        Data::Enum(data) => unknown(data),
        _ => Ok(None),
    }
}

/// Returns an expression for the name of a growable type and for what it knows.
fn growable_type(input: &DeriveInput, cases: &[Case], syshandle: &Library) -> TokenStream {
    let name = input.ident.unraw().to_string();
    let of = quote!(#syshandle::generated::GrowableType);
    match &input.data {
        Data::Enum(_) => {
            let variants = Literal::usize_unsuffixed(cases.len());
            quote!(#of::Enum { name: #name, variants: #variants })
        }
        _ => {
            let fields = Literal::usize_unsuffixed(cases.iter().map(|of| of.names.len()).sum());
            quote!(#of::Struct { name: #name, fields: #fields })
        }
    }
}

/// Adds the bounds that the defaults of a generic type's fields need.
fn bound_defaults(generics: &mut Generics, cases: &[Case], encode: Option<&TokenStream>) {
    if generics.params.is_empty() {
        return;
    }
    let fields = cases.iter().flat_map(|case| case.types.iter().zip(&case.added));
    for (ty, added) in fields {
        let Some(added) = added else { continue };
        let predicates = &mut generics.make_where_clause().predicates;
        if added.default.is_none() {
            predicates.push(syn::parse_quote!(#ty: ::core::default::Default));
        }
        if let Some(encode) = encode {
            predicates.push(syn::parse_quote!(#ty: #encode));
        }
    }
}

/// Returns expressions for the values of an enum's variants.
fn values(data: &DataEnum, attributes: &[Attribute]) -> Vec<TokenStream> {
    let repr = representation(attributes);
    let mut written = quote!(0);
    let mut beyond = 0;
    let values = data.variants.iter().map(|variant| {
        if let Some((_, value)) = &variant.discriminant {
            (written, beyond) = (quote!(#value), 0);
        }
        let more = Literal::i64_unsuffixed(beyond);
        beyond += 1;
        quote!({
            const WRITTEN: #repr = #written;
            WRITTEN as i64 + #more
        })
    });
    values.collect()
}

/// Returns the integer type in the attribute `#[repr(…)]`, or `isize` if there is none.
fn representation(attributes: &[Attribute]) -> Ident {
    let mut found = format_ident!("isize");
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        // `rustc` checks the rest of the attribute.
        let _ = attribute.parse_nested_meta(|meta| {
            if let Some(word) =
                meta.path.get_ident().filter(|word| INTEGERS.contains(&word.to_string().as_str()))
            {
                found = word.clone();
            }
            Ok(())
        });
    }
    found
}

const INTEGERS: [&str; 10] =
    ["i8", "i16", "i32", "i64", "isize", "u8", "u16", "u32", "u64", "usize"];

/// A struct, or a variant of an enum.
struct Case {
    /// The number of the variant; `None` for a struct.
    number: Option<u32>,
    /// The name of the variant; empty for a struct.
    label: String,
    /// A pattern that destructures the value, which is also an expression that creates it.
    pattern: TokenStream,
    /// The variables that the pattern binds to the fields.
    names: Vec<Ident>,
    /// The names of the fields.
    labels: Vec<String>,
    types: Vec<syn::Type>,
    /// The handle declaration of each field, as an expression.
    declared: Vec<TokenStream>,
    /// The range check of each field, as code.
    bounds: Vec<TokenStream>,
    /// The attribute `#[added]` of each field.
    added: Vec<Option<Added>>,
    /// Code that adds the documentation and the bounds of each field to its description.
    described: Vec<TokenStream>,
}

impl Case {
    /// Returns the path of each field for error messages. For an enum, the path includes the
    /// variant.
    fn paths(&self) -> impl Iterator<Item = String> {
        self.labels.iter().map(|field| match self.label.as_str() {
            "" => field.clone(),
            variant => format!("{variant}.{field}"),
        })
    }
}

fn cases(input: &DeriveInput, syshandle: &Library) -> Result<Vec<Case>> {
    refuse_handle(&input.attrs)?;
    match &input.data {
        Data::Struct(data) => {
            Ok(vec![case(None, &quote!(Self), String::new(), &data.fields, syshandle)?])
        }
        Data::Enum(data) if data.variants.is_empty() => {
            Err(Error::new_spanned(&input.ident, "an enum without variants has no values to send"))
        }
        Data::Enum(data) => {
            let unknown = unknown(data)?;
            let variants = data.variants.iter().filter(|of| Some(&of.ident) != unknown);
            variants
                .zip(0..)
                .map(|(variant, number)| {
                    refuse_handle(&variant.attrs)?;
                    let name = &variant.ident;
                    case(
                        Some(number),
                        &quote!(Self::#name),
                        name.unraw().to_string(),
                        &variant.fields,
                        syshandle,
                    )
                })
                .collect()
        }
        Data::Union(data) => {
            Err(Error::new_spanned(data.union_token, "a union has no discriminant: write an enum"))
        }
    }
}

/// Rejects `#[handle]` and `#[range]` on a type or variant, because they apply only to fields.
fn refuse_handle(attributes: &[Attribute]) -> Result<()> {
    let declares = |attribute: &&Attribute| {
        attribute.path().is_ident("handle") || attribute.path().is_ident("range")
    };
    match attributes.iter().find(declares) {
        None => Ok(()),
        Some(attribute) => Err(Error::new_spanned(attribute, "move this attribute to a field")),
    }
}

fn case(
    number: Option<u32>,
    path: &TokenStream,
    label: String,
    fields: &Fields,
    syshandle: &Library,
) -> Result<Case> {
    let names: Vec<_> = (0..fields.len()).map(|i| format_ident!("__field{i}")).collect();
    let pattern = match fields {
        Fields::Named(fields) => {
            let labels = fields.named.iter().map(|field| &field.ident);
            quote!(#path { #(#labels: #names),* })
        }
        Fields::Unnamed(_) => quote!(#path(#(#names),*)),
        Fields::Unit => path.clone(),
    };
    let labels = fields.iter().enumerate().map(|(i, field)| match &field.ident {
        Some(name) => name.unraw().to_string(),
        None => i.to_string(),
    });
    let declarations = fields
        .iter()
        .map(|field| Ok(handle_declaration(handle(&field.attrs)?.as_ref(), syshandle)));
    let variant = &label;
    let bounds = fields.iter().zip(&names).enumerate().map(|(place, (field, name))| {
        let label = field.ident.as_ref().map(|name| name.unraw().to_string());
        let label = label.unwrap_or_else(|| place.to_string());
        let label = if variant.is_empty() { label } else { format!("{variant}.{label}") };
        Ok(range(&field.attrs)?
            .map(|range| range_check(name, range, Some(&label)))
            .unwrap_or_default())
    });
    let described = fields.iter().map(|field| {
        let (docs, range) = (field_docs(&docs(&field.attrs)), field_range(range(&field.attrs)?));
        Ok(quote!(#docs #range))
    });
    Ok(Case {
        number,
        described: described.collect::<Result<_>>()?,
        bounds: bounds.collect::<Result<_>>()?,
        label,
        pattern,
        labels: labels.collect(),
        types: fields.iter().map(|field| field.ty.clone()).collect(),
        declared: declarations.collect::<Result<_>>()?,
        added: fields.iter().map(|field| added(&field.attrs)).collect::<Result<_>>()?,
        names,
    })
}

/// Adds a bound to each type parameter.
fn bounded(generics: &Generics, bound: &TypeParamBound) -> Generics {
    let mut generics = generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(bound.clone());
    }
    generics
}
