//! Rules that decide whether a client and a server with different descriptions of an interface
//! understand each other.
//!
//! The handshake compares the descriptions of a client and its server ([`differences`]), and the
//! command `syshandle idl diff` compares two versions of a source file. Both ask
//! [`Change::is_compatible`].

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::rc::Rc;

use super::Growth;
use super::owned::{
    DescribedMethod, DescribedType, DescribedValue, DescribedVariant, Description, NamedType,
    TypeForm,
};
use crate::{Declaration, FieldPath, Limits};

/// A change of a description that affects the bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A parameter, field, variant or method has another name and the same place.
    Name,
    /// A parameter, field, variant or method that both versions have is in another place.
    Place,
    /// The encoding of a value differs.
    Type,
    /// Only one version has the parameter or field.
    Member {
        /// Whether the type can grow, and the field comes after all fields of the other version.
        grows: bool,
        /// Whether the receiver has the field and needs its value, because the field is part of the
        /// first version of the type.
        is_needed: bool,
    },
    /// Only one version has the method.
    Method {
        /// Whether the method comes after all methods of the other version.
        is_last: bool,
    },
    /// Only the newer version has the variant.
    Variant {
        /// Whether the variant comes after all variants of the other version.
        is_last: bool,
        /// Whether the type can grow.
        grows: bool,
        /// Whether a reader that does not know the variant may receive it in a result.
        is_in_result: bool,
    },
}

impl Change {
    /// Returns whether a client and a server that differ in this way understand each other.
    pub const fn is_compatible(self) -> bool {
        match self {
            // Names are not part of a message.
            Self::Name => true,
            Self::Place | Self::Type => false,
            // A value of a type that can grow contains its size.
            Self::Member { grows, is_needed } => grows && !is_needed,
            // A server refuses the number of a method that it does not know.
            Self::Method { is_last } => is_last,
            // A server refuses an argument with a variant that it does not know, before the method
            // runs. If a client can't read a result, the method has already run.
            Self::Variant { is_last, grows, is_in_result } => is_last && (grows || !is_in_result),
        }
    }
}

/// Returns the name by which a member of a list is found in another version of the list. Removes a
/// trailing underscore, because a name that is a Rust keyword gets one, but may have none in IDL.
pub fn match_name(name: &str) -> &str {
    name.trim_end_matches('_')
}

/// A difference that makes a method unusable between a client and a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incompatibility {
    /// The parameter, or the result or error, and the path in it: ``parameter `job.copies` ``.
    /// Empty if the difference concerns the whole method.
    pub place: String,
    /// The form in the client's description.
    pub client: String,
    /// The form in the server's description.
    pub server: String,
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, client, server } = self;
        if !place.is_empty() {
            write!(f, "{place}: ")?;
        }
        write!(f, "client and server differ: the client has {client}, the server {server}")
    }
}

/// Compares a client's description of an interface with its server's. Returns a difference for each
/// method of the client that would be misread, by the number of the method.
///
/// A method that the server does not have is not part of the result, because the server refuses its
/// number. A method may be one-way for only one of both, because a server runs every method either
/// way. Declarations of handles make a method unusable only if no handle can match both, because
/// each handle is proven to match its declaration anyway. In the same way, bounds make a method
/// unusable only if no number is within both, because each receiver checks the values against its
/// own bounds.
pub fn differences(client: &Description, server: &Description) -> BTreeMap<u32, Incompatibility> {
    let mut steps = 0;
    let names = (names(&client.methods), names(&server.methods));
    let pairs = client.methods.iter().zip(&server.methods);
    let found = pairs.enumerate().filter_map(|(number, methods)| {
        let mut comparison = Comparison {
            client,
            server,
            is_result: false,
            seen: HashSet::new(),
            open: VecDeque::new(),
            steps,
        };
        let compared = moved_member("method", &names.0, &names.1, number)
            .and_then(|()| comparison.method(methods));
        steps = comparison.steps;
        Some((number as u32, compared.err()?))
    });
    found.collect()
}

/// A name of a list member.
trait Named {
    fn name(&self) -> &str;
}

macro_rules! impl_named {
    ($($type:ty),+) => {$(
        impl Named for $type {
            fn name(&self) -> &str {
                &self.name
            }
        }
    )+};
}
impl_named!(DescribedMethod, DescribedValue, DescribedVariant);

fn names(members: &[impl Named]) -> Vec<&str> {
    members.iter().map(|member| match_name(member.name())).collect()
}

/// Checks that two members in the same place are the same one, except that the member may have been
/// renamed.
fn moved_member(
    what: &str,
    client: &[&str],
    server: &[&str],
    place: usize,
) -> Result<(), Incompatibility> {
    let (here, there) = (client[place], server[place]);
    let change = match here != there && (server.contains(&here) || client.contains(&there)) {
        true => Change::Place,
        false => Change::Name,
    };
    if change.is_compatible() {
        return Ok(());
    }
    let text = |name: &str| format!("the {what} `{name}` in place {}", place + 1);
    Err(Incompatibility { place: String::new(), client: text(here), server: text(there) })
}

