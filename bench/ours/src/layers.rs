//! Drives both ends of a connection on one thread, so that a call uses only the selected layers.
//!
//! The steps are those of a client and a server without their threads. One end encodes the values
//! into a frame, the frame is passed to the other end, and that end interprets and decodes it.

use std::fs::File;
use std::hint::black_box;
use std::io::IoSlice;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use bench_harness::Result;
use syshandle::Encode;
use syshandle_os::{BorrowedHandle, Declaration, Kind, OwnedHandle, ProofFailure, Seqpacket};
use syshandle_types::{Decoder, Encoder, Guid, Limits, ProofError, Prove};
use syshandle_wire::{
    Body, ClientEnd, ClientEndEvent, Features, Greeting, Header, Hello, Offer, ServerEnd,
    ServerEndEvent, Status,
};

/// The two open ends and the transport between them.
pub(crate) struct Layers<'l> {
    client: ClientEnd<()>,
    server: ServerEnd<()>,
    /// The sockets that carry the frames. Without them, frames are passed in memory.
    sockets: Option<(Seqpacket, Seqpacket)>,
    /// A file that is passed with each call and closed by the server.
    file: Option<&'l File>,
    proof: Proof,
    /// Timeout of each side. With a timeout, each side reads the clock as it does for a deadline.
    patience: Option<Duration>,
    handles: Vec<OwnedHandle>,
}

/// The proof of received handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// No proof.
    None,
    /// The usual proof by kernel queries.
    Kernel,
}

impl<'l> Layers<'l> {
    /// Creates open ends that pass frames in memory.
    pub(crate) fn in_memory() -> Result<Self> {
        let limits = Limits::default();
        let (clsid, iid) = (Guid::from_bytes([1; 16]), Guid::from_bytes([2; 16]));
        let greeting = Greeting::new(limits, vec![Offer::new(clsid, iid)]);
        let (header, body) = ServerEnd::<()>::greeting(&greeting);
        let (client, _) =
            ClientEnd::open(&whole(&header, &body), 0, Features::OWN).map_err(debug)?;
        let mut server = ServerEnd::new(limits, Features::OWN);
        let (header, body) = ClientEnd::<()>::hello(Hello::new(clsid, iid));
        server.receive(&whole(&header, &body), 0, false).map_err(debug)?;
        let (sockets, file, patience) = (None, None, None);
        Ok(Self { client, server, sockets, file, proof: Proof::None, patience, handles: vec![] })
    }

    /// Passes frames over a socket pair.
    pub(crate) fn over_sockets() -> Result<Self> {
        Ok(Self { sockets: Some(Seqpacket::pair()?), ..Self::in_memory()? })
    }

    /// Adds a file to each call.
    pub(crate) fn with_file(self, file: &'l File, proof: Proof) -> Self {
        Self { file: Some(file), proof, ..self }
    }

    /// Adds a deadline to each call.
    pub(crate) fn with_deadline(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Makes a call with a number.
    pub(crate) fn call(&mut self) -> Result<()> {
        let deadline = self.patience.map(|patience| Instant::now() + patience);
        let number = black_box(1_u64);
        let mut out = Encoder::new(Vec::new(), Limits::default());
        number.encode(&mut out);
        if let Some(file) = self.file {
            out.put_handle(file.as_fd());
        }
        let (body, lent) = out.finish()?;
        let timeout_ms = self.patience.map_or(0, |patience| patience.as_millis() as u32);
        let count = lent.len() as u16;
        let header = self.client.start(0, count, body.len(), timeout_ms, ()).map_err(debug)?;
        let mut frame = [0; FRAME];
        let len = self.carry(Side::Client, &header, &body, &lent, &mut frame)?;
        let (id, number) = self.serve(&frame[..len])?;
        let mut out = Encoder::new(Vec::new(), Limits::default());
        number.encode(&mut out);
        let (body, _) = out.finish()?;
        let header = self.server.reply(id, Status::Done, 0, body.len()).ok_or("no room")?;
        let len = self.carry(Side::Server, &header, &body, &[], &mut frame)?;
        let (reply, body) = self.client.receive(&frame[..len], 0, false).map_err(debug)?;
        let ClientEndEvent::Reply { .. } = reply else { return Err("that is no reply".into()) };
        let mut input = Decoder::new(body, Vec::new(), &self.proof);
        let number: u64 = input.parameter(0, None)?;
        input.finish()?;
        if number != 2 || deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err("a wrong number came back, or too late".into());
        }
        Ok(())
    }

