//! Tests with malformed values from the peer or from the caller. Each value must result in a
//! specific error, and must cause no leak and no panic.

use syshandle::{handle::Kind, object::Interface};
use syshandle_com::{
    BadAddress, CompiledInterface, ErrorInfo, HandleForm, HandleType, Hresult, Memory, MethodPlan,
    OutOfMemory, Problem, RawLentHandle, RawReceivedHandle, Reply, TranscodeError,
};
use syshandle_types::{FieldPath, Limits};
use syshandle_wire::{Fault, Status};

use crate::golden::compiled;
use crate::memory::Simulated;
use crate::random::Random;
use crate::traits::{Handles, Objects, Opaque, SparkleFinisher, Texts};
use crate::values::Values;

fn plan<'c>(compiled: &'c CompiledInterface, name: &str) -> &'c MethodPlan {
    compiled.methods.iter().find(|plan| plan.name() == name).unwrap()
}

fn lent(value: u64) -> RawLentHandle {
    RawLentHandle { value, kind: None }
}

/// Reads a call from these slots, and returns the expected error.
fn refused(
    compiled: &CompiledInterface,
    method: &str,
    slots: &[u64],
    memory: &Simulated,
) -> TranscodeError {
    plan(compiled, method).collect_call(slots, memory).unwrap_err()
}

#[test]
fn a_null_pointer_to_a_required_value_is_refused() {
    let values = compiled::<dyn Values>(HandleForm::System);
    let memory = Simulated::default();
    for (method, slots) in [
        ("text", &[0, 1][..]),
        ("flat", &[0, 1]),
        ("identifier", &[0, 1]),
        ("bytes", &[3, 0, 1, 1]),
    ] {
        let expected = TranscodeError { parameter: Some(0), problem: Problem::Null };
        assert_eq!(refused(&values, method, slots, &memory), expected, "{method}");
    }
    // An empty list doesn't need an address.
    assert_eq!(
        plan(&values, "bytes").collect_call(&[0, 0, 1, 1], &memory).unwrap().arguments,
        [0; 4]
    );
}

#[test]
fn a_count_past_every_limit_is_refused_before_memory_is_looked_at() {
    let values = compiled::<dyn Values>(HandleForm::System);
    let mut memory = Simulated::default();
    let address = memory.put(&[0; 8]);
    for count in [u64::from(u32::MAX), Limits::ARENA_BYTES as u64 + 1] {
        let error = refused(&values, "bytes", &[count, address, 1, 1], &memory);
        assert_eq!(error.problem, Problem::TooManyBytes);
    }
    // A count that exceeds the readable memory.
    let error = refused(&values, "bytes", &[9, address, 1, 1], &memory);
    assert_eq!(error.problem, Problem::BadAddress(BadAddress { address }));
}

#[test]
fn a_value_that_no_variant_has_is_refused() {
    let values = compiled::<dyn Values>(HandleForm::System);
    let error = refused(&values, "enums", &[4, 0, 1, 1], &Simulated::default());
    assert_eq!(error, TranscodeError { parameter: Some(0), problem: Problem::Value("Color") });
    let error = refused(&values, "enums", &[5, 7, 1, 1], &Simulated::default());
    assert_eq!(error.to_string(), "parameter 1: the value is not a valid Level");
    let fault = Fault::from(error);
    assert_eq!(
        fault,
        Fault::Malformed {
            parameter: Some(1),
            path: FieldPath::default(),
            text: "the value is not a valid Level".to_owned()
        }
    );
}

#[test]
fn a_string_that_is_not_utf_16_is_refused() {
    let values = compiled::<dyn Values>(HandleForm::System);
    let mut memory = Simulated::default();
    let lone = memory.put(&[0x00, 0xd8, 0x41, 0x00, 0, 0]);
    assert_eq!(refused(&values, "text", &[lone, 1], &memory).problem, Problem::NotUtf16);
    let endless = memory.put(&[0x41, 0x00, 0x41, 0x00]);
    let problem = refused(&values, "text", &[endless, 1], &memory).problem;
    assert!(matches!(problem, Problem::BadAddress(_)), "{problem:?}");
}

#[test]
fn a_string_that_contains_a_zero_is_not_sent() {
    let values = compiled::<dyn Values>(HandleForm::System);
    let mut memory = Simulated::default();
    let error =
        plan(&values, "text").lay_out_call(b"\x03\0\0\0a\0b", &[], &mut memory).unwrap_err();
    assert_eq!(error, TranscodeError { parameter: Some(0), problem: Problem::ZeroInText });
    let text = syshandle_types::EncodeError::from(error).to_string();
    assert!(
        text.starts_with("parameter 0: a value can't be encoded: the string contains a zero"),
        "{text}"
    );
}

