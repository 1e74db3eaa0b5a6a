//! A simulated RPC runtime: transfers the slots of a call from one process's memory to another's,
//! and the results back.
//!
//! The simulation uses only the format strings, not shapes or plans. If format strings and slots
//! disagree, the received values are wrong.

use syshandle_com::{CompiledInterface, Memory};

use crate::memory::Simulated;

/// The simulated RPC runtime for one method.
pub(crate) struct Runtime<'c> {
    types: &'c [u8],
    parameters: Vec<[u8; 6]>,
}

/// The stack of a method. Contains its slots.
#[derive(Clone, Copy)]
struct Stack<'s> {
    slots: &'s [u64],
    memory: &'s Simulated,
}

/// The places that can contain an array's count.
#[derive(Clone, Copy)]
struct Around<'s> {
    stack: Stack<'s>,
    /// The address of the struct that contains the pointer.
    structure: u64,
}

impl<'c> Runtime<'c> {
    pub(crate) fn new(compiled: &'c CompiledInterface, method: usize) -> Self {
        let procedures = &compiled.format_strings.procedures;
        let start = usize::from(compiled.format_strings.offsets[method]);
        let count = usize::from(procedures[start + 15]);
        let parameters = procedures[start + 26..][..6 * count].chunks(6);
        let parameters = parameters.map(|part| part.try_into().unwrap()).collect();
        Self { types: &compiled.format_strings.types, parameters }
    }

    /// Transfers a call to the server, and returns its slots there.
    pub(crate) fn call(
        &self,
        client: &Simulated,
        slots: &[u64],
        server: &mut Simulated,
    ) -> Vec<u64> {
        let stack = Stack { slots, memory: client };
        let around = Around { stack, structure: 0 };
        let mut arrived = vec![0; slots.len()];
        for part in &self.parameters {
            let (attributes, index) = (word(part, 0), slot(part));
            if attributes & RETURN != 0 {
                assert_eq!(index, slots.len(), "the HRESULT is behind the slots");
                continue;
            }
            arrived[index] = if attributes & OUT != 0 {
                let cell = self.cell_bytes(part);
                server.put(&vec![0; cell])
            } else if attributes & BASETYPE != 0 {
                slots[index]
            } else if attributes & SIMPLE_REF != 0 {
                let from = slots[index];
                assert_ne!(from, 0, "a reference is NULL");
                self.copy_new(word(part, 4).into(), from, around, server)
            } else {
                let at = usize::from(word(part, 4));
                match self.types[at] {
                    0x12 | 0x13 => self.pointer(at, slots[index], around, server),
                    // A handle or interface pointer, which is passed by value.
                    _ => slots[index],
                }
            };
        }
        arrived
    }

    /// Transfers the results to the client.
    pub(crate) fn reply(
        &self,
        server: &Simulated,
        from: &[u64],
        client: &mut Simulated,
        to: &[u64],
    ) {
        let around = Around { stack: Stack { slots: from, memory: server }, structure: 0 };
        for part in self.parameters.iter().filter(|part| word(*part, 0) & (OUT | RETURN) == OUT) {
            let (source, target) = (from[slot(part)], to[slot(part)]);
            if word(part, 0) & BASETYPE != 0 {
                copy_bytes(server, source, width(part[4]), client, target);
                continue;
            }
            let at = usize::from(word(part, 4));
            match self.types[at] {
                0x11 if self.types[at + 1] & 0x10 != 0 => {
                    // The result is a pointer, and the parameter is a reference to it.
                    let inner = self.target(at + 2);
                    let pointer = server.number(source, 8);
                    let brought = match self.types[inner] {
                        0x2f => pointer,
                        _ => self.pointer(inner, pointer, around, client),
                    };
                    client.write(target, &brought.to_le_bytes()).unwrap();
                }
                0x11 => copy_bytes(server, source, width(self.types[at + 2]), client, target),
                _ => self.copy(at, source, around, client, target),
            }
        }
    }

    fn cell_bytes(&self, part: &[u8; 6]) -> usize {
        let at = usize::from(word(part, 4));
        match word(part, 0) & BASETYPE {
            0 if self.types[at] == 0x11 => 8,
            0 => self.size(at, None),
            _ => width(part[4]),
        }
    }

    /// Copies a pointee to `memory`, and returns its address.
    fn pointer(&self, at: usize, from: u64, around: Around<'_>, memory: &mut Simulated) -> u64 {
        if from == 0 {
            return 0;
        }
        if self.types[at + 1] & 0x08 == 0 {
            return self.copy_new(self.target(at + 2), from, around, memory);
        }
        let source = around.stack.memory;
        match self.types[at + 2] {
            0x25 => {
                let units = source.read_text(from, 1_000_000).unwrap();
                let bytes: Vec<_> =
                    units.iter().chain(&[0]).flat_map(|unit| unit.to_le_bytes()).collect();
                memory.put(&bytes)
            }
            base => {
                let to = memory.put(&vec![0; width(base)]);
                copy_bytes(source, from, width(base), memory, to);
                to
            }
        }
    }