    /// Serves a call. The method returns the successor of the number.
    fn serve(&mut self, frame: &[u8]) -> Result<(u32, u64)> {
        let handles = std::mem::take(&mut self.handles);
        let call = self.server.receive(frame, handles.len(), false).map_err(debug)?;
        let (ServerEndEvent::Call { call: id, timeout_ms, .. }, body) = call else {
            return Err("that is no call".into());
        };
        let deadline =
            self.patience.map(|_| Instant::now() + Duration::from_millis(timeout_ms.into()));
        self.server.started(id, ());
        let mut input = Decoder::new(body, handles, &self.proof);
        let number: u64 = input.parameter(0, None)?;
        if self.file.is_some() {
            let file: File = input.parameter(1, Some(Declaration::kind(Kind::File)))?;
            drop(file);
        }
        input.finish()?;
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err("timed out before the call ran".into());
        }
        Ok((id, number + 1))
    }

    /// Passes a frame from one side to the other, and keeps the received handles.
    fn carry(
        &mut self,
        from: Side,
        header: &Header,
        body: &[u8],
        lent: &[BorrowedHandle<'_>],
        frame: &mut [u8; FRAME],
    ) -> Result<usize> {
        let mut head = [0; Header::LEN_MAX];
        let head_len = header.write(&mut head);
        let Some((client, server)) = &self.sockets else {
            frame[..head_len].copy_from_slice(&head[..head_len]);
            frame[head_len..head_len + body.len()].copy_from_slice(body);
            return Ok(head_len + body.len());
        };
        let (from, to) = match from {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        from.send(&[IoSlice::new(&head[..head_len]), IoSlice::new(body)], lent)?;
        let received = match self.patience {
            Some(patience) => to.receive_within(frame, &mut self.handles, patience)?,
            None => to.receive(frame, &mut self.handles)?,
        };
        Ok(received.len)
    }
}

/// The sending side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Prove for Proof {
    fn prove(
        &self,
        handle: BorrowedHandle<'_>,
        declared: &Declaration,
    ) -> Result<Option<OwnedHandle>, ProofError> {
        if *self == Self::None {
            return Ok(None);
        }
        match syshandle_os::prove(handle, declared) {
            Ok(_) => Ok(None),
            Err(ProofFailure::Mismatch(mismatch)) => Err(ProofError::Mismatch(mismatch)),
            Err(ProofFailure::Failed(error)) => Err(ProofError::Unknown(error.to_string())),
        }
    }

    fn refuse(&self, handle: OwnedHandle) {
        drop(handle);
    }
}

/// Encodes and decodes the values of a null call and its reply, and nothing else.
pub(crate) fn values() -> Result<()> {
    for _ in 0..2 {
        let mut out = Encoder::new(Vec::new(), Limits::default());
        let number = black_box(1_u64);
        number.encode(&mut out);
        let (body, _) = out.finish()?;
        let mut input = Decoder::new(&body, Vec::new(), &Proof::None);
        black_box::<u64>(input.parameter(0, None)?);
        input.finish()?;
    }
    Ok(())
}

fn whole(header: &Header, body: &[u8]) -> Vec<u8> {
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    debug_assert!(matches!(header.body, Body::Inline { .. }));
    [&head[..len], body].concat()
}

/// Converts an error of a type without `Display`.
fn debug(error: impl std::fmt::Debug) -> Box<dyn std::error::Error + Send + Sync> {
    format!("{error:?}").into()
}

/// Size of a buffer for a header and some numbers.
const FRAME: usize = 256;
