//! Makes a call to an object of this process, and keeps its context.
#![expect(dead_code, unreachable_pub, reason = "a generated client is made for users of a crate")]
#![expect(clippy::allow_attributes, reason = "the generated code is also for other crates")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::in_process::isolated;
use crate::server::context::Context;
use crate::untyped_object::Object;
use crate::{Error, Result, interface};

/// Returns the context of a call that has ended, and its client, which is connected until it is
/// dropped.
pub(super) fn record() -> Result<(Context, ContextRecorderClient)> {
    let recorder = Recorder::default();
    let recorded = recorder.0.clone();
    let object = Object::new().with::<dyn ContextRecorder, _>(&Arc::new(recorder));
    let client: ContextRecorderClient = isolated(&object)?;
    // The timeout applies to the call that records the context, not to the simulated call.
    client.with_timeout(Duration::MAX).record()?;
    let recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner).take();
    let context = recorded.ok_or_else(|| Error::failed("there is no context"))?;
    Ok((context, client))
}

/// Records the context of a call.
#[interface(iid = "0c9a7c1e-3f0f-4a57-9a0c-6d3f5b1f2a77")]
pub(crate) trait ContextRecorder {
    fn record(&self, context: &Context) -> Result<()>;
}

#[derive(Default)]
struct Recorder(Arc<Mutex<Option<Context>>>);

impl ContextRecorder for Recorder {
    fn record(&self, context: &Context) -> Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.clone());
        Ok(())
    }
}