    fn copy_new(&self, at: usize, from: u64, around: Around<'_>, memory: &mut Simulated) -> u64 {
        if self.types[at] == 0x25 {
            let units = around.stack.memory.read_text(from, 1_000_000).unwrap();
            let bytes: Vec<_> =
                units.iter().chain(&[0]).flat_map(|unit| unit.to_le_bytes()).collect();
            return memory.put(&bytes);
        }
        let to = memory.put(&vec![0; self.size(at, Some(around)).max(1)]);
        self.copy(at, from, around, memory, to);
        to
    }

    /// Copies a value to the address `to`.
    fn copy(&self, at: usize, from: u64, around: Around<'_>, memory: &mut Simulated, to: u64) {
        let source = around.stack.memory;
        match self.types[at] {
            0x15 | 0x1d | 0x1b => copy_bytes(source, from, self.size(at, Some(around)), memory, to),
            0x1a => self.members(at, from, around, memory, to),
            0x21 => {
                let item = at + 16;
                let size = self.item_size(item);
                for index in 0..self.count(at, Some(around)) {
                    let offset = index * size as u64;
                    self.item(item, from + offset, around, memory, to + offset);
                }
            }
            0x3c | 0xb4 => copy_bytes(source, from, 8, memory, to),
            other => panic!("type {other:#04x}"),
        }
    }

    fn item(&self, item: usize, from: u64, around: Around<'_>, memory: &mut Simulated, to: u64) {
        let source = around.stack.memory;
        match self.types[item] {
            0x4c => self.copy(self.target(item + 2), from, around, memory, to),
            0x12 => {
                let brought = self.pointer(item, source.number(from, 8), around, memory);
                memory.write(to, &brought.to_le_bytes()).unwrap();
            }
            base => copy_bytes(source, from, width(base), memory, to),
        }
    }

    fn members(&self, at: usize, from: u64, around: Around<'_>, memory: &mut Simulated, to: u64) {
        let source = around.stack.memory;
        let around = Around { structure: from, ..around };
        let (mut place, mut offset) = (at + 8, 0);
        let mut pointers = if word(self.types, at + 6) == 0 { 0 } else { self.target(at + 6) };
        loop {
            let code = self.types[place];
            place += 1;
            match code {
                0x5b => break,
                0x5c => {}
                0x3d..=0x43 => offset += u64::from(code - 0x3c),
                0x36 => {
                    let pointer = source.number(from + offset, 8);
                    let brought = self.pointer(pointers, pointer, around, memory);
                    memory.write(to + offset, &brought.to_le_bytes()).unwrap();
                    pointers += 4;
                    offset += 8;
                }
                0x4c => {
                    let target = self.target(place + 1);
                    place += 3;
                    self.copy(target, from + offset, around, memory, to + offset);
                    offset += self.size(target, Some(around)) as u64;
                }
                base => {
                    copy_bytes(source, from + offset, width(base), memory, to + offset);
                    offset += width(base) as u64;
                }
            }
        }
        assert_eq!(offset, word(self.types, at + 2).into(), "the fields fill the struct");
    }

    fn size(&self, at: usize, around: Option<Around<'_>>) -> usize {
        match self.types[at] {
            0x15 | 0x1a | 0x1d => word(self.types, at + 2).into(),
            0x1b => usize::from(word(self.types, at + 2)) * self.count(at, around) as usize,
            0x21 => self.item_size(at + 16) * self.count(at, around) as usize,
            0x3c | 0xb4 => 8,
            other => panic!("type {other:#04x}"),
        }
    }

    fn item_size(&self, item: usize) -> usize {
        match self.types[item] {
            0x4c => self.size(self.target(item + 2), None),
            0x12 => 8,
            base => width(base),
        }
    }

    fn count(&self, at: usize, around: Option<Around<'_>>) -> u64 {
        let fixed = word(self.types, at + 2);
        if self.types[at] == 0x21 && fixed != 0 {
            return fixed.into();
        }
        let Around { stack, structure } = around.expect("a count somewhere");
        let (sort, operator, offset) =
            (self.types[at + 4], self.types[at + 5], word(self.types, at + 6));
        match (sort, operator) {
            (0x29, 0) => stack.slots[usize::from(offset) / 8 - 1] & 0xffff_ffff,
            (0x29, 0x54) => stack.memory.number(stack.slots[usize::from(offset) / 8 - 1], 4),
            (0x19, 0) => stack.memory.number(structure + u64::from(offset), 4),
            other => panic!("count {other:?}"),
        }
    }

    fn target(&self, at: usize) -> usize {
        let offset = i16::from_le_bytes([self.types[at], self.types[at + 1]]);
        usize::try_from(at as isize + isize::from(offset)).unwrap()
    }
}

fn copy_bytes(from: &Simulated, source: u64, len: usize, to: &mut Simulated, target: u64) {
    let mut bytes = vec![0; len];
    from.read(source, &mut bytes).unwrap();
    to.write(target, &bytes).unwrap();
}

fn slot(part: &[u8; 6]) -> usize {
    usize::from(word(part, 2)) / 8 - 1
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn width(code: u8) -> usize {
    match code {
        0x01..=0x04 => 1,
        0x06 => 2,
        0x08 | 0x0a | 0x0d | 0x0e => 4,
        0x0b | 0x0c => 8,
        other => panic!("base type {other:#04x}"),
    }
}

const OUT: u16 = 0x10;
const RETURN: u16 = 0x20;
const BASETYPE: u16 = 0x40;
const SIMPLE_REF: u16 = 0x100;