/// The comparison of one method.
struct Comparison<'d> {
    client: &'d Description,
    server: &'d Description,
    /// Whether the compared value travels from the server to the client.
    is_result: bool,
    seen: HashSet<TypePair>,
    /// Pairs of user-defined types whose contents remain to be compared. Values that nest deeper
    /// come later, so each pair is compared at its smallest depth.
    open: VecDeque<(TypePair, Rc<Place<'d>>)>,
    /// Number of steps of the whole comparison so far.
    steps: u32,
}

/// Indices of two user-defined types, and the declarations that apply to the handles in them.
type TypePair = ((u32, Option<Declaration>), (u32, Option<Declaration>));

/// A place in a method's parameters or results.
struct Place<'d> {
    outer: Option<Rc<Place<'d>>>,
    part: Part<'d>,
    /// Number of enclosing user-defined types.
    depth: u32,
}

#[derive(Clone, Copy)]
enum Part<'d> {
    Parameter(&'d str),
    Result,
    Error,
    Field(&'d str),
    Item,
}

impl<'d> Place<'d> {
    fn within(outer: &Rc<Self>, part: Part<'d>) -> Rc<Self> {
        let depth = outer.depth + u32::from(matches!(part, Part::Field(_)));
        Rc::new(Self { outer: Some(outer.clone()), part, depth })
    }

    fn text(&self) -> String {
        let mut path = FieldPath::default();
        let mut place = self;
        loop {
            match place.part {
                Part::Parameter(name) => return format!("parameter `{}`", path.within(name)),
                Part::Result if path.as_str().is_empty() => return "result".into(),
                Part::Error if path.as_str().is_empty() => return "error".into(),
                Part::Result => return format!("result `{}`", path.as_str()),
                Part::Error => return format!("error `{}`", path.as_str()),
                Part::Field(name) => path.put_before(name),
                Part::Item => path.put_before("[]"),
            }
            match &place.outer {
                Some(outer) => place = outer,
                None => return path.as_str().into(),
            }
        }
    }
}

impl<'d> Comparison<'d> {
    fn method(
        &mut self,
        (client, server): (&'d DescribedMethod, &'d DescribedMethod),
    ) -> Result<(), Incompatibility> {
        let root = |part| Rc::new(Place { outer: None, part, depth: 0 });
        self.same_names("parameter", (&client.parameters, &server.parameters), false, None)?;
        for (one, other) in client.parameters.iter().zip(&server.parameters) {
            self.value(one, other, (None, None), &root(Part::Parameter(&one.name)))?;
        }
        self.open_types()?;
        self.is_result = true;
        self.seen.clear();
        self.value(&client.result, &server.result, (None, None), &root(Part::Result))?;
        match (&client.error, &server.error) {
            (None, None) => {}
            (Some(one), Some(other)) => {
                self.types(one, other, (None, None), &root(Part::Error))?;
            }
            (one, other) => {
                let text = |error: &Option<_>| match error {
                    Some(_) => "an error type of its own".to_owned(),
                    None => "the default error type".to_owned(),
                };
                let (client, server) = (text(one), text(other));
                return Err(Incompatibility { place: "error".into(), client, server });
            }
        }
        self.open_types()
    }

    /// Compares the contents of all pairs of user-defined types that were found.
    fn open_types(&mut self) -> Result<(), Incompatibility> {
        while let Some((((one, one_declared), (other, other_declared)), place)) =
            self.open.pop_front()
        {
            let types =
                (self.client.types.get(one as usize), self.server.types.get(other as usize));
            let (Some(one), Some(other)) = types else { continue };
            self.definitions(one, other, (one_declared, other_declared), &place)?;
        }
        Ok(())
    }

    fn definitions(
        &mut self,
        client: &'d NamedType,
        server: &'d NamedType,
        declared: Declarations,
        place: &Rc<Place<'d>>,
    ) -> Result<(), Incompatibility> {
        let grows = client.grows;
        match (&client.form, &server.form) {
            (TypeForm::Struct(ours), TypeForm::Struct(theirs)) if grows == server.grows => {
                self.fields((ours, theirs), grows, declared, place)
            }
            (TypeForm::Enum(ours), TypeForm::Enum(theirs)) if grows == server.grows => {
                self.variants((ours, theirs), grows, declared, place)
            }
            _ => {
                let form = |ty: &NamedType| {
                    let growable = if ty.grows { "growable " } else { "" };
                    match ty.form {
                        TypeForm::Struct(_) => format!("the {growable}struct `{}`", ty.name),
                        TypeForm::Enum(_) => format!("the {growable}enum `{}`", ty.name),
                        TypeForm::Unknown(form) => {
                            format!("`{}` of the unknown form {form}", ty.name)
                        }
                    }
                };
                Err(incompatible(place, form(client), form(server)))
            }
        }
    }

    fn fields(
        &mut self,
        (client, server): (&'d [DescribedValue], &'d [DescribedValue]),
        grows: bool,
        declared: Declarations,
        place: &Rc<Place<'d>>,
    ) -> Result<(), Incompatibility> {
        self.same_names("field", (client, server), grows, Some(place))?;
        for (one, other) in client.iter().zip(server) {
            self.value(one, other, declared, &Place::within(place, Part::Field(&one.name)))?;
        }
        Ok(())
    }

    fn variants(
        &mut self,
        (client, server): (&'d [DescribedVariant], &'d [DescribedVariant]),
        grows: bool,
        declared: Declarations,
        place: &Rc<Place<'d>>,
    ) -> Result<(), Incompatibility> {
        let (ours, theirs) = (names(client), names(server));
        for (index, (one, other)) in client.iter().zip(server).enumerate() {
            moved_member("variant", &ours, &theirs, index).map_err(|found| found.at(place))?;
            let place = Place::within(place, Part::Field(&one.name));
            self.fields((&one.fields, &other.fields), false, declared, &place)?;
        }
        let is_in_result = self.is_result && server.len() > client.len();
        let change = Change::Variant { is_last: true, grows, is_in_result };
        if client.len() != server.len() && !change.is_compatible() {
            let added = &server[client.len()].name;
            let (client, server) = (client.len(), server.len());
            let plural = if client == 1 { "" } else { "s" };
            let client = format!("{client} variant{plural}");
            return Err(incompatible(place, client, format!("{server}, such as `{added}`")));
        }
        Ok(())
    }

    /// Checks that two lists have the same members in the same order.
    fn same_names(
        &mut self,
        what: &str,
        (client, server): (&[DescribedValue], &[DescribedValue]),
        grows: bool,
        place: Option<&Rc<Place<'d>>>,
    ) -> Result<(), Incompatibility> {
        let at = |found: Incompatibility| match place {
            Some(place) => found.at(place),
            None => found,
        };
        self.spend(client.len().max(server.len())).map_err(at)?;
        let (ours, theirs) = (names(client), names(server));
        for index in 0..ours.len().min(theirs.len()) {
            moved_member(what, &ours, &theirs, index).map_err(at)?;
        }
        let read = if self.is_result { client } else { server };
        let is_compatible = |field: &DescribedValue| {
            let is_needed = field.growth == Growth::Original;
            Change::Member { grows, is_needed }.is_compatible()
        };
        let common = ours.len().min(theirs.len());
        let is_complete = read[common..].iter().all(is_compatible);
        let is_skippable = Change::Member { grows, is_needed: false }.is_compatible();
        if ours.len() == theirs.len() || is_complete && is_skippable {
            return Ok(());
        }
        let text = |names: &[&str], others: &[&str]| {
            let more = names.get(others.len()).map(|name| format!(", such as `{name}`"));
            let plural = if names.len() == 1 { "" } else { "s" };
            format!("{} {what}{plural}{}", names.len(), more.unwrap_or_default())
        };
        let (client, server) = (text(&ours, &theirs), text(&theirs, &ours));
        Err(at(Incompatibility { place: String::new(), client, server }))
    }

    fn value(
        &mut self,
        client: &'d DescribedValue,
        server: &'d DescribedValue,
        declared: Declarations,
        place: &Rc<Place<'d>>,
    ) -> Result<(), Incompatibility> {
        // The declaration of a field replaces the one of the enclosing value.
        let declared = (client.handle.or(declared.0), server.handle.or(declared.1));
        self.types(&client.ty, &server.ty, declared, place)?;
        match (client.bounds, server.bounds) {
            (Some(one), Some(other)) if !one.overlaps(other) => {
                let text = |bounds| format!("a value in {bounds}");
                Err(incompatible(place, text(one), text(other)))
            }
            _ => Ok(()),
        }
    }

    fn types(
        &mut self,
        client: &'d DescribedType,
        server: &'d DescribedType,
        declared: Declarations,
        place: &Rc<Place<'d>>,
    ) -> Result<(), Incompatibility> {
        use DescribedType::{
            Array, Handle, List, Map, Named, Object, Option, Plain, Result, Serde, Set, Stream,
            Tuple,
        };
        self.spend(1).map_err(|found| found.at(place))?;
        let mut items = |one: &'d DescribedType, other: &'d DescribedType| {
            self.types(one, other, declared, &Place::within(place, Part::Item))
        };
        match (client, server) {
            (Plain(one), Plain(other)) if encoding(one) == encoding(other) => return Ok(()),
            (Serde(one), Serde(other)) if last_part(one) == last_part(other) => return Ok(()),
            (Object { iid: one, .. }, Object { iid: other, .. }) if one == other => return Ok(()),
            (Handle { declared: one, .. }, Handle { declared: other, .. }) => {
                let effective = |outer: std::option::Option<Declaration>, of_type: &Declaration| {
                    outer.map_or(*of_type, |outer| outer.and(*of_type))
                };
                let (one, other) = (effective(declared.0, one), effective(declared.1, other));
                if one.and(other).contradiction().is_some() {
                    let text = |declared: Declaration| format!("a handle declared as {declared}");
                    return Err(incompatible(place, text(one), text(other)));
                }
                return Ok(());
            }
            (Stream(one), Stream(other)) => return items(one, other),
            // A set is encoded like a list.
            (List(one) | Set(one), List(other) | Set(other)) => return items(one, other),
            (Array(one, len), Array(other, others)) if len == others => return items(one, other),
            (Map(key, value), Map(others_key, others_value)) => {
                items(key, others_key)?;
                return items(value, others_value);
            }
            (Option(one), Option(other)) => return self.types(one, other, declared, place),
            (Result(value, error), Result(others_value, others_error)) => {
                self.types(value, others_value, declared, place)?;
                return self.types(error, others_error, declared, place);
            }
            (Tuple(ours), Tuple(theirs)) if ours.len() == theirs.len() => {
                for (one, other) in ours.iter().zip(theirs) {
                    self.types(one, other, declared, place)?;
                }
                return Ok(());
            }
            (Named(one), Named(other)) => {
                let pair = ((*one, declared.0), (*other, declared.1));
                // A value never nests deeper, so the types below are never used.
                if place.depth < Limits::DEPTH_MAX && self.seen.insert(pair) {
                    self.open.push_back((pair, place.clone()));
                }
                return Ok(());
            }
            _ => {}
        }
        // The encoding of a struct is the encoding of a tuple of its fields.
        let fields = |types: &'d [NamedType], ty| match ty {
            &Named(index) => match &types.get(index as usize)?.form {
                TypeForm::Struct(fields) => {
                    Some(fields.iter().map(|it| &it.ty).collect::<Vec<_>>())
                }
                _ => None,
            },
            Tuple(parts) => Some(parts.iter().collect()),
            _ => None,
        };
        match (fields(&self.client.types, client), fields(&self.server.types, server)) {
            (Some(ours), Some(theirs)) if ours.len() == theirs.len() => {
                ours.iter().zip(theirs).try_for_each(|(one, other)| {
                    self.types(one, other, declared, &Place::within(place, Part::Field("")))
                })
            }
            _ => {
                let text =
                    |description: &Description, ty| format!("`{}`", description.type_text(ty));
                Err(incompatible(place, text(self.client, client), text(self.server, server)))
            }
        }
    }

    /// Counts steps. A server's description can refer to each of its types many times, so that the
    /// comparison would take very long.
    fn spend(&mut self, steps: usize) -> Result<(), Incompatibility> {
        self.steps = self.steps.saturating_add(u32::try_from(steps).unwrap_or(u32::MAX));
        if self.steps <= STEPS_MAX {
            return Ok(());
        }
        Err(Incompatibility {
            place: String::new(),
            client: "another description".into(),
            server: format!("one whose comparison takes more than {STEPS_MAX} steps"),
        })
    }
}

