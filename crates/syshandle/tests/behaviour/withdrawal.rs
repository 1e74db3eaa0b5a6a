//! The owner of an object of this process withdraws it. `tests/callbacks.rs` has the tests with
//! holders in other processes, which run on Linux.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use syshandle::object::Proxy;
use syshandle::serving::Withdrawal;
use syshandle::{Error, ErrorKind, Result, in_process, interface};

use crate::support::eventually;

/// An object that its owner withdraws.
#[interface(iid = "b1f5f1c0-6a3e-4f6b-9a63-6b0f6f0f5b01")]
pub trait Door {
    /// Counts the call.
    fn knock(&self) -> Result<()>;
    /// Withdraws this object, and returns whether it was there.
    fn withdraw(&self) -> Result<bool>;
    /// Calls another object.
    fn knock_at(&self, other: DoorClient) -> Result<()>;
}

#[derive(Default)]
struct Wood {
    knocks: AtomicUsize,
    withdrawal: OnceLock<Withdrawal>,
}

impl Door for Arc<Wood> {
    fn knock(&self) -> Result<()> {
        self.knocks.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn withdraw(&self) -> Result<bool> {
        Ok(self.withdrawal.get().unwrap().withdraw())
    }

    fn knock_at(&self, other: DoorClient) -> Result<()> {
        other.knock()
    }
}

fn is_gone(error: &Error) -> bool {
    error.kind() == ErrorKind::Disconnected
        && !error.may_have_run()
        && format!("{error:#}").contains("the object no longer exists")
}

#[test]
fn a_withdrawn_object_is_dropped_and_its_references_report_that_no_call_ran() {
    let wood = Arc::new(Wood::default());
    let door = in_process::<dyn Door, _>(wood.clone()).unwrap();
    let same: DoorClient = door.cast().unwrap();
    assert!(same.as_client().withdrawal().is_none(), "a cast reference is not the owner's");
    same.knock().unwrap();
    let withdrawal = door.as_client().withdrawal().unwrap();
    assert!(withdrawal.withdraw());
    assert!(!withdrawal.withdraw(), "it is withdrawn once");
    for client in [&door, &same] {
        let error = client.knock().unwrap_err();
        assert!(is_gone(&error), "{error:#}");
    }
    assert_eq!(wood.knocks.load(Ordering::SeqCst), 1);
    eventually("the object is dropped", || Arc::strong_count(&wood) == 1);
}

#[test]
fn a_withdrawn_object_can_not_be_passed_on() {
    let other = in_process::<dyn Door, _>(Arc::new(Wood::default())).unwrap();
    let wood = Arc::new(Wood::default());
    let door = in_process::<dyn Door, _>(wood.clone()).unwrap();
    other.knock_at(&door).unwrap();
    assert!(door.as_client().withdrawal().unwrap().withdraw());
    let error = other.knock_at(&door).unwrap_err();
    assert!(format!("{error:#}").contains("the object no longer exists"), "{error:#}");
    assert_eq!(wood.knocks.load(Ordering::SeqCst), 1);
}

#[test]
fn a_method_can_withdraw_its_own_object() {
    let wood = Arc::new(Wood::default());
    let door = in_process::<dyn Door, _>(wood.clone()).unwrap();
    wood.withdrawal.set(door.as_client().withdrawal().unwrap()).unwrap();
    assert!(door.withdraw().unwrap(), "the result of the running method arrives");
    assert!(is_gone(&door.withdraw().unwrap_err()));
}
