//! What generated code uses. Nothing here is for use by hand, and it may change at any time.

pub use syshandle_wire::{DecodeError, Decoder, Encoder, Malformed, Measure};

pub use crate::mark::mark;
pub use crate::proxy_dll::assert_layouts;
#[cfg(not(windows))]
pub use crate::proxy_dll_exports;
pub use crate::server::Incoming;
pub use crate::{asynchronous, asynchronous_proxy, of_platform, proxy, starter};
#[cfg(windows)]
pub use syshandle_com::proxy_dll_exports;

/// What the clients of one platform have besides.
#[cfg(not(windows))]
#[doc(hidden)]
#[macro_export]
macro_rules! of_platform {
    () => {
        /// The same reference, which takes files of these file systems from the server: the
        /// kernel's local ones unless it is told otherwise.
        #[must_use]
        pub fn with_filesystems(
            &self,
            filesystems: ::std::sync::Arc<::syshandle::Filesystems>,
        ) -> Self {
            Self(self.0.with_filesystems(filesystems))
        }
    };
}

/// What the clients of one platform have besides: nothing on Windows.
#[cfg(windows)]
#[doc(hidden)]
#[macro_export]
macro_rules! of_platform {
    () => {};
}

/// What all generated clients have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! proxy {
    ($client:ident, $interface:ident) => {
        impl $client {
            /// Gets a client for a class: starts its server if it isn't running.
            ///
            /// # Errors
            /// See [`Activation`](::syshandle::Activation), by which this can be done otherwise too.
            pub fn activate<C: ::syshandle::ClassInfo>(
                class: ::syshandle::Class<C>,
            ) -> ::syshandle::Result<Self> {
                ::syshandle::Activation::new().activate(class.clsid())
            }

            /// Makes a client of an object in this process: for tests, and to pass an object to a
            /// server.
            ///
            /// The object has this one interface, and `cast` reaches no other:
            /// [`Class::in_process`](::syshandle::Class::in_process) makes one that has all interfaces
            /// of a class.
            ///
            /// # Errors
            /// No descriptor, or no thread, left.
            pub fn in_process(implementation: impl $interface) -> ::syshandle::Result<Self> {
                ::syshandle::in_process::<dyn $interface, _>(implementation)
            }

            /// The same reference, whose calls wait no longer than this.
            #[must_use]
            pub fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
                Self(self.0.with_timeout(timeout))
            }

            /// The same reference, whose calls end when `cancel` says so.
            #[must_use]
            pub fn with_cancel(&self, cancel: &::syshandle::Cancel) -> Self {
                Self(self.0.with_cancel(cancel))
            }

            ::syshandle::generated::of_platform!();

            /// Waits for an object that the server will signal, until the client's timeout has
            /// passed: an event that resets itself is reset. Ends at once when the server is gone.
            ///
            /// # Errors
            /// `TimedOut`, `Disconnected`.
            pub fn wait(&self, object: &dyn ::syshandle::Waitable) -> ::syshandle::Result<()> {
                self.0.wait(object)
            }

            /// A reference to the same object by another of its interfaces.
            ///
            /// # Errors
            /// `NoSuchInterface`, and those of a call.
            pub fn cast<P: ::syshandle::Proxy>(&self) -> ::syshandle::Result<P> {
                self.0.cast()
            }
        }

        impl ::syshandle::Encode for $client {
            fn encode<'a>(&'a self, out: &mut ::syshandle::generated::Encoder<'a>) {
                ::syshandle::Encode::encode(&self.0, out);
            }
        }

        impl ::syshandle::Decode for $client {
            fn decode(
                input: &mut ::syshandle::generated::Decoder<'_>,
            ) -> ::core::result::Result<Self, ::syshandle::generated::DecodeError> {
                let interface = <dyn $interface as ::syshandle::Interface>::DESCRIPTION;
                ::syshandle::Client::decode(input, interface).map(Self)
            }
        }

        impl ::syshandle::Describe for $client {
            const TYPE: ::syshandle::describe::Type = ::syshandle::describe::Type::Object(|| {
                <dyn $interface as ::syshandle::Interface>::DESCRIPTION
            });
        }
    };
}

/// What begins calls, not on Windows. Not every program that has an interface calls it in this way.
#[cfg(not(windows))]
#[doc(hidden)]
#[macro_export]
macro_rules! starter {
    ($starter:ident, $client:ident, $type:item $methods:item) => {
        $type

        #[allow(dead_code)]
        $methods

        /// The same reference.
        impl ::core::convert::From<&$client> for $starter {
            fn from(client: &$client) -> Self {
                Self(::syshandle::Proxy::as_client(client).clone())
            }
        }

        impl ::syshandle::Starter for $starter {
            fn from_client(client: ::syshandle::Client) -> Self {
                Self(client)
            }

            fn as_client(&self) -> &::syshandle::Client {
                &self.0
            }
        }
    };
}

/// What begins calls, not on Windows. Not every program that has an interface calls it in this way.
#[cfg(windows)]
#[doc(hidden)]
#[macro_export]
macro_rules! starter {
    ($($item:tt)*) => {};
}

/// What is there with the feature `tokio` only.
#[cfg(feature = "tokio")]
#[doc(hidden)]
#[macro_export]
macro_rules! asynchronous {
    ($($item:tt)*) => { $($item)* };
}

/// What is there with the feature `tokio` only.
#[cfg(not(feature = "tokio"))]
#[doc(hidden)]
#[macro_export]
macro_rules! asynchronous {
    ($($item:tt)*) => {};
}

/// What all generated asynchronous clients have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! asynchronous_proxy {
    ($client:ident, $blocking:ident) => {
        impl $client {
            /// Gets a client for a class: starts its server if it isn't running.
            ///
            /// # Errors
            /// See [`Activation`](::syshandle::Activation).
            pub async fn activate<C: ::syshandle::ClassInfo>(
                class: ::syshandle::Class<C>,
            ) -> ::syshandle::Result<Self> {
                let activation = ::syshandle::Activation::new();
                let client =
                    ::syshandle::Client::activate_async::<$blocking>(activation, class.clsid())
                        .await?;
                ::core::result::Result::Ok(Self::from(client))
            }

            /// The same reference, whose calls wait no longer than this.
            #[must_use]
            pub fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
                Self(self.0.with_timeout(timeout))
            }

            ::syshandle::generated::of_platform!();

            /// Waits for an object that the server will signal, until the client's timeout has
            /// passed: an event that resets itself is reset. Ends at once when the server is gone.
            ///
            /// # Errors
            /// `TimedOut`, `Disconnected`.
            pub async fn wait<W: ::syshandle::Waitable + ::core::marker::Sync>(
                &self,
                object: &W,
            ) -> ::syshandle::Result<()> {
                self.0.wait_async(object).await
            }
        }

        /// The same reference.
        impl ::core::convert::From<$blocking> for $client {
            fn from(client: $blocking) -> Self {
                Self(::syshandle::Proxy::as_client(&client).clone())
            }
        }

        /// The same reference.
        impl ::core::convert::From<$client> for $blocking {
            fn from(client: $client) -> Self {
                ::syshandle::Proxy::from_client(client.0)
            }
        }
    };
}
