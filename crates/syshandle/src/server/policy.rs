//! Which users a server is for.

/// Which users a server is for. By default its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    users: Users,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Users {
    These(Vec<u32>),
    All,
}

impl Policy {
    /// Only the user whom the server runs as.
    pub fn same_user() -> Self {
        Self::users([syshandle_os::own_user()])
    }

    /// These users, by their numbers.
    pub fn users(users: impl IntoIterator<Item = u32>) -> Self {
        Self { users: Users::These(users.into_iter().collect()) }
    }

    /// Every user of this machine.
    pub fn anyone() -> Self {
        Self { users: Users::All }
    }

    /// As a registration says it.
    pub(crate) fn write(&self) -> String {
        match &self.users {
            Users::All => "\"anyone\"".into(),
            Users::These(_) if *self == Self::same_user() => "\"same\"".into(),
            Users::These(users) => format!("{users:?}"),
        }
    }

    /// Whether a client of this user is let in.
    pub fn allows(&self, uid: u32) -> bool {
        match &self.users {
            Users::All => true,
            Users::These(users) => users.contains(&uid),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::same_user()
    }
}
