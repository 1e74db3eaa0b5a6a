//! Connects clients whose interface is known only at run time. An IID of [`Guid::NIL`] stands for the
//! first interface that the server offers.

use std::path::Path;
use std::time::Duration;

use syshandle_os::OwnedHandle;
use syshandle_types::Guid;
use syshandle_wire::Hello;

use crate::activation::Activation;
use crate::client::linux::untyped::UntypedClient;
use crate::{Result, direct, door};

impl UntypedClient {
    /// Connects to the server of a class, and starts it if it isn't running.
    ///
    /// # Errors
    /// The errors of [`Activation::activate`].
    pub fn activate(activation: &Activation, clsid: Guid, iid: Guid) -> Result<Self> {
        Ok(Self::over(activation.connect(Hello::new(clsid, iid))?))
    }

    /// Connects to the server that listens at a path.
    ///
    /// # Errors
    /// The errors of [`connect`](crate::direct::connect).
    pub fn connect(path: &Path, iid: Guid, timeout: Duration) -> Result<Self> {
        Ok(Self::over(direct::connect_with(path, Hello::new(Guid::NIL, iid), timeout)?))
    }

    /// Makes a client over one end of a connection.
    ///
    /// # Errors
    /// The errors of [`from_socket`](crate::direct::from_socket).
    pub fn from_socket(socket: OwnedHandle, iid: Guid, timeout: Duration) -> Result<Self> {
        Ok(Self::over(direct::open_with(socket, Hello::new(Guid::NIL, iid), timeout)?))
    }

    /// Connects through a door.
    ///
    /// # Errors
    /// The errors of [`from_door`](crate::direct::from_door).
    pub fn from_door(door: OwnedHandle, iid: Guid, timeout: Duration) -> Result<Self> {
        let client = Self::through(door::hold_copy(direct::adopt(door)?.into()), iid);
        client.with_timeout(timeout).server()?;
        Ok(client)
    }
}