/// The declarations of the client and of the server that apply to the handles in a value.
type Declarations = (Option<Declaration>, Option<Declaration>);

impl Incompatibility {
    fn at(mut self, place: &Place<'_>) -> Self {
        if self.place.is_empty() {
            self.place = place.text();
        }
        self
    }
}

fn incompatible(place: &Place<'_>, client: String, server: String) -> Incompatibility {
    Incompatibility { place: place.text(), client, server }
}

/// Returns the name of the plain type with the same encoding.
fn encoding(name: &str) -> &str {
    match name {
        "usize" | "NonZeroUsize" | "NonZeroU64" => "u64",
        "isize" | "NonZeroIsize" | "NonZeroI64" => "i64",
        "NonZeroU8" => "u8",
        "NonZeroU16" => "u16",
        "NonZeroU32" => "u32",
        "NonZeroU128" => "u128",
        "NonZeroI8" => "i8",
        "NonZeroI16" => "i16",
        "NonZeroI32" => "i32",
        "NonZeroI128" => "i128",
        "OsString" => "PathBuf",
        name => name,
    }
}

/// Returns the name of a type without its module, which is different if a type was moved.
fn last_part(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// Maximum number of steps of a comparison. An interface with a hundred methods that take values of
/// fifty types needs about fifty thousand.
const STEPS_MAX: u32 = 500_000;

#[cfg(test)]
mod tests;