/// Tests NULL and pseudo handles. Pseudo handles are negative.
#[test]
fn invalid_handles_are_refused_in_both_directions() {
    let sample = compiled::<dyn SparkleFinisher>(HandleForm::System);
    let sample_plan = &sample.methods[0];
    let mut memory = Simulated::default();
    let cell = memory.put(&[0; 8]);
    for value in [0, u64::MAX, u64::MAX - 1, u64::MAX - 5, 1 << 63] {
        let error = refused(&sample, "add_sparkle_finish_to_file", &[8, value, cell], &memory);
        assert_eq!(error, TranscodeError { parameter: Some(1), problem: Problem::NoHandle });
        let handles = [lent(value), lent(8)];
        let error = sample_plan.lay_out_call(&[0, 0, 1, 0], &handles, &mut memory).unwrap_err();
        assert_eq!(error, TranscodeError { parameter: Some(0), problem: Problem::NoHandle });
        let reply = Reply { status: Status::Done, body: &[0, 0], handles: &[lent(value)] };
        let answer = sample_plan.lay_out_reply(reply, &[8, 12, cell], &mut memory);
        assert!(answer.hresult.is_failure() && !answer.gives_handles);
        assert_eq!(memory.number(cell, 8), 0);
        // Simulates a server that returns the same value as a handle.
        memory.write(cell, &value.to_le_bytes()).unwrap();
        let collected = sample_plan.collect_reply(Hresult::OK, None, &[8, 12, cell], &mut memory);
        assert_eq!(collected.reply.unwrap_err().problem, Problem::NoHandle);
        assert_eq!(collected.strays, []);
    }
}

#[test]
fn handles_beside_a_failure_are_strays() {
    let sample = compiled::<dyn SparkleFinisher>(HandleForm::System);
    let mut memory = Simulated::default();
    let cell = memory.put(&0x64_u64.to_le_bytes());
    let info = ErrorInfo { description: "no space left".to_owned() };
    let failure = Hresult(0x8007_000e_u32 as i32);
    let collected =
        sample.methods[0].collect_reply(failure, Some(&info), &[8, 12, cell], &mut memory);
    assert_eq!(
        collected.strays,
        [RawReceivedHandle { value: 0x64, handle_type: HandleType::Handle(Kind::Event) }]
    );
    let fault = Fault::read(&collected.reply.unwrap().body).unwrap();
    assert_eq!(fault, Fault::Failed { text: "no space left".to_owned() });
}

#[test]
fn more_handles_than_a_call_may_have_are_refused() {
    let handles = compiled::<dyn Handles>(HandleForm::System);
    let mut memory = Simulated::default();
    let many = memory.put(&[1; 8 * 300]);
    let slots = |count: u64| [count, many, 0, 0, 1, 1];
    assert!(plan(&handles, "many").collect_call(&slots(253), &memory).is_ok());
    let error = refused(&handles, "many", &slots(254), &memory);
    assert_eq!(error.problem, Problem::TooManyHandles);
    let error = refused(&handles, "maybe", &[2, many, 1, 1], &memory);
    assert_eq!(error.problem, Problem::Value("optional handle"));
}

/// Makes each allocation fail in turn. No memory must stay allocated, and no result must be
/// written.
#[test]
fn a_reply_without_memory_leaves_nothing_behind() {
    let values = compiled::<dyn Values>(HandleForm::System);
    let plan = plan(&values, "structs");
    let method = &<dyn Values as Interface>::DESCRIPTION.methods[15];
    assert_eq!(method.name, "structs");
    let mut random = Random::new(9);
    let result = std::iter::repeat_with(|| random.values(&[method.result]));
    let result = result.into_iter().find(|result| result.bytes.len() > 200).unwrap();
    for left in 0.. {
        let mut memory = Simulated::default();
        let cells = [memory.put(&[7; 4]), memory.put(&[7; 8])];
        memory.left = Some(left);
        let slots = [0, 0, 0, 0, 0, 0, cells[0], cells[1]];
        let reply = Reply { status: Status::Done, body: &result.bytes, handles: &[] };
        let answer = plan.lay_out_reply(reply, &slots, &mut memory);
        if answer.hresult == Hresult::OK {
            assert!(left > 5);
            return;
        }
        assert_eq!(memory.blocks(), 2, "{left}");
        assert_eq!((memory.number(cells[0], 4), memory.number(cells[1], 8)), (0, 0));
        assert!(!answer.gives_handles);
        let fault = Fault::Unsendable { text: OutOfMemory.to_string() };
        assert_eq!(answer.hresult, Hresult::of_fault(&fault));
        assert_eq!(answer.info, Some(ErrorInfo::of_fault(&fault)));
    }
}

#[test]
fn a_handle_of_no_declared_kind_is_not_sent() {
    let opaque = compiled::<dyn Opaque>(HandleForm::System);
    let plan = plan(&opaque, "either");
    let mut memory = Simulated::default();
    for kind in [None, Some(Kind::Event), Some(Kind::Timer)] {
        let handle = RawLentHandle { value: 8, kind };
        let error = plan.lay_out_call(&[0, 0], &[handle], &mut memory).unwrap_err();
        assert_eq!(error.problem, Problem::UndeclaredHandle, "{kind:?}");
    }
    let handle = RawLentHandle { value: 8, kind: Some(Kind::Pipe) };
    assert!(plan.lay_out_call(&[0, 0], &[handle], &mut memory).is_ok());
}

