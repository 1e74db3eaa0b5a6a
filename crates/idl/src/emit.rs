//! From the model to an `.idl` file that MIDL takes.
//!
//! What its language can't say is refused by name: nothing is left out in silence.

mod types;

use std::fmt::Write;

use crate::model::{
    Class, Definition, DefinitionKind, Description, Interface, Method, Parameter, write_guid,
};
use types::{OPTIONAL_TEXT, Types};

/// The text of an `.idl` file for a description.
///
/// # Errors
/// All that MIDL can't express, a line each.
pub fn emit(description: &Description) -> Result<String, Vec<String>> {
    let mut emitter = Emitter { types: Types::of(description), text: String::new(), wrong: vec![] };
    for interface in &description.interfaces {
        emitter.line(&format!("interface I{};", interface.name));
    }
    for definition in &description.definitions {
        emitter.definition(definition);
    }
    for interface in &description.interfaces {
        emitter.interface(interface);
    }
    for class in &description.classes {
        emitter.class(class);
    }
    if !emitter.wrong.is_empty() {
        return Err(emitter.wrong);
    }
    let is_used = emitter.text.contains(&format!("] {OPTIONAL_TEXT} "));
    let typedef = format!("typedef [unique, string] wchar_t *{OPTIONAL_TEXT};\n");
    let head = if is_used { format!("{HEAD}{typedef}") } else { HEAD.to_owned() };
    Ok(head + &emitter.text)
}

struct Emitter<'d> {
    types: Types<'d>,
    text: String,
    wrong: Vec<String>,
}

impl Emitter<'_> {
    fn line(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }

    /// Keeps what can't be said.
    fn refuse(&mut self, place: &str, what: &str) {
        self.wrong.push(format!("{place}: {what}"));
    }

    fn interface(&mut self, interface: &Interface) {
        let Interface { iid, name, .. } = interface;
        let help = help(&interface.docs, ",\n    ", "");
        let iid = write_guid(iid);
        self.line(&format!(
            "\n[\n    object,\n    uuid({iid}),\n    pointer_default(unique){help}\n]"
        ));
        self.line(&format!("interface I{name} : IUnknown\n{{"));
        for method in &interface.methods {
            self.method(&name.to_string(), method);
        }
        self.line("};");
    }

    fn method(&mut self, interface: &str, method: &Method) {
        let place = format!("{interface}::{}", method.name);
        if method.error.is_some() {
            self.refuse(&place, "MIDL has no errors of a method's own: return a plain `Result`");
        }
        let mut parameters = Vec::new();
        for parameter in &method.parameters {
            let place = format!("{place}, parameter `{}`", parameter.name);
            match self.types.parameter(parameter, "in") {
                Ok(list) => parameters.extend(list),
                Err(what) => self.refuse(&place, &what),
            }
        }
        let results = match &method.result {
            syn::Type::Tuple(tuple) => tuple.elems.iter().cloned().collect(),
            one => vec![one.clone()],
        };
        let is_alone = results.len() == 1;
        for (at, ty) in results.into_iter().enumerate() {
            let name = match is_alone {
                true => quote::format_ident!("result"),
                false => quote::format_ident!("result{}", at + 1),
            };
            let result = Parameter { name, ty, handle: method.result_handle.clone() };
            match self.types.parameter(&result, "out") {
                Ok(list) => parameters.extend(list),
                Err(what) => self.refuse(&format!("{place}, result"), &what),
            }
        }
        let mut text = help(&method.docs, "    [", "]\n");
        let name = pascal(&method.name.to_string());
        let separator = ",\n        ";
        let list = parameters.join(separator);
        let list = if list.is_empty() { list } else { format!("\n        {list}") };
        // Writing to a string doesn't fail.
        let _ = write!(text, "    HRESULT {name}({list});");
        self.line(&text);
    }

    fn definition(&mut self, definition: &Definition) {
        let name = definition.name.to_string();
        match &definition.kind {
            DefinitionKind::Struct(fields) => {
                let mut text = format!("\ntypedef struct {name}\n{{\n");
                for field in fields {
                    match self.types.field(&field.value) {
                        Ok(lines) => {
                            lines.iter().for_each(|line| text += &format!("    {line};\n"))
                        }
                        Err(what) => {
                            self.refuse(&format!("{name}::{}", field.value.name), &what);
                        }
                    }
                }
                self.line(&format!("{text}}} {name};"));
            }
            DefinitionKind::Enum(variants) => {
                // MIDL's own enum has 15 bits on the wire.
                let mut written = variants.iter().filter_map(|variant| variant.value);
                let is_wide = written.any(|value| !(0..=0x7fff).contains(&value));
                let wide = if is_wide { "[v1_enum] " } else { "" };
                let mut text = format!("\ntypedef {wide}enum {name}\n{{\n");
                for variant in variants {
                    if !variant.fields.is_empty() {
                        let place = format!("{name}::{}", variant.name);
                        self.refuse(&place, "MIDL's enums hold no data");
                    }
                    let value = variant.value.map(|value| format!(" = {value}"));
                    text += &format!("    {name}_{}{},\n", variant.name, value.unwrap_or_default());
                }
                self.line(&format!("{text}}} {name};"));
            }
            DefinitionKind::Alias(_) => {}
            DefinitionKind::Constant(ty, value) => {
                if let Some(ty) = self.types.number(ty) {
                    self.line(&format!("const {ty} {name} = {value};"));
                }
            }
        }
    }

    fn class(&mut self, class: &Class) {
        let name = pascal(&class.name.to_string().to_lowercase());
        let clsid = write_guid(&class.clsid);
        let interfaces = class.interfaces.iter().enumerate().map(|(at, of)| {
            let default = if at == 0 { "[default] " } else { "" };
            format!("        {default}interface I{of};\n")
        });
        let interfaces: String = interfaces.collect();
        let help = help(&class.docs, ", ", "");
        // A library has an identifier of its own: the class's, but for one bit.
        let mut library = class.clsid;
        library[15] ^= 1;
        let library = write_guid(&library);
        self.line(&format!(
            "\n[uuid({library}), version(1.0)]\nlibrary {name}Lib\n{{\n    [uuid({clsid}){help}]\n    \
             coclass {name}\n    {{\n{interfaces}    }};\n}};"
        ));
    }
}

/// Documentation as a `helpstring`, which MIDL takes up to 255 letters of.
fn help(docs: &[String], before: &str, after: &str) -> String {
    let text = docs.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let text: String = text.replace('\\', "/").replace('"', "'").chars().take(250).collect();
    match text.is_empty() {
        true => String::new(),
        false => format!("{before}helpstring(\"{text}\"){after}"),
    }
}

/// `add_sparkle` → `AddSparkle`.
fn pascal(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    words.map(types::capital).collect()
}

const HEAD: &str = "// Written by syshandle from a trait.\nimport \"oaidl.idl\";\n\n";
