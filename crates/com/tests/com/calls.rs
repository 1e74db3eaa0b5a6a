//! Round-trip tests of calls. One side writes slots, a simulated RPC runtime transfers them
//! according to the format strings, and the other side reads them.

use syshandle::describe::Parameter;
use syshandle::{handle::Kind, object::Interface};
use syshandle_com::{
    CompiledInterface, HandleForm, HandleType, Hresult, Memory, MethodPlan, MethodReturn,
    RawLentHandle, RawReceivedHandle, ReceivedReply, Reply,
};
use syshandle_types::FieldPath;
use syshandle_wire::{Fault, Status};

use crate::golden::compiled;
use crate::memory::Simulated;
use crate::random::{Random, Values as Encoded};
use crate::runtime::Runtime;
use crate::traits::{Handles, Objects, Opaque, SparkleFinisher, Texts};
use crate::values::Values;

/// A client and a server, connected by a simulated RPC runtime.
struct Pair<'c> {
    plan: &'c MethodPlan,
    runtime: Runtime<'c>,
    client: Simulated,
    server: Simulated,
    client_slots: Vec<u64>,
    server_slots: Vec<u64>,
}

impl<'c> Pair<'c> {
    fn new(compiled: &'c CompiledInterface, method: &str) -> Self {
        let place = compiled.methods.iter().position(|plan| plan.name() == method).unwrap();
        Self {
            plan: &compiled.methods[place],
            runtime: Runtime::new(compiled, place),
            client: Simulated::default(),
            server: Simulated::default(),
            client_slots: Vec::new(),
            server_slots: Vec::new(),
        }
    }

    /// Sends a call, and checks that the server receives the same arguments.
    fn call(&mut self, arguments: &Encoded) {
        let (bytes, handles) = (&arguments.bytes, &arguments.handles);
        let slots = self.plan.lay_out_call(bytes, handles, &mut self.client);
        self.client_slots = slots.unwrap_or_else(|error| panic!("{}: {error}", self.plan.name()));
        assert_eq!(self.client_slots.len(), self.plan.slot_count());
        self.server_slots = self.runtime.call(&self.client, &self.client_slots, &mut self.server);
        let call = self.plan.collect_call(&self.server_slots, &self.server);
        let call = call.unwrap_or_else(|error| panic!("{}: {error}", self.plan.name()));
        assert_eq!(call.arguments, *bytes, "{}", self.plan.name());
        check_handles(&call.handles, handles);
    }

    /// Sends a reply, and returns what the client receives.
    fn reply(&mut self, reply: Reply<'_>) -> (MethodReturn, ReceivedReply) {
        let answer = self.plan.lay_out_reply(reply, &self.server_slots, &mut self.server);
        let kept = self.client.blocks();
        self.runtime.reply(&self.server, &self.server_slots, &mut self.client, &self.client_slots);
        let collected = self.plan.collect_reply(
            answer.hresult,
            answer.info.as_ref(),
            &self.client_slots,
            &mut self.client,
        );
        // The client has freed exactly the memory that the runtime allocated for it.
        assert_eq!(self.client.blocks(), kept, "{}", self.plan.name());
        assert_eq!(collected.strays, []);
        let received = collected.reply;
        (answer, received.unwrap_or_else(|error| panic!("{}: {error}", self.plan.name())))
    }
}

fn check_handles(passed: &[RawReceivedHandle], lent: &[RawLentHandle]) {
    assert_eq!(passed.len(), lent.len());
    for (passed, lent) in passed.iter().zip(lent) {
        assert_eq!(passed.value, lent.value);
        // A directory is received as a file.
        let expected =
            lent.kind.map(|kind| if kind == Kind::Directory { Kind::File } else { kind });
        match passed.handle_type {
            HandleType::Handle(kind) => assert_eq!(Some(kind), expected),
            HandleType::Object(_) => assert_eq!(expected, None),
        }
    }
}

