//! Items that only generated code may use. They may change in any release.

pub use syshandle_macros::class;
pub use syshandle_types::{
    DecodeError, DecodeErrorKind, Decoder, EncodeErrorKind, Encoder, GrowableType, Measure,
};

pub use crate::proxy_dll::assert_layouts;
#[cfg(not(windows))]
pub use crate::proxy_dll_exports;
pub use crate::server::IncomingCall;
pub use crate::{asynchronous, asynchronous_proxy, of_platform, proxy};
#[cfg(windows)]
pub use syshandle_com::proxy_dll_exports;
pub use syshandle_registry::mark::{self, MARK_LEN};

#[cfg(not(windows))]
pub use crate::client::linux::untyped::{UntypedClient, UntypedReply};

use crate::class::ClassInfo;
pub use crate::class::{Sealed, SealedFor, ServedInterface};

/// Returns the mark of a class: bytes in the program file of its server, by which the `syshandle`
/// command finds the class without running the program.
pub const fn class_mark<C: ClassInfo>() -> [u8; MARK_LEN] {
    mark::of_class(C::CLSID, C::NAME, C::INTERFACES)
}

/// Methods of generated clients on Linux only.
#[cfg(not(windows))]
#[doc(hidden)]
#[macro_export]
macro_rules! of_platform {
    () => {
        /// Returns the same reference with another set of accepted file systems. A file that the
        /// server returns must be on one of them. The default is the kernel's local file systems.
        #[must_use]
        pub fn with_filesystems(
            &self,
            filesystems: ::std::sync::Arc<$crate::handle::Filesystems>,
        ) -> Self {
            Self(self.0.with_filesystems(filesystems))
        }
    };
}

/// Methods of generated clients on Linux only: none on Windows.
#[cfg(windows)]
#[doc(hidden)]
#[macro_export]
macro_rules! of_platform {
    () => {};
}

/// Methods of every generated client.
#[doc(hidden)]
#[macro_export]
macro_rules! proxy {
    ($client:ident, $interface:ident) => {
        impl $client {
            /// Connects to the server of a class and returns a client. Starts the server if it
            /// isn't running.
            ///
            /// # Errors
            /// See `syshandle::Activation`, which also offers other options.
            pub fn activate<C: $crate::object::ClassInfo>(
                class: $crate::object::Class<C>,
            ) -> $crate::Result<Self> {
                $crate::activate(class)
            }

            /// Makes a client of an object in this process: for tests, and to pass an object to a
            /// server.
            ///
            /// The object has only this interface, so `cast` fails for every other one.
            /// `Class::in_process` makes an object with all interfaces of a class.
            ///
            /// # Errors
            /// No descriptor, or no thread, left.
            pub fn in_process(implementation: impl $interface) -> $crate::Result<Self> {
                $crate::in_process::<dyn $interface, _>(implementation)
            }

            /// Returns the same reference with a different call timeout.
            #[must_use]
            pub fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
                Self(self.0.with_timeout(timeout))
            }

            /// Returns the same reference with `cancel` attached. `Cancel::cancel` ends the calls of
            /// the returned reference.
            #[must_use]
            pub fn with_cancel(&self, cancel: &$crate::Cancel) -> Self {
                Self(self.0.with_cancel(cancel))
            }

            $crate::generated::of_platform!();

            /// Waits until the server signals `object`, until the client's timeout has passed, or
            /// until the server ends. An auto-reset event is reset.
            ///
            /// # Errors
            /// `TimedOut`; `Cancelled`; `Disconnected` as soon as the server has ended.
            pub fn wait(&self, object: &dyn $crate::wait::Waitable) -> $crate::Result<()> {
                self.0.wait(object)
            }

            /// Returns a reference to another interface of the same object.
            ///
            /// # Errors
            /// `NoSuchInterface`, or any error of a call.
            pub fn cast<P: $crate::object::Proxy>(&self) -> $crate::Result<P> {
                self.0.cast()
            }
        }

        impl $crate::generated::Sealed for $client {}

        impl $crate::Encode for $client {
            fn encode<'a>(&'a self, out: &mut $crate::generated::Encoder<'a>) {
                $crate::Encode::encode(&self.0, out);
            }
        }

        impl $crate::Decode for $client {
            fn decode(
                input: &mut $crate::generated::Decoder<'_>,
            ) -> ::core::result::Result<Self, $crate::generated::DecodeError> {
                let interface = <dyn $interface as $crate::object::Interface>::DESCRIPTION;
                $crate::Client::decode(input, interface).map(Self)
            }
        }

        impl $crate::describe::Describe for $client {
            const TYPE: $crate::describe::Type = $crate::describe::Type::Object(|| {
                <dyn $interface as $crate::object::Interface>::DESCRIPTION
            });
            type Argument<'a> = &'a Self;
            type Output = Self;
        }
    };
}