#[test]
fn a_method_that_com_cant_call_returns_the_reason() {
    let opaque = compiled::<dyn Opaque>(HandleForm::System);
    let objects = compiled::<dyn Objects>(HandleForm::System);
    let mut memory = Simulated::default();
    for (plan, why) in [
        (plan(&opaque, "timer"), "parameter `timer`: COM has no kind of handle for a timer"),
        (plan(&objects, "within"), "parameter `finishers`: COM can pass an object reference"),
    ] {
        let error = plan.lay_out_call(&[0, 0], &[lent(8)], &mut memory).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert_eq!(plan.slot_count(), 0);
        let answer = plan.lay_out_reply(
            Reply { status: Status::Done, body: &[], handles: &[] },
            &[],
            &mut memory,
        );
        assert!(answer.hresult.is_failure());
        assert!(plan.collect_call(&[], &memory).unwrap_err().to_string().contains(why));
        assert!(plan.collect_reply(answer.hresult, None, &[], &mut memory).reply.is_ok());
    }
}

/// Memory in which `free` accepts any address. In a real process, the RPC runtime checks the
/// pointers that a server returns.
struct Lenient(Simulated);

impl Memory for Lenient {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), BadAddress> {
        self.0.read(address, into)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
        self.0.write(address, bytes)
    }

    fn allocate(&mut self, len: usize) -> Result<u64, OutOfMemory> {
        self.0.allocate(len)
    }

    fn free(&mut self, _: u64) {}
}

/// Passes random slots, memory and encoded values to every method. They may cause errors, but no
/// panics.
#[test]
fn every_message_gets_an_answer() {
    let all = [
        (<dyn Values as Interface>::DESCRIPTION, compiled::<dyn Values>(HandleForm::System)),
        (<dyn Texts as Interface>::DESCRIPTION, compiled::<dyn Texts>(HandleForm::System)),
        (<dyn Handles as Interface>::DESCRIPTION, compiled::<dyn Handles>(HandleForm::System)),
        (<dyn Opaque as Interface>::DESCRIPTION, compiled::<dyn Opaque>(HandleForm::System)),
        (<dyn Objects as Interface>::DESCRIPTION, compiled::<dyn Objects>(HandleForm::System)),
    ];
    let mut refused = 0;
    for (description, compiled) in &all {
        let methods = description.methods.iter().zip(&compiled.methods);
        for (method, plan) in methods.filter(|(_, plan)| plan.unsupported().is_none()) {
            for seed in 0..120 {
                let mut random = Random::new(seed);
                let mut memory = Lenient(Simulated::default());
                let slots = wild_slots(&mut random, plan.slot_count(), &mut memory);
                refused += u32::from(plan.collect_call(&slots, &memory).is_err());
                let collected = plan.collect_reply(Hresult::OK, None, &slots, &mut memory);
                refused += u32::from(collected.reply.is_err());

                let mut values = random.values(method.parameters);
                spoil(&mut random, &mut values.bytes);
                let laid_out = plan.lay_out_call(&values.bytes, &values.handles, &mut memory);
                refused += u32::from(laid_out.is_err());
                let mut values = random.values(&[method.result]);
                spoil(&mut random, &mut values.bytes);
                let status = [Status::Done, Status::Failed, Status::Fault][random.below(3)];
                let reply = Reply { status, body: &values.bytes, handles: &values.handles };
                plan.lay_out_reply(reply, &slots, &mut memory);
            }
        }
    }
    assert!(refused > 2_000, "{refused}");
}

/// Returns random slots: addresses of blocks or inside of blocks, NULL, and small, large or
/// negative numbers.
fn wild_slots(random: &mut Random, count: usize, memory: &mut Lenient) -> Vec<u64> {
    let blocks: Vec<u64> = (0..4)
        .map(|_| {
            let bytes: Vec<u8> =
                (0..random.below(300)).map(|_| random.next() as u8 & 0x13).collect();
            memory.0.put(&bytes)
        })
        .collect();
    for block in &blocks {
        // Writes pointers into some blocks.
        let target = blocks[random.below(4)] + random.below(4) as u64;
        let place = block + 8 * random.below(10) as u64;
        let _ = memory.write(place, &target.to_le_bytes());
    }
    let slot = |random: &mut Random| match random.below(6) {
        0 => 0,
        1 => random.below(9) as u64,
        2 => random.next(),
        3 => u64::MAX - random.below(40) as u64,
        _ => blocks[random.below(4)] + random.below(2) as u64 * 8,
    };
    (0..count).map(|_| slot(random)).collect()
}

/// Randomly changes, truncates or extends bytes.
fn spoil(random: &mut Random, bytes: &mut Vec<u8>) {
    match random.below(4) {
        0 => bytes.push(0),
        1 => bytes.truncate(random.below(bytes.len() + 1)),
        2 if !bytes.is_empty() => {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        _ if !bytes.is_empty() => {
            let at = random.below(bytes.len());
            bytes[at] ^= 0xff;
        }
        _ => {}
    }
}