/// Calls every method of an interface with random values, and replies with random results.
fn exercise<I: Interface + ?Sized>() {
    for form in [HandleForm::System, HandleForm::UserMarshal] {
        let compiled = compiled::<I>(form);
        for (plan, method) in compiled.methods.iter().zip(I::DESCRIPTION.methods) {
            if plan.unsupported().is_some() {
                continue;
            }
            for seed in 0..80 {
                let mut random = Random::new(seed);
                let mut pair = Pair::new(&compiled, plan.name());
                pair.call(&random.values(method.parameters));
                let result = random.values(&[method.result]);
                let reply =
                    Reply { status: Status::Done, body: &result.bytes, handles: &result.handles };
                let (answer, received) = pair.reply(reply);
                assert_eq!((answer.hresult, answer.gives_handles), (Hresult::OK, true));
                assert_eq!((received.status, received.body), (Status::Done, result.bytes));
                check_handles(&received.handles, &result.handles);
            }
        }
    }
}

#[test]
fn values_arrive_as_they_were_sent() {
    exercise::<dyn Values>();
    exercise::<dyn Texts>();
}

#[test]
fn handles_arrive_as_they_were_sent() {
    exercise::<dyn SparkleFinisher>();
    exercise::<dyn Handles>();
    exercise::<dyn Objects>();
}

#[test]
fn values_without_a_midl_form_arrive_unchanged() {
    exercise::<dyn Opaque>();
    let compiled = compiled::<dyn Opaque>(HandleForm::System);
    assert!(compiled.methods.iter().all(|plan| plan.is_opaque() || plan.unsupported().is_some()));
}

#[test]
fn numbers_are_extended_by_their_sign() {
    let compiled = compiled::<dyn Values>(HandleForm::System);
    let mut pair = Pair::new(&compiled, "integers");
    let arguments =
        [0xff, 0xff, 0xfe, 0xff, 0xfe, 0xff, 0xfd, 0xff, 0xff, 0xff, 0xfd, 0xff, 0xff, 0xff];
    pair.call(&Encoded { bytes: arguments.to_vec(), handles: Vec::new() });
    let expected = [0xff, u64::MAX, 0xfffe, u64::MAX - 1, 0xffff_fffd, u64::MAX - 2];
    assert_eq!(pair.client_slots[..6], expected);
}

#[test]
fn a_variant_is_passed_as_its_value() {
    let compiled = compiled::<dyn Values>(HandleForm::System);
    let mut pair = Pair::new(&compiled, "enums");
    // The indexes of the variants Blue and Low.
    pair.call(&Encoded { bytes: vec![2, 0, 0, 0, 0, 0, 0, 0], handles: Vec::new() });
    assert_eq!(pair.client_slots[..2], [6, u64::MAX]);
}

#[test]
fn floats_are_where_registers_of_their_own_are() {
    use syshandle_com::Float;
    let compiled = compiled::<dyn Values>(HandleForm::System);
    let plan = &compiled.methods[3];
    let floats: Vec<_> = (0..5).map(|slot| plan.float(slot)).collect();
    let [single, double] = [Some(Float::Single), Some(Float::Double)];
    // The last slot is the address of the result, which is not a floating-point number.
    assert_eq!(floats, [single, double, single, double, None]);
}