/// Expands to its items. Without the feature `tokio`, the macro of the same name expands to
/// nothing.
#[cfg(feature = "tokio")]
#[doc(hidden)]
#[macro_export]
macro_rules! asynchronous {
    ($($item:tt)*) => { $($item)* };
}

/// Expands to nothing, because the feature `tokio` is off.
#[cfg(not(feature = "tokio"))]
#[doc(hidden)]
#[macro_export]
macro_rules! asynchronous {
    ($($item:tt)*) => {};
}

/// Methods of every generated asynchronous client.
#[doc(hidden)]
#[macro_export]
macro_rules! asynchronous_proxy {
    ($client:ident, $blocking:ident) => {
        #[allow(dead_code, reason = "many programs only use the other client")]
        impl $client {
            /// Returns the same reference with a different call timeout.
            #[must_use]
            pub fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
                Self(self.0.with_timeout(timeout))
            }

            /// Returns the same reference with `cancel` attached: `Cancel::cancel` ends its calls.
            #[must_use]
            pub fn with_cancel(&self, cancel: &$crate::Cancel) -> Self {
                Self(self.0.with_cancel(cancel))
            }

            $crate::generated::of_platform!();
        }

        $crate::generated::asynchronous! {
            #[allow(dead_code, reason = "many programs only use the other client")]
            impl $client {
                /// Connects to the server of a class and returns a client. Starts the server if it
                /// isn't running. On Linux no thread waits. On Windows a thread of the tokio
                /// runtime's pool for blocking work connects.
                ///
                /// # Errors
                /// See `syshandle::Activation`.
                pub async fn activate<C: $crate::object::ClassInfo>(
                    class: $crate::object::Class<C>,
                ) -> $crate::Result<Self> {
                    let activation = $crate::Activation::new();
                    let client =
                        $crate::Client::activate_async::<$blocking>(activation, class.clsid())
                            .await?;
                    ::core::result::Result::Ok(Self::from(client))
                }

                /// Waits until the server signals `object`, until the client's timeout has passed,
                /// or until the server ends. An auto-reset event is reset.
                ///
                /// # Errors
                /// `TimedOut`; `Cancelled`; `Disconnected` as soon as the server has ended.
                pub async fn wait<W: $crate::wait::Waitable + ::core::marker::Sync>(
                    &self,
                    object: &W,
                ) -> $crate::Result<()> {
                    self.0.wait_async(object).await
                }
            }
        }

        impl $crate::generated::Sealed for $client {}

        impl $crate::object::AsyncProxy for $client {
            fn from_client(client: $crate::Client) -> Self {
                Self(client)
            }

            fn as_client(&self) -> &$crate::Client {
                &self.0
            }
        }

        /// Makes an asynchronous client for the same object.
        impl ::core::convert::From<$blocking> for $client {
            fn from(client: $blocking) -> Self {
                Self::from(&client)
            }
        }

        /// Makes an asynchronous client of the same reference.
        impl ::core::convert::From<&$blocking> for $client {
            fn from(client: &$blocking) -> Self {
                Self($crate::object::Proxy::as_client(client).clone())
            }
        }

        /// Makes a blocking client for the same object.
        impl ::core::convert::From<$client> for $blocking {
            fn from(client: $client) -> Self {
                $crate::object::Proxy::from_client(client.0)
            }
        }
    };
}
