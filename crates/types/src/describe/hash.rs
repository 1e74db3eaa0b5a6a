//! Hashes of descriptions. Two programs whose hashes of an interface are equal read and write its
//! messages in the same way.

use std::collections::HashSet;

use super::description_bytes::growth_number;
use super::owned::{
    DescribedMethod, DescribedType, DescribedValue, Description, NamedType, TypeForm,
};
use super::{Bounds, Interface};
use crate::{Declaration, Guid};

impl Description {
    /// Describes an interface with the hashes of the interfaces of its objects, and returns its own
    /// hash.
    ///
    /// The hash is never 0. It depends on the names and the order of methods, parameters, fields
    /// and variants, on their types, on the declarations of handles, and on bounds. It also depends
    /// on the interfaces of objects that the methods take or return, directly or through other
    /// objects. It does not depend on documentation.
    pub fn of(interface: &Interface) -> (Self, u64) {
        let (mut description, objects) = Self::with_objects(interface);
        let hash = hash_of_all(interface);
        for object in objects {
            let of_object = hash_of_all(object);
            description.for_each_type(|ty| match ty {
                DescribedType::Object { iid, hash, .. } if *iid == object.iid => *hash = of_object,
                _ => {}
            });
        }
        (description, hash)
    }

    /// Returns the hash of this interface alone.
    fn own_hash(&self) -> u64 {
        let mut hash = Hash::default();
        hash.guid(self.iid);
        hash.text(&self.name);
        hash.list(&self.methods, |hash, method| hash.method(method));
        hash.list(&self.types, |hash, ty| {
            hash.named(ty, |hash, index| hash.number(index.into()));
        });
        hash.0
    }

    /// Returns a number for each type of the table. The numbers of two types are equal if the types
    /// have the same name and the same contents at any depth.
    ///
    /// The first numbers depend only on a type's own definition. Each further step includes the
    /// numbers of the types in it, until no step distinguishes more types.
    pub(super) fn type_classes(&self) -> Vec<u64> {
        let mut classes = vec![0; self.types.len()];
        let mut count = 0;
        loop {
            let next: Vec<u64> = (self.types.iter().zip(&classes))
                .map(|(ty, class)| {
                    let mut hash = Hash::default();
                    hash.number(*class);
                    hash.named(ty, |hash, index| hash.number(classes[index as usize]));
                    hash.0
                })
                .collect();
            let found = next.iter().collect::<HashSet<_>>().len();
            if found == count {
                return next;
            }
            (classes, count) = (next, found);
        }
    }
}

/// Returns the hash of an interface and of all interfaces of its objects, directly or through other
/// objects.
fn hash_of_all(interface: &Interface) -> u64 {
    let mut hash = Hash::default();
    let (description, mut found) = Description::with_objects(interface);
    hash.number(description.own_hash());
    let mut next = 0;
    while let Some(object) = found.get(next) {
        next += 1;
        let (description, objects) = Description::with_objects(object);
        hash.number(description.own_hash());
        for object in objects {
            if found.iter().all(|known| known.iid != object.iid) {
                found.push(object);
            }
        }
    }
    // 0 stands for an unknown hash.
    hash.0.max(1)
}

/// The 64-bit hash FNV-1a. It is stable, and it need not resist attacks: a server that announces a
/// wrong hash could as well send wrong results.
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Adds a text with its length, so that the end of the text is unambiguous.
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    fn guid(&mut self, guid: Guid) {
        self.bytes(&guid.to_bytes());
    }

    fn list<T>(&mut self, items: &[T], mut add: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        items.iter().for_each(|item| add(self, item));
    }

    fn method(&mut self, method: &DescribedMethod) {
        let number = |hash: &mut Self, index: u32| hash.number(index.into());
        self.text(&method.name);
        self.list(&method.parameters, |hash, value| hash.value(value, &number));
        self.value(&method.result, &number);
        self.list(method.error.as_slice(), |hash, error| hash.ty(error, &number));
    }

    /// Adds a user-defined type. `of_type` adds the types in it, by their index.
    fn named(&mut self, ty: &NamedType, of_type: impl Fn(&mut Self, u32)) {
        self.text(&ty.name);
        self.number(ty.grows.into());
        match &ty.form {
            TypeForm::Struct(fields) => {
                self.number(0);
                self.list(fields, |hash, field| hash.value(field, &of_type));
            }
            TypeForm::Enum(variants) => {
                self.number(1);
                self.list(variants, |hash, variant| {
                    hash.text(&variant.name);
                    hash.list(&variant.fields, |hash, field| hash.value(field, &of_type));
                });
            }
            TypeForm::Unknown(form) => self.number(256 + u64::from(*form)),
        }
    }

    fn value(&mut self, value: &DescribedValue, of_type: &impl Fn(&mut Self, u32)) {
        self.text(&value.name);
        self.number(growth_number(value.growth).into());
        self.ty(&value.ty, of_type);
        self.list(value.handle.as_slice(), |hash, declared| hash.declaration(declared));
        self.list(value.bounds.as_slice(), |hash, Bounds { from, to }| {
            hash.bytes(&from.to_le_bytes());
            hash.bytes(&to.to_le_bytes());
        });
    }

    fn ty(&mut self, ty: &DescribedType, of_type: &impl Fn(&mut Self, u32)) {
        self.number(ty.kind().into());
        match ty {
            DescribedType::Plain(name) | DescribedType::Serde(name) => self.text(name),
            DescribedType::Handle { declared, .. } => self.declaration(declared),
            DescribedType::Option(inner)
            | DescribedType::List(inner)
            | DescribedType::Set(inner)
            | DescribedType::Stream(inner) => {
                self.ty(inner, of_type);
            }
            DescribedType::Array(inner, len) => {
                self.number(*len);
                self.ty(inner, of_type);
            }
            DescribedType::Result(one, other) | DescribedType::Map(one, other) => {
                self.ty(one, of_type);
                self.ty(other, of_type);
            }
            DescribedType::Tuple(parts) => self.list(parts, |hash, part| hash.ty(part, of_type)),
            DescribedType::Named(index) => of_type(self, *index),
            DescribedType::Object { iid, .. } => self.guid(*iid),
            DescribedType::Unknown(_) => {}
        }
    }

    fn declaration(&mut self, declared: &Declaration) {
        let Declaration { kinds, at_least, at_most, sockets, files } = *declared;
        self.number(kinds.bits().into());
        self.number(at_least.bits().into());
        let options = [
            at_most.map(|rights| rights.bits()),
            sockets.map(|sockets| sockets.bits()),
            files.map(|files| files.bits()),
        ];
        self.list(&options, |hash, option| {
            hash.list(option.as_slice(), |hash, bits| hash.number((*bits).into()));
        });
    }
}

#[cfg(test)]
mod tests;