#[test]
fn an_identifier_is_as_windows_has_it_in_memory() {
    let compiled = compiled::<dyn Values>(HandleForm::System);
    let mut pair = Pair::new(&compiled, "identifier");
    let guid: syshandle::Guid = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
    pair.call(&Encoded { bytes: guid.to_bytes().to_vec(), handles: Vec::new() });
    let mut memory = [0; 16];
    pair.client.read(pair.client_slots[0], &mut memory).unwrap();
    assert_eq!(memory[..8], [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]);
    assert_eq!(memory[8..], [0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
}

#[test]
fn the_sample_has_three_handles_and_no_more() {
    let compiled = compiled::<dyn SparkleFinisher>(HandleForm::System);
    let mut pair = Pair::new(&compiled, "add_sparkle_finish_to_file");
    let handles = [0x24, 0x48].map(|value| RawLentHandle { value, kind: None }).to_vec();
    let slots = pair.plan.lay_out_call(&[0, 0, 1, 0], &handles, &mut pair.client).unwrap();
    assert_eq!(slots[..2], [0x24, 0x48]);
    assert_eq!(pair.client.number(slots[2], 8), 0);
    pair.client_slots = slots;
    pair.server_slots = pair.runtime.call(&pair.client, &pair.client_slots, &mut pair.server);
    let done = RawLentHandle { value: 0x64, kind: None };
    let reply = Reply { status: Status::Done, body: &[0, 0], handles: &[done] };
    let (_, received) = pair.reply(reply);
    assert_eq!(
        received.handles,
        [RawReceivedHandle { value: 0x64, handle_type: HandleType::Handle(Kind::Event) }]
    );
}

#[test]
fn an_error_of_variants_is_an_hresult() {
    let compiled = compiled::<dyn Handles>(HandleForm::System);
    for (place, hresult) in [(0, 0x8004_0200_u32), (1, 0x8007_0005), (2, 0x8004_0207)] {
        let mut pair = Pair::new(&compiled, "own_error");
        let mut random = Random::new(1);
        let method = &<dyn Handles as Interface>::DESCRIPTION.methods[4];
        pair.call(&random.values(method.parameters));
        let body = u32::to_le_bytes(place);
        let (answer, received) =
            pair.reply(Reply { status: Status::Failed, body: &body, handles: &[] });
        assert_eq!(answer.hresult, Hresult(hresult as i32));
        assert!(!answer.gives_handles);
        let names = ["Closed", "NotYours", "Full"];
        assert_eq!(answer.info.unwrap().description, names[place as usize]);
        assert_eq!((received.status, received.body), (Status::Failed, body.to_vec()));
    }
}

#[test]
fn an_error_with_data_arrives_whole_with_its_handles() {
    let compiled = compiled::<dyn Opaque>(HandleForm::System);
    let method = &<dyn Opaque as Interface>::DESCRIPTION.methods[3];
    for seed in 0..50 {
        let mut random = Random::new(seed);
        let mut pair = Pair::new(&compiled, "own_error");
        pair.call(&random.values(method.parameters));
        let error = random.values(&[Parameter { ty: method.error.unwrap(), ..method.result }]);
        let reply = Reply { status: Status::Failed, body: &error.bytes, handles: &error.handles };
        let (answer, received) = pair.reply(reply);
        assert_eq!((answer.hresult, answer.gives_handles), (Hresult::OK, true));
        assert_eq!((received.status, received.body), (Status::Failed, error.bytes));
        check_handles(&received.handles, &error.handles);
    }
}

/// An opaque method transfers the complete fault. Any other method transfers only its type and
/// text.
#[test]
fn a_fault_arrives_with_its_text() {
    let text = || "the bytes are no bool".to_owned();
    let fault = Fault::Malformed { parameter: Some(1), path: FieldPath::default(), text: text() };
    let told = Fault::Malformed { parameter: None, path: FieldPath::default(), text: text() };
    let all = [
        (compiled::<dyn SparkleFinisher>(HandleForm::System), 0, &told),
        (compiled::<dyn Opaque>(HandleForm::System), 0, &fault),
    ];
    for (compiled, method, expected) in &all {
        let mut pair = Pair::new(compiled, compiled.methods[*method].name());
        let description = match compiled.name {
            "Opaque" => <dyn Opaque as Interface>::DESCRIPTION,
            _ => <dyn SparkleFinisher as Interface>::DESCRIPTION,
        };
        pair.call(&Random::new(3).values(description.methods[*method].parameters));
        let body = fault.write();
        let (_, received) = pair.reply(Reply { status: Status::Fault, body: &body, handles: &[] });
        assert_eq!((received.status, received.body), (Status::Fault, expected.write()));
    }
}

/// Without a text, the HRESULT still identifies the type of the fault.
#[test]
fn a_fault_without_its_text_keeps_its_type() {
    let compiled = compiled::<dyn SparkleFinisher>(HandleForm::System);
    let plan = &compiled.methods[0];
    let mut memory = Simulated::default();
    let slots = [0x24, 0x48, memory.put(&[0; 8])];
    let hresult = Hresult::of_fault(&Fault::Expired);
    let collected = plan.collect_reply(hresult, None, &slots, &mut memory);
    let received = collected.reply.unwrap();
    assert_eq!(received.status, Status::Fault);
    assert_eq!(Fault::read(&received.body), Ok(Fault::Expired));
}
