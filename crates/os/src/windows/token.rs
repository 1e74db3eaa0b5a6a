//! Tokens: the users in whose name processes act.
//!
//! | | |
//! |---|---|
//! | object | an [access token](https://learn.microsoft.com/windows/win32/secauthz/access-tokens) |
//! | proof | the object's type is `Token` |
//! | rights | `read` (`TOKEN_QUERY`): enforced by the kernel on the handle |
//! | `try_clone` | the same token |
//! | MIDL | `sh_token` |
//!
//! This crate doesn't impersonate the user of a token.

use std::io;
use std::os::windows::io::AsHandle;

use super::handle::impl_owned;
use crate::sys::token;
use crate::{Declared, Kind, OwnedHandle, Process};

/// An access token.
#[derive(Debug)]
pub struct Token(OwnedHandle);

impl_owned!(Token, "token", Declared::kind(Kind::Token));

impl Token {
    /// Returns the token of this process.
    ///
    /// # Errors
    /// Returns the errors of `OpenProcessToken`.
    pub fn current() -> io::Result<Self> {
        Self::of(&Process::current()?)
    }

    /// Returns the token of a process.
    ///
    /// # Errors
    /// Returns the errors of `OpenProcessToken`.
    pub fn of(process: &Process) -> io::Result<Self> {
        Ok(Self(token::of(process.as_handle())?))
    }

    /// Returns the user of the token as a security identifier: `S-1-5-21-…`.
    ///
    /// # Errors
    /// Returns the errors of `GetTokenInformation`, for example if the handle lacks the right.
    pub fn user(&self) -> io::Result<String> {
        token::user(self.0.as_handle())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_user() {
        let user = Token::current().unwrap().user().unwrap();
        assert!(user.starts_with("S-1-"), "{user}");
    }
}
